"""`GET /processed/{task_id}/{name}`, the bytes of a result, and `POST /tasks/{task_id}/link`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response, StreamingResponse

from app.http.description import JSON, PICTURES, Answer, Body, Header, describe
from app.http.exceptions import (
    BodyTooLarge,
    BodyTooSlow,
    LinkRefused,
    MalformedForm,
    NoResult,
    NotFinished,
    RangeNotSatisfiable,
    ResultNotFound,
    SeveralResults,
)
from app.http.negotiation import bounded_header, prefers
from app.http.parameters import read_body
from app.http.responses import json_response
from app.openapi.examples import TASK_ID
from app.state import Request, get_own_task
from worker.imaging.formats import media_type_of
from worker.imaging.parsing import InvalidParameters
from worker.storage import StorageUnavailable
from worker.tasks.model import Task
from worker.tasks.status import Results, Status, TaskId, TaskNotFound, Time
from worker.telemetry.clock import now_ms, rfc3339

SIGNED_URL_LIFE_S = 300
"""Lifetime of a signed URL of the object store. A download that has started continues after it."""

Span = tuple[int, int]
"""First and last byte, both inclusive."""


LOCATION = Header("Location", "The signed URL of the object store.", f"/task-status/{TASK_ID}")
CONTENT_LOCATION = Header(
    "Content-Location", "The path of the image in the response.", f"/processed/{TASK_ID}/photo.webp"
)
ETAG = Header("ETag", "Changes when the bytes change.", '"2f6-18d1c2a4b5e6f-4744"')
LAST_MODIFIED = Header("Last-Modified", "When the result was stored.", "Sun, 01 Mar 2026 12:00:00 GMT")
RANGES = Header("Accept-Ranges", "Range requests are supported.", "bytes")
CACHE_CONTROL = Header(
    "Cache-Control", "How long the response may be cached: until the link expires.", "private, max-age=3540"
)
CONDITIONS = (
    Header("If-None-Match", "The ETag of a cached copy; 304 if it is still current.", ETAG.example),
    Header(
        "If-Modified-Since", "The Last-Modified of a cached copy; 304 if it is still current.", LAST_MODIFIED.example
    ),
    Header("Range", "A single byte range. Other ranges are ignored.", "bytes=0-1023"),
    Header(
        "If-Range",
        "The ETag or Last-Modified of a partial copy; if it is no longer current, all bytes are sent.",
        ETAG.example,
    ),
)
SIGNATURE = (
    Header("expires", "When a signed link expires (Unix seconds).", "1772370000", place="query"),
    Header(
        "signature",
        "The signature of a signed link, which needs no API key.",
        "q1Xy-5h7vN0Y2cF4o8bE6w3Zr9Kt1Lm7Pd5Su0Jg2Ha",
        place="query",
    ),
)
WHOLE = Answer(
    200, "The bytes of the result.", media_types=(*PICTURES, JSON), headers=(ETAG, LAST_MODIFIED, RANGES, CACHE_CONTROL)
)
PART = Answer(
    206,
    "The requested range.",
    media_types=(*PICTURES, JSON),
    headers=(ETAG, LAST_MODIFIED, RANGES, Header("Content-Range", "The position of the range.", "bytes 0-1023/18244")),
)
UNCHANGED = Answer(304, "The cached copy is still current.", headers=(ETAG, LAST_MODIFIED))
REDIRECT = Answer(
    307,
    "With `REDIRECT_DOWNLOADS`: a redirect to a signed URL of the object store, valid for five minutes.",
    headers=(LOCATION,),
)


@describe(
    "Results",
    WHOLE,
    PART,
    UNCHANGED,
    REDIRECT,
    problems=(LinkRefused, TaskNotFound, ResultNotFound, RangeNotSatisfiable, StorageUnavailable),
    headers=(*CONDITIONS, *SIGNATURE),
)
async def output(request: Request) -> Response:
    """Return the bytes of a result. HEAD returns the headers only."""
    is_link = "signature" in request.query_params
    headers = await _check_link(request) if is_link else {}
    task = await (request.state["tasks"].get(request.path_params["task_id"]) if is_link else get_own_task(request))
    names = {file_name: name for name, file_name in task.spec.file_names.items()}
    if task.status is not Status.SUCCESS or request.path_params["name"] not in names:
        raise ResultNotFound("the task has no result with this name")
    response = await send_output(request, task, names[request.path_params["name"]])
    for header, value in headers.items():
        response.headers.setdefault(header, value)  # the redirect has its own Cache-Control
    return response


async def _check_link(request: Request) -> dict[str, str]:
    """Return the caching headers for a signed link; raise `LinkRefused` if it is not valid or has expired."""
    query, path = request.query_params, "/processed/{task_id}/{name}".format(**request.path_params)
    left_s = await request.state["links"].check(path, query.get("expires", ""), query["signature"])
    return {"Cache-Control": f"private, max-age={left_s}"}  # only private caches, and no longer than the link is valid


def require_success(task: Task) -> Task:
    """Return a task with results, or raise `NotFinished` or `NoResult`."""
    if not task.is_finished:
        raise NotFinished(task)
    if task.status is not Status.SUCCESS:
        raise NoResult(task)
    return task


def prefers_picture(request: Request, task: Task) -> bool:
    """Return whether the client prefers the result of the task to JSON."""
    variant, source = next(iter(task.spec.plan.variants.values())), task.spec.source
    media_type = variant.media_type(source)
    return prefers(bounded_header(request.headers, "accept", "*/*"), media_type, "application/json")


async def send_picture(request: Request, task: Task, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return the only result of a successful task; raise `SeveralResults` if it has several."""
    if task.spec.plan.is_named:
        raise SeveralResults(list(task.result_paths.values()))
    response = await send_output(request, task, "")
    response.headers.update(headers)
    return response


async def send_output(request: Request, task: Task, name: str) -> Response:
    """Return the result of a variant, or a redirect to it in the object store."""
    # A signed URL is valid for one method, so HEAD is not redirected.
    if request.state["settings"].redirect_downloads and request.method == "GET":
        url = await request.state["storage"].signed_url(task.result_paths[name], SIGNED_URL_LIFE_S)
        # A cached redirect would be followed after the URL has expired. Clients repeat range and condition headers.
        return RedirectResponse(url, 307, headers={"Cache-Control": "no-store", "Vary": "Accept"})
    variant = task.spec.plan.variants[name]
    is_known = variant.is_report or not variant.output.is_auto
    media_type = variant.media_type(task.spec.source) if is_known else media_type_of(task.outputs[name].format)
    return await send_bytes(request, task.result_paths[name], media_type)


PARTIAL = {"range", "if-range", "if-none-match", "if-modified-since"}
"""Request headers with which the answer may be less than the whole result."""


async def send_bytes(request: Request, path: str, media_type: str) -> Response:
    """Return the response to conditional and single-range requests (RFC 9110, 13 and 14)."""
    storage = request.state["storage"]
    is_partial = any(name in request.headers for name in PARTIAL)
    is_whole = request.method == "POST" or (request.method == "GET" and not is_partial)
    try:
        meta, body = await storage.get(path) if is_whole else (await storage.head(path), None)
    except FileNotFoundError:
        raise ResultNotFound("the result file was deleted") from None
    size, etag, modified = meta["size"], meta["e_tag"] or "", meta["last_modified"].replace(microsecond=0)
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(modified.astimezone(UTC), usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Length": str(size),
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
    }
    if isinstance(body, bytes):
        return Response(body, headers=headers, media_type=media_type)
    if body is not None:
        return StreamingResponse(body, headers=headers, media_type=media_type)
    if _is_fresh(request.headers, etag, modified):
        del headers["Content-Length"]
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    status, span = 200, (0, size - 1)
    range_ = parse_range(request.headers.get("range", ""), size)
    if range_ is not None and request.headers.get("if-range", etag) in (etag, headers["Last-Modified"]):
        status, span = 206, range_
        if span[0] > span[1]:
            raise RangeNotSatisfiable(size)
        headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{size}"
        headers["Content-Length"] = str(span[1] - span[0] + 1)
    return StreamingResponse(await storage.stream(path, *span), status, headers, media_type)


def _is_fresh(headers: Headers, etag: str, modified: datetime) -> bool:
    """Return whether the cached copy of the client is still current (RFC 9110, 13.1.2 and 13.1.3)."""
    if "if-none-match" in headers:
        tags = [tag.strip().removeprefix("W/") for tag in bounded_header(headers, "if-none-match").split(",")]
        return etag in tags or "*" in tags
    try:
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
    except (ValueError, OverflowError):
        return False
    return since.tzinfo is not None and modified <= since


def parse_range(value: str, size: int) -> Span | None:
    """Parse a Range header for `size` bytes; return None for other units, several ranges and malformed values.

    A span whose first byte is after its last cannot be satisfied.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", value.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (size, size - 1)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) if last else size - 1, size - 1)


class LinkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for a signed link."""

    expires_in: Annotated[int, Meta(ge=1, le=604_800, description="Lifetime of the link in seconds.")] = 3600


class Link(msgspec.Struct, frozen=True):
    """A signed link."""

    task_id: TaskId
    url: Annotated[Results, Meta(description="Path and query on this server; for several variants, one for each name.")]
    expires_at: Time


@describe(
    "Results",
    Answer(
        200,
        "The signed link.",
        Link,
        {
            "link": Link(
                TASK_ID,
                f"/processed/{TASK_ID}/photo.webp?expires=1772370000&signature=q1Xy-5h7vN0Y2cF4o8bE6w3Zr9Kt1Lm7Pd5Su0Jg2Ha",
                "2026-03-01T13:00:00.000Z",
            )
        },
    ),
    problems=(MalformedForm, TaskNotFound, NotFinished, NoResult, BodyTooLarge, BodyTooSlow, InvalidParameters),
    body=Body(LinkRequest, LinkRequest(600)),
)
async def link(request: Request) -> Response:
    """Create a signed link to the result, or one for each variant, which needs no API key until it expires."""
    body = await read_body(request, LinkRequest)
    task = require_success(await get_own_task(request))
    expires_s = now_ms() // 1000 + body.expires_in
    links = {name: await request.state["links"].link(path, expires_s) for name, path in task.result_paths.items()}
    url = links if task.spec.plan.is_named else links[""]
    return json_response(Link(task.id, url, rfc3339(expires_s * 1000)))
