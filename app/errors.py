"""What can go wrong with a request, and the one table that says which answer each is. `app.problems` gives them."""

import re
from collections.abc import Iterable

from msgspec import Struct
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from worker.claims import KeyInUse
from worker.fields import Problem
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters
from worker.states import OwnerWaits, QueueFull, Task, TaskNotFound, TaskRunning, WrongState
from worker.storage import StorageUnavailable
from worker.words import shortened

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
        self.is_given = is_given


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


class HostNotAllowed(Exception):
    def __init__(self, host: str) -> None:
        super().__init__(f"{shortened(host)} is not a host name of this server; add it to ALLOWED_HOSTS")


class ForeignOrigin(Exception):
    def __init__(self, origin: str) -> None:
        page = f"of {shortened(origin)}" if origin else "of another origin"
        super().__init__(f"a web page {page} may change nothing here; add its origin to CORS_ORIGINS")


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


class ResultNotFound(Exception):
    """There is no such result, or not any more."""


class UploadGone(Exception):
    def __init__(self) -> None:
        super().__init__("the upload of this task is gone; send the picture again")


class BodyTooLarge(Exception):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the body is too large; it may have {max_bytes:,} bytes")


class BodyTooSlow(Exception):
    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the body did not arrive within {timeout_s:g} s")


class RangeNotSatisfiable(Exception):
    """The part that was asked for begins after the end of the result, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the result has {size} bytes")
        self.size = size


class NoWebhook(Exception):
    def __init__(self, task: Task) -> None:
        reason = "it has no callback_url" if task.callback_url is None else "it has not ended, or that was long ago"
        super().__init__(f"the task has no webhook to be sent again: {reason}")


class ProblemType(Struct, frozen=True):
    """A kind of error as clients know it."""

    status: int
    meaning: str
    """What happened, and what to do."""
    example: str
    """What its `detail` may say."""


# The one table of what can go wrong: which error is which answer.
PROBLEM_TYPES: dict[type[Exception], ProblemType] = {
    MalformedForm: ProblemType(
        400,
        "The body is not the form, or the JSON, that it should be. Clients that build forms themselves get this most.",
        "the form ends before its closing boundary",
    ),
    InvalidKey: ProblemType(
        400,
        "The Idempotency-Key header is not what it should be.",
        'Idempotency-Key: give one text of 1 to 255 ASCII characters, in quotes: "a-uuid"',
    ),
    ClientDisconnect: ProblemType(400, "The connection broke off before the form was complete; nobody reads this.", ""),
    Unauthorized: ProblemType(
        401,
        "This server wants a key, and none or an unknown one was given. WWW-Authenticate says how (RFC 6750).",
        "a key is needed: Authorization: Bearer <key>",
    ),
    AdminOnly: ProblemType(
        403, "The key is good, but this needs one with the admin right.", "this needs a key with the admin right"
    ),
    NotServedHere: ProblemType(
        403, "The server has no keys, so it answers its own machine alone.", str(NotServedHere())
    ),
    HostNotAllowed: ProblemType(
        403,
        "The request names a host that is not this server's: ALLOWED_HOSTS lists its names beside those of loopback.",
        str(HostNotAllowed("images.example.org")),
    ),
    ForeignOrigin: ProblemType(
        403,
        "A web page of another origin asked for a change: CORS_ORIGINS lists the origins that may.",
        str(ForeignOrigin("https://pages.example")),
    ),
    WrongKey: ProblemType(403, "Only a key with the admin right begins a session.", str(WrongKey())),
    WrongToken: ProblemType(
        403, "A session changes something only with its token, which pages elsewhere do not know.", str(WrongToken())
    ),
    ReadOnlySession: ProblemType(
        403, "Sessions of the monitor only look here; keys may do more.", str(ReadOnlySession())
    ),
    LinkRefused: ProblemType(
        403,
        "The signed link to a result was changed, or has expired; ask whoever gave it for a new one.",
        "the link has expired; ask whoever gave it for a new one",
    ),
    TaskNotFound: ProblemType(
        404,
        "There is no such task, or not any more, or it is somebody else's.",
        str(TaskNotFound("3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e")),
    ),
    ResultNotFound: ProblemType(
        404, "There is no such result, or not any more.", "the task has no result of this name"
    ),
    SeveralResults: ProblemType(
        406,
        "A picture was asked for, and the task has several; take one by its path, or ask for JSON.",
        "the task has 2 results; ask for one: processed/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e/photo-small.webp, "
        "processed/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e/photo-large.avif",
    ),
    UploadTooSlow: ProblemType(408, "The upload took longer than it may.", str(UploadTooSlow(120))),
    BodyTooSlow: ProblemType(408, "The body took longer than it may.", str(BodyTooSlow(15))),
    NotFinished: ProblemType(
        409,
        "The task has no result yet: ask again after Retry-After, wait with `Prefer: wait=N`, or listen to its events.",
        "the task is STARTED; ask again when it has ended",
    ),
    NoResult: ProblemType(
        409,
        "The task ended without a result and will never have one, unless it is tried again.",
        "the task ended as FAILURE: the file ends before the picture does",
    ),
    NoWebhook: ProblemType(
        409,
        "There is nothing to be sent again.",
        "the task has no webhook to be sent again: it has no callback_url",
    ),
    KeyInUse: ProblemType(
        409,
        "A request with this Idempotency-Key is still being received; send yours again after Retry-After.",
        str(KeyInUse()),
    ),
    WrongState: ProblemType(
        409,
        "The task is in no state from which this can be done.",
        "task 3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e is SUCCESS and cannot become REVOKED",
    ),
    TaskRunning: ProblemType(
        409,
        "A running task cannot be removed; cancel it first.",
        str(TaskRunning("3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e")),
    ),
    UploadGone: ProblemType(410, "The task cannot be tried again, because its upload is gone.", str(UploadGone())),
    # No `Connection: close`: closed with bytes unread, the socket is reset and the client never sees this answer.
    UploadTooLarge: ProblemType(413, "The picture's file is larger than it may be.", str(UploadTooLarge(33_554_432))),
    BodyTooLarge: ProblemType(413, "The body is larger than it may be.", str(BodyTooLarge(16_384))),
    UnsupportedImage: ProblemType(
        415, "The file is in no format that is read here.", str(UnsupportedImage(InputFormat))
    ),
    RangeNotSatisfiable: ProblemType(
        416,
        "The part that was asked for begins after the end; Content-Range says how long the result is.",
        str(RangeNotSatisfiable(48_213)),
    ),
    InvalidParameters: ProblemType(
        422,
        "Fields are missing, unknown, out of bounds or do not go together. `errors` names every one of them.",
        str(InvalidParameters([Problem("width", "'-1' is not allowed; give a whole number from 1 to 16383")])),
    ),
    KeyReused: ProblemType(
        422, "Another request was accepted with this Idempotency-Key; each needs a key of its own.", str(KeyReused())
    ),
    QueueFull: ProblemType(
        429,
        "As many tasks wait as may; come back after Retry-After, which follows from the measured rate.",
        str(QueueFull(1000, 100)),
    ),
    OwnerWaits: ProblemType(
        429, "As many tasks of this key wait as may; come back after Retry-After.", str(OwnerWaits(3, 10))
    ),
    RedisError: ProblemType(503, "Redis does not answer.", "Redis does not answer; try again soon"),
    StorageUnavailable: ProblemType(503, "Storage does not answer.", "storage does not answer; try again soon"),
}


def reason(kind: type[Exception]) -> str:
    """Return what an error is called where refusals are counted: `queue_full` for `QueueFull`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


REASONS = sorted(map(reason, PROBLEM_TYPES))
"""Why requests are refused, beside what a status alone tells."""
