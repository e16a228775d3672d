"""`GET`, `POST` and `DELETE /session`: who looks at the monitor."""

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
    """What begins a session."""

    key: Annotated[str, Meta(description="A key with the admin right.")] = ""


class ShownSession(msgspec.Struct, frozen=True):
    """Who looks at the monitor, and whether they need be anybody."""

    needs_key: bool
    signed_in: bool
    name: Annotated[str, Meta(description="Of the key that the session began with.")] | None
    read_only: Annotated[bool, Meta(description="Whether the monitor only shows.")]


_EXAMPLES = {"signed in": ShownSession(needs_key=True, signed_in=True, name="ops", read_only=False)}
_COOKIES = Header("Set-Cookie", "The session, and its token for X-CSRF-Token.", "darkroom_session=...; HttpOnly")


@describe("Session", Answer(200, "Whose it is.", ShownSession, _EXAMPLES), problems=(RedisError,))
async def session(request: Request) -> Response:
    """Say whose session of the monitor it is, whether one is needed, and whether the monitor only shows."""
    caller = await request.state["sessions"].caller(request, is_read_only=False)
    return json_response(_view(request, caller), headers=NO_STORE)


@describe(
    "Session",
    Answer(200, "The session has begun.", ShownSession, _EXAMPLES, headers=(_COOKIES,)),
    problems=(WrongKey, MalformedForm, BodyTooLarge, BodyTooSlow, InvalidParameters, RedisError),
    body=Body(SignIn, SignIn("dk_...")),
)
async def sign_in(request: Request) -> Response:
    """Begin a session of the monitor for an admin key.

    Its cookie stands for the key; what changes something must also have its token, from the other cookie, in the
    header X-CSRF-Token.
    """
    body = await read_body(request, SignIn)
    caller = request.state["sessions"].admin(body.key)
    if caller is None:
        raise WrongKey
    response = json_response(_view(request, caller), headers=NO_STORE)
    await request.state["sessions"].open(body.key, response, is_secure=request.url.scheme == "https")
    logger.info("%s signed in to the monitor", caller.name)
    return response


@describe("Session", Answer(204, "It has ended.", headers=(_COOKIES,)), problems=(WrongToken, RedisError))
async def sign_out(request: Request) -> Response:
    """End the session; there need not be one."""
    sessions, response = request.state["sessions"], Response(status_code=204)
    await sessions.caller(request, is_read_only=False)  # a page elsewhere does not end it
    await sessions.close(request, response)
    return response


def _view(request: Request, caller: Caller | None) -> ShownSession:
    settings = request.state["settings"]
    needs_key = bool(settings.api_keys)
    return ShownSession(
        needs_key=needs_key,
        signed_in=caller is not None or not needs_key,
        name=None if caller is None else caller.name,
        read_only=settings.monitor_read_only,
    )
