"""Exception handlers that turn errors into `application/problem+json` (RFC 9457)."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace
from redis.exceptions import OutOfMemoryError, RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from app.http.description import Header
from app.http.exceptions import (
    AdminOnly,
    NotFinished,
    RangeNotSatisfiable,
    TooManyStreams,
    TooManyUploads,
    Unauthorized,
)
from app.http.problem_types import PROBLEM_TYPES, reason
from app.http.responses import json_response
from worker.imaging.parsing import InvalidParameters
from worker.runner.partial_uploads import OffsetMismatch
from worker.storage import StorageFull, StorageUnavailable
from worker.tasks.claims import KeyInUse
from worker.tasks.queue_state import OwnerQueueFull, QueueFull
from worker.tasks.status import UnreadableTask
from worker.telemetry.counters import REFUSALS
from worker.validation.fields import Problem

logger = logging.getLogger(__name__)

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]

PROBLEM_JSON = "application/problem+json"

RETRY_AFTER_S = "1"
"""`Retry-After` in seconds for a task that has not ended, and while Redis or storage is unavailable."""

RETRY = Header(
    "Retry-After", "Seconds to wait before the next request.", "1", {"type": "string", "pattern": "^[0-9]+$"}
)

CHALLENGE = 'Bearer realm="darkroom"'
"""The value of `WWW-Authenticate` (RFC 6750, 3)."""
_CHALLENGE = Header("WWW-Authenticate", "The authentication scheme (RFC 6750).", CHALLENGE)

BY_STATUS = "about:blank"
"""The type of errors that the status describes completely (RFC 9457, 4.2.1), such as 404 for an unknown path."""


def type_uri(kind: type[Exception]) -> str:
    """Return the `type` of an error in its problem document, a link to the documentation (RFC 9457, 3.1.1)."""
    return f"/docs#{reason(kind).replace('_', '-')}" if kind in PROBLEM_TYPES else BY_STATUS


def error_code_uri(code: str) -> str:
    """Return the URI reference of the description of a task's error code."""
    return f"/docs#error-{code.replace('_', '-')}"


class ProblemDocument(Struct, frozen=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Problem] | UnsetType = UNSET
    """One entry for each invalid field."""
    task_id: str | UnsetType = UNSET
    """The task that the request created, or may have created, before the error; `Location` is its status."""


def _problem(kind: type[Exception], status: int, detail: str, problems: list[Problem] | UnsetType) -> ProblemDocument:
    return ProblemDocument(type_uri(kind), HTTPStatus(status).phrase, status, detail, problems)


def example(kind: type[Exception]) -> ProblemDocument:
    """Return an example of the document of an error."""
    known = PROBLEM_TYPES[kind]
    problems = [Problem(*known.example.split(": ", 1))] if kind is InvalidParameters else UNSET
    return _problem(kind, known.status, known.example, problems)


def _response(request: Request, document: ProblemDocument, headers: Mapping[str, str] | None) -> Response:
    """Return the response; it names the task that the request has created, which the client then need not repeat."""
    task_id = request.scope.get("state", {}).get("created_task_id")
    if task_id is not None:
        document = replace(document, task_id=task_id)
        headers = {"Location": f"/task-status/{task_id}", **(headers or {})}
    return json_response(document, document.status, headers, PROBLEM_JSON)


HEADERS: dict[type[Exception], tuple[Header, Callable[[Any], str]]] = {
    Unauthorized: (_CHALLENGE, lambda exc: CHALLENGE + (', error="invalid_token"' if exc.is_given else "")),
    AdminOnly: (_CHALLENGE, lambda _: f'{CHALLENGE}, error="insufficient_scope"'),
    RangeNotSatisfiable: (
        Header("Content-Range", "The size of the result in bytes.", "bytes */18244"),
        lambda exc: f"bytes */{exc.size}",
    ),
    OffsetMismatch: (
        Header("Upload-Offset", "Number of bytes that have arrived.", "1048576"),
        lambda exc: str(exc.expected),
    ),
    **dict.fromkeys((QueueFull, OwnerQueueFull), (RETRY, lambda exc: str(exc.retry_after_s))),
    **dict.fromkeys(
        (
            NotFinished,
            KeyInUse,
            TooManyUploads,
            TooManyStreams,
            UnreadableTask,
            RedisError,
            StorageUnavailable,
            StorageFull,
        ),
        (RETRY, lambda _: RETRY_AFTER_S),
    ),
}
"""Return the additional headers of an error response."""


def _handler(kind: type[Exception]) -> ExceptionHandler:
    """Return the exception handler of an error in the table."""
    status = PROBLEM_TYPES[kind].status
    header, value = HEADERS.get(kind, (None, str))

    async def handler(request: Request, exc: Exception) -> Response:
        _count(request, reason(kind))
        problems = exc.shown if isinstance(exc, InvalidParameters) else UNSET
        headers = {} if header is None else {header.name: value(exc)}
        return _response(request, _problem(kind, status, _detail(exc), problems), headers)

    return handler


def _detail(exc: Exception) -> str:
    if not isinstance(exc, (RedisError, StorageUnavailable)):
        return str(exc)
    part = "Redis" if isinstance(exc, RedisError) else "storage"
    logger.warning("%s is not available: %s", part, exc)
    state = "full" if isinstance(exc, OutOfMemoryError) else "not available"
    return f"{part} is {state}; try again later"


async def _http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    if exc.status_code == 404 and (path := _path_with_other_slash(request)):
        # Relative, because the request's Host may be any name.
        return Response(status_code=307, headers={"Location": path})
    _count(request, HTTPStatus(exc.status_code).name.lower())
    headers, detail = exc.headers, exc.detail
    if exc.status_code == 405:
        headers = {"Allow": _allow(request)}
        detail = f"{request.method} is not supported here; allowed: {headers['Allow']}"
    elif exc.status_code == 404:
        detail = f"no route has this path{_nearest_route(request)}; /docs lists all of them"
    return _response(request, _problem(HTTPException, exc.status_code, detail, UNSET), headers)


def _nearest_route(request: Request) -> str:
    """Return "; did you mean ...?" for the route whose path is most like that of the request, if one is."""
    paths = {each.path_format for each in request.app.routes if isinstance(each, Route) and each.include_in_schema}
    asked = _ID.sub("{task_id}", request.scope["path"][:200])
    close = get_close_matches(asked, paths, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def _allow(request: Request) -> str:
    """Return the methods of all routes with the path of the request; Starlette only names those of the first route."""
    method_sets = (each.methods for each in _routes(request, request.scope["path"]))
    return ", ".join(sorted({method for methods in method_sets for method in methods or ()}))


def _routes(request: Request, path: str) -> list[Route]:
    scope = {**request.scope, "path": path}
    routes = [each for each in request.app.routes if isinstance(each, Route) and each.methods]
    return [each for each in routes if each.matches(scope)[0] is not Match.NONE]


def _path_with_other_slash(request: Request) -> str | None:
    """Return the path and query of a route that differs from the request's in its last slash, if there is one."""
    path = request.scope["path"]
    other = path.removesuffix("/") if path.endswith("/") else path + "/"
    return str(request.url.replace(scheme="", netloc="", path=other)) if _routes(request, other) else None


async def _internal_error(request: Request, exc: Exception) -> Response:
    _count(request, HTTPStatus(500).name.lower())
    return _response(
        request, _problem(type(exc), 500, "internal error; the log of the server has the cause", UNSET), None
    )


def _count(request: Request, known: str) -> None:
    request.state["tasks"].stats.count(REFUSALS, known)


# Every handler is async: Starlette runs plain functions in a thread pool, which is exhausted under overload.
EXCEPTION_HANDLERS: dict[type[Exception], ExceptionHandler] = {
    **{kind: _handler(kind) for kind in PROBLEM_TYPES},
    HTTPException: _http_error,
    # Starlette raises the error again after this response, so the server logs the traceback.
    Exception: _internal_error,
}


async def answer_to(exc: Exception, request: Request) -> Response:
    """Respond to an error raised in a middleware, where Starlette does not apply exception handlers."""
    kind = next(kind for kind in type(exc).__mro__ if kind in EXCEPTION_HANDLERS)
    return await EXCEPTION_HANDLERS[kind](request, exc)
