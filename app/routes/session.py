"""`GET`, `POST` and `DELETE /session`: the sessions of the monitor."""

import logging
from typing import Annotated

import msgspec
from msgspec import Meta
from redis.exceptions import RedisError
from starlette.responses import Response

from app.http.description import Answer, Body, Header, describe
from app.http.exceptions import BodyTooLarge, BodyTooSlow, MalformedForm, WrongKey, WrongToken
from app.http.parameters import read_body
from app.http.responses import json_response
from app.keys import Caller
from app.routes.monitoring import NO_STORE
from app.state import Request
from worker.imaging.parsing import InvalidParameters

logger = logging.getLogger(__name__)


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a sign-in."""

    key: Annotated[str, Meta(description="An API key with the admin right.")] = ""


class SessionView(msgspec.Struct, frozen=True):
    """The session of the monitor."""

    needs_key: bool
    signed_in: bool
    name: Annotated[str, Meta(description="The name of the API key; null without a session.")] | None
    read_only: Annotated[bool, Meta(description="Whether sessions are read-only (MONITOR_READ_ONLY).")]


_EXAMPLES = {"signed in": SessionView(needs_key=True, signed_in=True, name="ops", read_only=False)}
_COOKIES = Header(
    "Set-Cookie", "The cookies of the session and of its token for X-CSRF-Token.", "darkroom_session=...; HttpOnly"
)


@describe("Session", Answer(200, "The session.", SessionView, _EXAMPLES), problems=(RedisError,))
async def session(request: Request) -> Response:
    """Return the user of the session, whether a session is required, and whether it is read-only."""
    caller = await request.state["sessions"].caller(request, is_read_only=False)
    return json_response(_view(request, caller), headers=NO_STORE)


@describe(
    "Session",
    Answer(200, "The session has started.", SessionView, _EXAMPLES, headers=(_COOKIES,)),
    problems=(WrongKey, MalformedForm, BodyTooLarge, BodyTooSlow, InvalidParameters, RedisError),
    body=Body(SignIn, SignIn("dk_...")),
)
async def sign_in(request: Request) -> Response:
    """Sign in to the monitor with an admin key.

    The session cookie replaces the key. Requests that change something must also send the token of the other cookie in
    the header X-CSRF-Token.
    """
    body = await read_body(request, SignIn)
    caller = request.state["sessions"].admin(body.key)
    if caller is None:
        raise WrongKey
    response = json_response(_view(request, caller), headers=NO_STORE)
    await request.state["sessions"].open(body.key, response, is_secure=request.url.scheme == "https")
    logger.info("%s signed in to the monitor", caller.name)
    return response


@describe("Session", Answer(204, "The session has ended.", headers=(_COOKIES,)), problems=(WrongToken, RedisError))
async def sign_out(request: Request) -> Response:
    """Sign out. Without a session, nothing happens."""
    sessions, response = request.state["sessions"], Response(status_code=204)
    await sessions.caller(request, is_read_only=False)  # pages of other origins cannot sign users out
    await sessions.close(request, response)
    return response


def _view(request: Request, caller: Caller | None) -> SessionView:
    settings = request.state["settings"]
    needs_key = bool(settings.api_keys)
    return SessionView(
        needs_key=needs_key,
        signed_in=caller is not None or not needs_key,
        name=None if caller is None else caller.name,
        read_only=settings.monitor_read_only,
    )
