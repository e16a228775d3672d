"""Requests without multipart: an image as the body with its fields in the query, and urlencoded forms with a `url`.

They are rewritten to multipart as they arrive, so that one parser reads all of them.
"""

from collections.abc import AsyncIterator, Sequence
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from starlette.datastructures import QueryParams

from app.http.exceptions import MalformedForm
from app.http.multipart import MAX_FIELD_BYTES, MAX_PARTS
from app.http.negotiation import essence
from worker.imaging.formats import sniff

URLENCODED = "application/x-www-form-urlencoded"

SNIFFED_BYTES = 64
"""First bytes of a body, which show whether it is an image: curl sends images as urlencoded without a Content-Type."""

Fields = Sequence[tuple[str, str]]


def as_multipart(content_type: str, query: QueryParams, body: AsyncIterator[bytes]) -> tuple[str, AsyncIterator[bytes]]:
    """Return the content type and the body of a form; those of a multipart form and of other types are unchanged."""
    if content_type.startswith("multipart/form-data"):
        return content_type, body
    media_type = essence(content_type)
    boundary = uuid4().hex
    fields = query.multi_items()
    if media_type == URLENCODED:
        parts = _urlencoded(fields, body, boundary)
    elif media_type.startswith("image/") or media_type == "application/octet-stream":
        parts = _image(fields, b"", body, boundary)
    else:
        return content_type, body
    return f"multipart/form-data; boundary={boundary}", parts


async def _urlencoded(query: Fields, body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[bytes]:
    head = b""
    async for chunk in body:
        head += chunk
        if len(head) >= SNIFFED_BYTES:
            break
    if sniff(head) is not None:
        async for chunk in _image(query, head, body, boundary):
            yield chunk
        return
    async for chunk in body:
        head += chunk
        if len(head) > MAX_FIELD_BYTES:
            raise MalformedForm(f"an urlencoded form must have at most {MAX_FIELD_BYTES:,} bytes; use multipart")
    try:
        fields = parse_qsl(head.decode(), keep_blank_values=True, max_num_fields=MAX_PARTS)
    except ValueError as exc:  # UnicodeDecodeError is one
        raise MalformedForm(f"the urlencoded form cannot be read: {exc}") from exc
    yield _fields([*query, *fields], boundary)
    yield f"--{boundary}--\r\n".encode()


async def _image(query: Fields, head: bytes, body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[bytes]:
    disposition = 'Content-Disposition: form-data; name="file"; filename="image"'
    yield _fields(query, boundary) + f"--{boundary}\r\n{disposition}\r\n\r\n".encode() + head
    async for chunk in body:
        if chunk:  # an empty one would be the end of the form
            yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


def _fields(fields: Fields, boundary: str) -> bytes:
    return "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{quote(name, safe=" []_-.")}"\r\n\r\n{text}\r\n'
        for name, text in fields
    ).encode()
