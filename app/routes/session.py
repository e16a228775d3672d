"""`GET`, `POST` and `DELETE /session`: who looks at the monitor."""

import logging
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.body import read_body
from app.errors import WrongKey
from app.keys import Caller
from app.responses import json_response
from app.routes.monitoring import NO_STORE
from app.state import Request

logger = logging.getLogger(__name__)


class SignIn(msgspec.Struct, frozen=True):
    key: Annotated[str, Meta(description="A key with the admin right.")] = ""


async def session(request: Request) -> Response:
    """Say whose session it is, whether one is needed, and whether the monitor only shows."""
    caller = await request.state["sessions"].caller(request, is_read_only=False)
    return json_response(_view(request, caller), headers=NO_STORE)


async def sign_in(request: Request) -> Response:
    """Begin a session for an admin key; raise `WrongKey` for any other."""
    wish = await read_body(request, SignIn)
    caller = request.state["sessions"].admin(wish.key)
    if caller is None:
        raise WrongKey
    response = json_response(_view(request, caller), headers=NO_STORE)
    await request.state["sessions"].open(wish.key, response, is_secure=request.url.scheme == "https")
    logger.info("%s signed in to the monitor", caller.name)
    return response


async def sign_out(request: Request) -> Response:
    """End the session; there need not be one."""
    sessions, response = request.state["sessions"], Response(status_code=204)
    await sessions.caller(request, is_read_only=False)  # a page elsewhere does not end it
    await sessions.close(request, response)
    return response


def _view(request: Request, caller: Caller | None) -> dict[str, str | bool | None]:
    settings = request.state["settings"]
    needs_key = bool(settings.api_keys)
    return {
        "needs_key": needs_key,
        "signed_in": caller is not None or not needs_key,
        "name": None if caller is None else caller.name,
        "read_only": settings.monitor_read_only,
    }
