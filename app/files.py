"""Files that are kept in memory, and sent compressed and only to who does not have them yet."""

import gzip
import hashlib
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

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


class File(Struct, frozen=True):
    """A file's bytes, and a quarter of them compressed."""

    body: bytes
    packed: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """Weak, for both encodings mean the same (RFC 9110, 8.8.1)."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'


def packed(body: bytes, media_type: str) -> File:
    return File(body, gzip.compress(body, mtime=0), media_type)


def send(request: Request[Any], file: File) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
