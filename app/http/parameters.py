"""Read the query and small bodies of requests into typed structs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from app.http.exceptions import BodyTooLarge, BodyTooSlow, MalformedForm
from app.http.multipart import FormReader
from app.http.negotiation import bounded_header, essence
from worker.imaging.parsing import InvalidParameters
from worker.validation.fields import Problem, convert_fields, decode_json, missing_fields, unknown_fields

Query = TypeVar("Query", bound=msgspec.Struct)


def read_query(request: Request[Any], kind: type[Query]) -> Query:
    """Build `kind` from the query parameters; raise `InvalidParameters` naming each invalid or unknown one."""
    return parse_fields(kind, request.query_params.multi_items())


def parse_fields(kind: type[Query], pairs: Sequence[tuple[str, Any]], *, is_text: bool = True) -> Query:
    """Build `kind` from names and values (text, or values from JSON), or raise `InvalidParameters`."""
    fields = dict(pairs)
    values, problems = convert_fields(kind, fields, is_text=is_text)
    problems += missing_fields(kind, fields)
    problems += unknown_fields(kind, fields, "", "this request")
    counts = Counter(name for name, _ in pairs)
    problems += [Problem(name, "must be given only once") for name, count in counts.items() if count > 1]
    if problems:
        raise InvalidParameters(problems)
    return kind(**values)


MAX_BODY_BYTES = 16 * 1024
BODY_TIMEOUT_S = 15.0

Fields = TypeVar("Fields", bound=msgspec.Struct)


async def read_body(request: Request[Any], kind: type[Fields]) -> Fields:
    """Build `kind` from the fields of the body; raise `InvalidParameters` naming each invalid one.

    Raises `MalformedForm` for a body that cannot be parsed, and `BodyTooLarge` and `BodyTooSlow` beyond its limits.
    """
    body, content_type = await read_bounded(request), bounded_header(request.headers, "content-type")
    media_type = essence(content_type)
    if not body:
        return parse_fields(kind, [])
    if media_type == "application/json":
        return parse_fields(kind, list(json_object(body).items()), is_text=False)
    if media_type == "application/x-www-form-urlencoded":
        return parse_fields(kind, parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return parse_fields(
        kind, [(part.name, await part.text()) async for part in FormReader(content_type, _once(body)).parts()]
    )


async def read_bounded(request: Request[Any], max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body; raise `BodyTooLarge` or `BodyTooSlow` beyond its limits."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge(max_bytes)
    except TimeoutError as exc:
        raise BodyTooSlow(BODY_TIMEOUT_S) from exc
    return bytes(body)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def json_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object, or raise `MalformedForm`."""
    try:
        document = decode_json(body.decode())
    except ValueError as exc:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        raise MalformedForm(f"the body cannot be read as JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise MalformedForm("the body must be a JSON object")
    return document
