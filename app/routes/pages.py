"""The web pages: `/` to try the service, `/monitor` to run it, and their files under `/static/`."""

from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.state import Request

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
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def studio(_: Request) -> Response:
    return FileResponse(STATIC / "studio.html", headers=HEADERS)


async def monitor(_: Request) -> Response:
    return FileResponse(STATIC / "monitor.html", headers=HEADERS)


PAGES: list[BaseRoute] = [
    Route("/", studio),
    Route("/monitor", monitor),
    Mount("/static", _Files(directory=STATIC)),
]
