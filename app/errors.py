"""Every error as `application/problem+json` (RFC 9457), in this one place."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.responses import json_response
from worker.claims import KeyInUse
from worker.fields import Problem
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters
from worker.states import OwnerWaits, QueueFull, Task, TaskNotFound, TaskRunning, WrongState
from worker.stats import REFUSALS
from worker.storage import StorageUnavailable

logger = logging.getLogger(__name__)

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds that a client is asked to wait for a task to finish, or for Redis or storage to come back."""


CHALLENGE = 'Bearer realm="darkroom"'
"""What `WWW-Authenticate` asks for (RFC 6750, 3)."""

OPENING = "set API_KEYS (`python -m app.keys NAME` makes one), or ALLOW_ANYONE=true to let anyone do anything"
"""What lets other machines in."""


class MalformedForm(Exception):
    """The request body is not the multipart form that it should be."""


class UploadTooLarge(Exception):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the upload is too large; a picture may have {max_bytes:,} bytes")


class UploadTooSlow(Exception):
    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the upload did not arrive within {timeout_s:g} s")


class UnsupportedImage(Exception):
    def __init__(self, allowed: Iterable[InputFormat]) -> None:
        choices = ", ".join(known.value for known in allowed)
        super().__init__(f"the file is not a picture that can be read, whatever its name says; allowed: {choices}")


class InvalidKey(Exception):
    """The `Idempotency-Key` header is not what it should be."""


class KeyReused(Exception):
    def __init__(self) -> None:
        super().__init__("another request was accepted with this Idempotency-Key; give each a key of its own")


class Unauthorized(Exception):
    """There is no key, or none that is known: what was given is never repeated."""

    def __init__(self, *, is_given: bool) -> None:
        super().__init__(
            "what Authorization gives is not a key of this server; give Authorization: Bearer <key>"
            if is_given
            else "a key is needed: Authorization: Bearer <key>"
        )
        self.challenge = CHALLENGE + (', error="invalid_token"' if is_given else "")


class AdminOnly(Exception):
    def __init__(self) -> None:
        super().__init__("this needs a key with the admin right")


class WrongKey(Exception):
    def __init__(self) -> None:
        super().__init__("this is not a key of this server with the admin right")


class WrongToken(Exception):
    def __init__(self) -> None:
        super().__init__("a session changes nothing without its token in X-CSRF-Token; sign in again")


class ReadOnlySession(Exception):
    def __init__(self) -> None:
        super().__init__("the monitor only shows here (MONITOR_READ_ONLY); use a key and the API")


class NotServedHere(Exception):
    def __init__(self) -> None:
        super().__init__(f"this server answers its own machine alone; to serve others, {OPENING}")


class LinkRefused(Exception):
    """The signed link is not good, or not any more."""


class NotFinished(Exception):
    def __init__(self, task: Task) -> None:
        super().__init__(f"the task is {task.status}; ask again when it has ended")


class SeveralResults(Exception):
    def __init__(self, task: Task) -> None:
        super().__init__(
            f"the task has {len(task.result_paths)} results; ask for one: {', '.join(task.result_paths.values())}"
        )


class NoResult(Exception):
    def __init__(self, task: Task) -> None:
        super().__init__(f"the task ended as {task.status}" + (f": {task.error}" if task.error else ""))


class UploadGone(Exception):
    def __init__(self) -> None:
        super().__init__("the upload of this task is gone; send the picture again")


class NoWebhook(Exception):
    def __init__(self, task: Task) -> None:
        reason = "it has no callback_url" if task.callback_url is None else "it has not ended, or that was long ago"
        super().__init__(f"the task has no webhook to be sent again: {reason}")


def problem(
    status: int, detail: str, *, problems: list[Problem] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Build a problem document; `problems` become its `errors`, one for each field."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if problems is not None:
        body["errors"] = problems
    return json_response(body, status, headers, "application/problem+json")


def _answer(status: int, headers: Mapping[str, str] | None = None) -> ExceptionHandler:
    async def handler(_: Request, exc: Exception) -> Response:
        problems = exc.problems if isinstance(exc, InvalidParameters) else None
        return problem(status, str(exc), problems=problems, headers=headers)

    return handler


def _away(part: str) -> ExceptionHandler:
    async def handler(_: Request, exc: Exception) -> Response:
        logger.warning("%s is away: %s", part, exc)
        return problem(503, f"{part} does not answer; try again soon", headers=RETRY_AFTER)

    return handler


async def _queue_full(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, QueueFull):
        raise exc
    return problem(429, str(exc), headers={"Retry-After": str(exc.retry_after_s)})


async def _unauthorized(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, Unauthorized):
        raise exc
    return problem(401, str(exc), headers={"WWW-Authenticate": exc.challenge})


async def _http_error(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    return problem(exc.status_code, exc.detail, headers=exc.headers)


async def _unexpected(_: Request, __: Exception) -> Response:
    return problem(500, "an error of the service's own; its log has the cause")


# Every handler is async: Starlette would send a plain function through a thread pool, which overload fills.
_HANDLERS: dict[type[Exception], ExceptionHandler] = {
    MalformedForm: _answer(400),
    InvalidKey: _answer(400),
    ClientDisconnect: _answer(400),  # nobody is there to read it
    Unauthorized: _unauthorized,
    AdminOnly: _answer(403, {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'}),
    NotServedHere: _answer(403),
    WrongKey: _answer(403),
    WrongToken: _answer(403),
    ReadOnlySession: _answer(403),
    LinkRefused: _answer(403),
    TaskNotFound: _answer(404),
    UploadTooSlow: _answer(408),
    NotFinished: _answer(409, RETRY_AFTER),
    NoResult: _answer(409),
    NoWebhook: _answer(409),
    SeveralResults: _answer(406),
    KeyInUse: _answer(409, RETRY_AFTER),
    WrongState: _answer(409),
    TaskRunning: _answer(409),
    UploadGone: _answer(410),
    # No `Connection: close`: closed with bytes unread, the socket is reset and the client never sees this answer.
    UploadTooLarge: _answer(413),
    UnsupportedImage: _answer(415),
    InvalidParameters: _answer(422),
    KeyReused: _answer(422),
    QueueFull: _queue_full,
    OwnerWaits: _queue_full,
    RedisError: _away("Redis"),
    StorageUnavailable: _away("storage"),
    HTTPException: _http_error,
    # Starlette raises the error again after this answer, so the server logs its traceback.
    Exception: _unexpected,
}


def _reason(kind: type[Exception]) -> str:
    """Return what an error is called where refusals are counted: `queue_full` for `QueueFull`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def _counted(kind: type[Exception], handler: ExceptionHandler) -> ExceptionHandler:
    reason = _reason(kind)

    async def counted(request: Request, exc: Exception) -> Response:
        response = await handler(request, exc)
        # Starlette's own, and ours without a class, are told apart by their status: `not_found`.
        known = HTTPStatus(response.status_code).name.lower() if kind in _BY_STATUS else reason
        request.state["tasks"].stats.count(REFUSALS, known)
        return response

    return counted


_BY_STATUS = {HTTPException, Exception}

REASONS = sorted(_reason(kind) for kind in _HANDLERS if kind not in _BY_STATUS)
"""Why requests are refused, beside what a status alone tells."""

EXCEPTION_HANDLERS = {kind: _counted(kind, handler) for kind, handler in _HANDLERS.items()}


async def answer_to(exc: Exception, request: Request) -> Response:
    """Answer what was raised before the routes, where Starlette does not look into the table."""
    kind = next(kind for kind in type(exc).__mro__ if kind in EXCEPTION_HANDLERS)
    return await EXCEPTION_HANDLERS[kind](request, exc)
