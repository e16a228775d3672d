"""Responses: JSON (encoded by msgspec, with a newline at the end for terminals), static files and HTML pages."""

import gzip
import hashlib
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response


def json_response(
    data: Any,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    return Response(msgspec.json.encode(data) + b"\n", status_code, headers, media_type)


STATIC = Path(__file__).parent.parent / "static"

HEADERS = {
    # Everything else is forbidden; the pages show images from memory as well (blob:).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # browsers revalidate each time and get 304, so that a new version shows at once
    "Vary": "Accept-Encoding",
}


class File(Struct, frozen=True):
    """The bytes of a static file, plain and compressed with gzip."""

    body: bytes
    gzipped: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """A weak ETag, because both encodings share it (RFC 9110, 8.8.1)."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'


def compress(body: bytes, media_type: str) -> File:
    return File(body, gzip.compress(body, mtime=0), media_type)


def send(request: Request[Any], file: File, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    headers = {**HEADERS, "ETag": file.etag, **headers}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


def _version() -> str:
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


VERSION = _version()
"""The version of the static files, which is part of their paths in pages: they are cached without being asked for."""


def html_page(name: str, path: str) -> str:
    """Return an HTML file of `app/static` with the masthead, in which the link to `path` is the current page.

    The modules of its scripts are preloaded, because a browser only finds them one import after the other.
    """
    masthead = (STATIC / "shared" / "masthead.html").read_text()
    masthead = re.sub(rf'(<a href="{path}")(?=>)', r'\1 aria-current="page"', masthead)
    html = (STATIC / name).read_text().replace("  <!-- masthead -->\n", masthead)
    entries = re.findall(r'<script type="module" src="/static/([^"]+)"', html)
    preloads = "".join(
        f'  <link rel="modulepreload" href="/static/{module}">\n'
        for module in _modules(entries)
        if module not in entries
    )
    return html.replace("</head>", f"{preloads}</head>").replace('="/static/', f'="/static/{VERSION}/')


def _modules(entries: list[str]) -> list[str]:
    """Return the paths of modules and of all that they import, without those that they load later."""
    found = list(entries)
    for module in found:
        imports = re.findall(r'^(?:import|\}) .*?from "(\.[^"]+)"', (STATIC / module).read_text(), re.MULTILINE)
        for name in imports:
            path = posixpath.normpath(f"{posixpath.dirname(module)}/{name}")
            if path not in found:
                found.append(path)
    return found


class Documents(Protocol):
    """The encoded documentation of the API, which `app.openapi.rendering` creates."""

    def page(self, address: str, /) -> File:
        """Return the reference page for the base URL of the request."""

    def openapi(self, address: str, /) -> File:
        """Return the OpenAPI document for the base URL of the request."""

    def postman(self, address: str, /) -> File:
        """Return the Postman collection for the base URL of the request."""

    def llms(self, address: str, /) -> File:
        """Return the text for language models for the base URL of the request."""
