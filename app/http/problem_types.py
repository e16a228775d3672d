"""The one table of what can go wrong: which error is which response."""

import re

from msgspec import Struct
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from app.http.exceptions import (
    AdminOnly,
    BodyTooLarge,
    BodyTooSlow,
    ForeignOrigin,
    HostNotAllowed,
    InvalidKey,
    KeyReused,
    LinkRefused,
    MalformedForm,
    NoResult,
    NotFinished,
    NotServedHere,
    NoWebhook,
    RangeNotSatisfiable,
    ReadOnlySession,
    ResultNotFound,
    SeveralResults,
    Unauthorized,
    UnsupportedImage,
    UploadGone,
    UploadTooLarge,
    UploadTooSlow,
    WrongKey,
    WrongToken,
)
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters
from worker.storage import StorageUnavailable
from worker.tasks.capacity import OwnerWaits, QueueFull
from worker.tasks.claims import KeyInUse
from worker.tasks.model import TaskNotFound, TaskRunning, WrongState
from worker.validation.fields import Problem


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
