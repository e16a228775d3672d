"""Resumable uploads: draft-ietf-httpbis-resumable-upload, interop version 8, without the interim response 104.

A request that would create a task is begun with `Upload-Complete: ?0`, goes on with PATCH requests to the `Location` of
the response, and is carried out with the last of them.
"""

import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import msgspec
import starlette.requests
from starlette.types import Message

from app.http.description import Header
from app.http.exceptions import InvalidKey, MalformedForm, UploadTooLarge
from app.http.negotiation import bounded_header
from app.state import Request, party_of
from app.uploads.receive import FORM_OVERHEAD_BYTES, in_time, paced_body, place
from worker.runner.partial_uploads import LIFE_S, OffsetMismatch, PartialUpload, UploadNotFound

COMPLETE, OFFSET, LENGTH, LIMIT = "Upload-Complete", "Upload-Offset", "Upload-Length", "Upload-Limit"

PARTIAL = "application/partial-upload"

_OWN = {b"content-type", b"content-length", b"idempotency-key", b"transfer-encoding", b"expect"}
"""Headers of the last PATCH request that are not those of the whole request."""

UPLOAD_COMPLETE = Header(
    COMPLETE, "Whether the upload ends with this request: `?1`, or `?0` to begin or continue a resumable one.", "?0"
)
UPLOAD_OFFSET = Header(
    OFFSET, "Number of bytes that have arrived.", 100_000, {"type": "integer", "minimum": 0}, is_required=True
)
UPLOAD_LIMIT = Header(LIMIT, "The limits of resumable uploads (a dictionary of RFC 9651).", "max-size=33554432")


def begins_partial(request: Request) -> bool:
    """Return whether a request begins an upload that other requests will continue. Raises `MalformedForm`."""
    return b"upload-complete" in dict(request.scope["headers"]) and not ends_upload(request)


def ends_upload(request: Request) -> bool:
    """Return the value of `Upload-Complete`, a boolean of RFC 9651; raise `MalformedForm` for anything else."""
    text = request.headers.get(COMPLETE, "")
    match = re.fullmatch(r"\?([01]) *(?:;.*)?", text)
    if match is None:
        raise MalformedForm(f"{COMPLETE} must be ?0, or ?1 with the last bytes; got {text[:40]!r}")
    return match[1] == "1"


def upload_headers(request: Request, upload: PartialUpload) -> dict[str, str]:
    """Return the state of an upload as headers."""
    length = {} if upload.length is None else {LENGTH: str(upload.length)}
    limit = f"max-size={_max_bytes(request, upload)}, max-age={LIFE_S}"
    return {
        COMPLETE: f"?{upload.is_complete:d}",
        OFFSET: str(upload.offset),
        **length,
        LIMIT: limit,
        "Cache-Control": "no-store",
    }


def _max_bytes(request: Request, upload: PartialUpload) -> int:
    """Return the maximum size of the whole body."""
    overhead = FORM_OVERHEAD_BYTES if upload.content_type.startswith("multipart/") else 0
    return request.state["settings"].max_upload_bytes + overhead


async def begin(request: Request) -> PartialUpload:
    """Begin an upload with the body of the request, which may be empty.

    Raises `MalformedForm`, `InvalidKey`, `UploadTooLarge`, `TooManyPartialUploads` and the errors of `append`.
    """
    if "idempotency-key" in request.headers:
        raise InvalidKey("Idempotency-Key: is not for resumable uploads, whose last request may be repeated; omit it")
    upload = PartialUpload(
        id=str(uuid4()),
        owner=request.state["caller"].name,
        party=party_of(request),
        query=request.scope["query_string"].decode("latin-1"),
        content_type=bounded_header(request.headers, "content-type"),
        length=_count(request, LENGTH),
    )
    if upload.length is not None and upload.length > _max_bytes(request, upload):
        raise UploadTooLarge(request.state["settings"].max_upload_bytes)
    await request.state["partial_uploads"].create(upload)
    return await _append(request, upload)


async def get_own_upload(request: Request) -> PartialUpload:
    """Return the upload in the path of the request; raise `UploadNotFound` also for one of another owner."""
    text = request.path_params["upload_id"]
    try:
        upload_id = str(UUID(text))
    except ValueError:
        raise UploadNotFound(text) from None
    upload: PartialUpload = await request.state["partial_uploads"].get(upload_id)
    if not request.state["caller"].may_see(upload.owner):
        raise UploadNotFound(text)
    return upload


def check_offset(request: Request, upload: PartialUpload) -> None:
    """Raise `OffsetMismatch` unless the bytes of the request follow those that have arrived, or `MalformedForm`."""
    offset = _count(request, OFFSET)
    if offset is None:
        raise MalformedForm(f"{OFFSET} is missing: the number of bytes that have arrived")
    if offset != upload.offset:
        raise OffsetMismatch(upload.offset, offset)


async def append(request: Request, upload: PartialUpload) -> PartialUpload:
    """Add the body of a PATCH request to an upload; what arrives before the connection breaks stays.

    Raises `MalformedForm`, `OffsetMismatch`, `UploadTooLarge`, `UploadTooSlow` and `TooManyUploads`.
    """
    if request.headers.get("content-type") != PARTIAL:
        raise MalformedForm(f"Content-Type must be {PARTIAL}")
    check_offset(request, upload)
    length = _count(request, LENGTH)
    if length is not None and upload.length is None:
        upload = await request.state["partial_uploads"].set_length(upload, length)
    if length is not None and length != upload.length:
        raise MalformedForm(f"{LENGTH} must be {upload.length}, as before; got {length}")
    return await _append(request, upload)


async def _append(request: Request, upload: PartialUpload) -> PartialUpload:
    settings, uploads = request.state["settings"], request.state["partial_uploads"]
    await request.state["storage"].require_space(settings.min_free_mb)
    async with place(request):
        offset = await in_time(uploads.append(upload, _limited(request, upload)), settings.upload_timeout_s)
    return msgspec.structs.replace(upload, offset=offset)


async def _limited(request: Request, upload: PartialUpload) -> AsyncIterator[bytes]:
    total = upload.offset
    async for chunk in paced_body(request):
        total += len(chunk)
        if total > _max_bytes(request, upload):
            raise UploadTooLarge(request.state["settings"].max_upload_bytes)
        if upload.length is not None and total > upload.length:
            raise MalformedForm(f"more bytes arrived than the {upload.length} of {LENGTH}")
        yield chunk


def whole_request(request: Request, upload: PartialUpload) -> Request:
    """Return the request that began an upload, with its whole body and the credentials of the present request.

    Its `Idempotency-Key` is the id of the upload, so that it creates one task, however often it is carried out.
    """
    if upload.length is not None and upload.offset != upload.length:
        raise MalformedForm(f"{upload.offset} bytes have arrived, not the {upload.length} of {LENGTH}")
    own = {
        b"content-type": upload.content_type.encode("latin-1"),
        b"content-length": str(upload.offset).encode(),
        b"idempotency-key": f'"{upload.id}"'.encode(),
    }
    others = [(name, value) for name, value in request.scope["headers"] if name not in _OWN]
    scope = {
        **request.scope,
        "method": "POST",
        "path": "/process-image/",
        "raw_path": b"/process-image/",
        "query_string": upload.query.encode("latin-1"),
        "headers": [*others, *own.items()],
    }
    chunks = request.state["partial_uploads"].body(upload)

    async def receive() -> Message:
        chunk = await anext(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    return starlette.requests.Request(scope, receive)


def _count(request: Request, name: str) -> int | None:
    """Return the number in a header, or None without the header; raise `MalformedForm`."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise MalformedForm(f"{name} must be a number of bytes; got {text[:40]!r}")
    return int(text)
