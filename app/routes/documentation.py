"""`GET /openapi.json`, `GET /docs` and `GET /postman.json`: what there is, for programs, people and Postman."""

from starlette.responses import Response

from app.description import Answer, Header, describe
from app.files import send
from app.state import Request

_TAG = "Documentation"
_IF_NONE_MATCH = Header("If-None-Match", "The ETag of a copy; if it is still good, the answer is 304.", 'W/"1f0c"')
_ETAG = Header("ETag", "Changes when the document does.", 'W/"1f0c"')
_UNCHANGED = Answer(304, "The copy is still good.", headers=(_ETAG,))


@describe(
    _TAG,
    Answer(200, "The document.", dict, {"beginning": {"openapi": "3.1.0"}}, headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def openapi(request: Request) -> Response:
    """Describe the API by OpenAPI 3.1: this document."""
    return send(request, request.state["documents"].openapi)


@describe(
    _TAG,
    Answer(200, "The page.", media_types=("text/html",), headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def docs(request: Request) -> Response:
    """Show the same to people, on one page that needs no script and nothing from elsewhere."""
    return send(request, request.state["documents"].page)


@describe(
    _TAG,
    Answer(200, "The collection.", dict, {"beginning": {"info": {"name": "Darkroom"}}}, headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def postman(request: Request) -> Response:
    """Give a collection to import into Postman (v2.1), with a request for each route."""
    return send(request, request.state["documents"].postman(str(request.base_url).rstrip("/")))
