"""The web pages: `/` to try the service, `/monitor` to run it, and their files under `/static/`."""

import gzip
import hashlib
import mimetypes
from pathlib import Path

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent.parent / "static"

HEADERS = {
    # Whatever is not named is forbidden; pictures are shown from memory too (blob:).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked again each time, and answered with 304: a new version shows at once
    "Vary": "Accept-Encoding",
}


class _File(Struct, frozen=True):
    """A file of the pages, kept in memory: all of them are some 200 KB, and a quarter of that compressed."""

    body: bytes
    packed: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """Weak, for both encodings mean the same (RFC 9110, 8.8.1)."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'


def _read(path: Path) -> _File:
    body = path.read_bytes()
    return _File(body, gzip.compress(body, mtime=0), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


FILES = {path.relative_to(STATIC).as_posix(): _read(path) for path in STATIC.rglob("*") if path.is_file()}


def _send(request: Request, file: _File) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


async def studio(request: Request) -> Response:
    return _send(request, FILES["studio.html"])


async def monitor(request: Request) -> Response:
    return _send(request, FILES["monitor.html"])


async def static(request: Request) -> Response:
    try:
        return _send(request, FILES[request.path_params["name"]])
    except KeyError:
        raise HTTPException(404, "there is no such file") from None


PAGES = [
    Route("/", studio),
    Route("/monitor", monitor),
    Route("/static/{name:path}", static),
]
