"""A small request body: fields as JSON or as a form of either kind, or nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from app.errors import BodyTooLarge, BodyTooSlow, MalformedForm
from app.headers import list_header
from app.multipart import FormReader
from app.query import built
from app.state import Request
from worker.fields import decode_json

MAX_BODY_BYTES = 16 * 1024
BODY_TIMEOUT_S = 15.0

Fields = TypeVar("Fields", bound=msgspec.Struct)


async def read_body(request: Request, kind: type[Fields]) -> Fields:
    """Build `kind` from the body's fields; raise `InvalidParameters` naming each wrong one.

    Raises `MalformedForm`, `BodyTooLarge` and `BodyTooSlow` for a body that cannot be read, within its bounds.
    """
    body, content_type = await _bounded(request), list_header(request.headers, "content-type")
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return built(kind, [])
    if media_type == "application/json":
        return built(kind, list(_json_object(body).items()), is_text=False)
    if media_type == "application/x-www-form-urlencoded":
        return built(kind, parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return built(kind, [(part.name, await part.text()) async for part in FormReader(content_type, _once(body)).parts()])


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise BodyTooLarge(MAX_BODY_BYTES)
    except TimeoutError as exc:
        raise BodyTooSlow(BODY_TIMEOUT_S) from exc
    return bytes(body)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = decode_json(body.decode())
    except ValueError as exc:  # what msgspec raises is one, as is what is no UTF-8
        raise MalformedForm(f"the body cannot be read as JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise MalformedForm("the body must be a JSON object")
    return found
