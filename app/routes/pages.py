"""The web pages: `/` to try the service, `/monitor` to run it, and their files under `/static/`."""

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.files import File, packed, send

STATIC = Path(__file__).parent.parent / "static"


def _read(path: Path) -> File:
    return packed(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


FILES = {path.relative_to(STATIC).as_posix(): _read(path) for path in STATIC.rglob("*") if path.is_file()}
"""All of them are some 200 KB."""


async def studio(request: Request) -> Response:
    return send(request, FILES["studio.html"])


async def monitor(request: Request) -> Response:
    return send(request, FILES["monitor.html"])


async def static(request: Request) -> Response:
    try:
        return send(request, FILES[request.path_params["name"]])
    except KeyError:
        raise HTTPException(404, "there is no such file") from None


# For people; what programs use is described.
PAGES = [
    Route("/", studio, include_in_schema=False),
    Route("/monitor", monitor, include_in_schema=False),
    Route("/static/{name:path}", static, include_in_schema=False),
]
