"""The web pages `/` (studio) and `/monitor` with their static files, and the documentation of the API."""

import mimetypes
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from app.http.description import Answer, Header, describe
from app.http.responses import STATIC, VERSION, File, compress, html_page, send
from app.state import Request


def _read(path: Path) -> File:
    return compress(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


_VERSIONED = re.compile(r"(?:([0-9a-f]{12})/)?(.*)", re.DOTALL)

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
"""For a file whose path contains the version of all files."""

FILES = {path.relative_to(STATIC).as_posix(): _read(path) for path in STATIC.rglob("*") if path.is_file()}
"""Path -> file; about 200 KB in total."""

STUDIO, MONITOR = (
    compress(html_page(name, path).encode(), "text/html")
    for name, path in (("studio/studio.html", "/"), ("monitor/monitor.html", "/monitor"))
)


async def studio(request: Request) -> Response:
    return send(request, STUDIO)


async def monitor(request: Request) -> Response:
    return send(request, MONITOR)


async def static(request: Request) -> Response:
    """Return a file; its path may begin with a version, which is another one while servers are updated."""
    version, name = _VERSIONED.fullmatch(request.path_params["name"]).groups()  # type: ignore[union-attr]
    try:
        return send(request, FILES[name], IMMUTABLE if version == VERSION else {})
    except KeyError:
        raise HTTPException(404, "there is no such file") from None


# Not in the OpenAPI document, which is for programs.
PAGES = [
    Route("/", studio, include_in_schema=False),
    Route("/monitor", monitor, include_in_schema=False),
    Route("/static/{name:path}", static, include_in_schema=False),
]


_TAG = "Documentation"
_IF_NONE_MATCH = Header("If-None-Match", "The ETag of a cached copy; 304 if it is still current.", 'W/"1f0c"')
_ETAG = Header("ETag", "Changes when the document changes.", 'W/"1f0c"')
_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?(/[\w./~-]*)?", re.ASCII)
_UNCHANGED = Answer(304, "The cached copy is still current.", headers=(_ETAG,))


def _address(request: Request) -> str:
    """Return the base URL of the request; raise `HTTPException` if its `Host` is not a name or an address.

    Starlette accepts all that RFC 3986 does, such as `$(reboot)`, and people paste the URL into a shell. The scheme
    is that of `X-Forwarded-Proto` if uvicorn trusts the proxy.
    """
    address = str(request.base_url).rstrip("/")
    if not _ADDRESS.fullmatch(address):
        raise HTTPException(400, "the Host header must be a host name or an address, and a port")
    return address


@describe(
    _TAG,
    Answer(200, "The document.", dict, {"beginning": {"openapi": "3.1.0"}}, headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def openapi(request: Request) -> Response:
    """Return this document: the OpenAPI 3.1 description of the API."""
    return send(request, request.state["documents"].openapi(_address(request)))


@describe(
    _TAG,
    Answer(200, "The page.", media_types=("text/html",), headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def docs(request: Request) -> Response:
    """Return the reference of the API as an HTML page, whose commands have the address of this server."""
    return send(request, request.state["documents"].page(_address(request)))


@describe(
    _TAG,
    Answer(200, "The collection.", dict, {"beginning": {"info": {"name": "Darkroom"}}}, headers=(_ETAG,)),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def postman(request: Request) -> Response:
    """Return a Postman collection (v2.1) whose requests run from top to bottom, with tests."""
    return send(request, request.state["documents"].postman(_address(request)))


@describe(
    _TAG,
    Answer(
        200,
        "The text, in Markdown.",
        examples={"beginning": "# Darkroom"},
        media_types=("text/plain",),
        headers=(_ETAG,),
    ),
    _UNCHANGED,
    headers=(_IF_NONE_MATCH,),
)
async def llms(request: Request) -> Response:
    """Return a text for language models (llmstxt.org): commands, operations with their fields, routes."""
    return send(request, request.state["documents"].llms(_address(request)))
