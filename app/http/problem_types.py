"""The table of errors: the status, meaning and example of each."""

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
    TooManyStreams,
    TooManyUploads,
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
from worker.runner.partial_uploads import OffsetMismatch, TooManyPartialUploads, UploadNotFound
from worker.storage import StorageFull, StorageUnavailable
from worker.tasks.batches import BatchNotFound, BatchRunning
from worker.tasks.claims import KeyInUse
from worker.tasks.queue_state import OwnerQueueFull, QueueFull
from worker.tasks.status import TaskNotFound, TaskRunning, UnreadableTask, WrongState
from worker.validation.fields import Problem


class ProblemType(Struct, frozen=True):
    """The status and the documentation of a type of error."""

    status: int
    meaning: str
    """What happened and what to do."""
    example: str
    """An example of its `detail`."""


_TASK_ID = "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e"

PROBLEM_TYPES: dict[type[Exception], ProblemType] = {
    MalformedForm: ProblemType(
        400,
        "The body is not a valid multipart form or JSON document.",
        "the form ends before its closing boundary",
    ),
    InvalidKey: ProblemType(
        400,
        "The Idempotency-Key header is malformed.",
        'Idempotency-Key: must be one string of 1 to 255 ASCII characters in quotes, such as "a-uuid"',
    ),
    ClientDisconnect: ProblemType(400, "The client closed the connection before the form was complete.", ""),
    Unauthorized: ProblemType(
        401,
        "The API key is missing or not valid. `WWW-Authenticate` says how to send one (RFC 6750).",
        "an API key is required; send Authorization: Bearer <key>",
    ),
    AdminOnly: ProblemType(
        403, "The API key is valid, but lacks the admin right.", "this requires an API key with the admin right"
    ),
    NotServedHere: ProblemType(
        403, "The server has no API keys and therefore only serves its own machine.", str(NotServedHere())
    ),
    HostNotAllowed: ProblemType(
        403,
        "The `Host` header does not name this server: it must be a loopback name or one of ALLOWED_HOSTS.",
        str(HostNotAllowed("images.example.org")),
    ),
    ForeignOrigin: ProblemType(
        403,
        "A web page of another origin requested a change. CORS_ORIGINS lists the origins that may.",
        str(ForeignOrigin("https://pages.example")),
    ),
    WrongKey: ProblemType(403, "Signing in requires an API key with the admin right.", str(WrongKey())),
    WrongToken: ProblemType(
        403,
        "A change in a session requires the token of that session, against cross-site request forgery.",
        str(WrongToken()),
    ),
    ReadOnlySession: ProblemType(
        403, "Sessions of the monitor are read-only on this server; API keys are not.", str(ReadOnlySession())
    ),
    LinkRefused: ProblemType(
        403,
        "The signed link to a result was modified or has expired. Request a new one.",
        "the link has expired; request a new one",
    ),
    TaskNotFound: ProblemType(
        404,
        "No task has this id, or it has expired, or it belongs to another API key.",
        str(TaskNotFound(_TASK_ID)),
    ),
    BatchNotFound: ProblemType(
        404,
        "No batch has this id, or its tasks have expired, or it belongs to another API key.",
        str(BatchNotFound(_TASK_ID)),
    ),
    UploadNotFound: ProblemType(
        404,
        "No resumable upload has this id, or it has expired, or it belongs to another API key.",
        str(UploadNotFound(_TASK_ID)),
    ),
    OffsetMismatch: ProblemType(
        409,
        "The bytes do not follow those that have arrived. `Upload-Offset` says how many those are.",
        str(OffsetMismatch(1_048_576, 2_097_152)),
    ),
    TooManyPartialUploads: ProblemType(
        429, "This client has too many unfinished resumable uploads.", str(TooManyPartialUploads())
    ),
    ResultNotFound: ProblemType(
        404,
        "The task has no result with this name, or the result file was deleted.",
        "the task has no result with this name",
    ),
    SeveralResults: ProblemType(
        406,
        "An image was requested, and the task has, or would have, several results. Request one by its path, or JSON.",
        str(SeveralResults([f"processed/{_TASK_ID}/photo-small.webp", f"processed/{_TASK_ID}/photo-large.avif"])),
    ),
    UploadTooSlow: ProblemType(
        408,
        "The upload stopped, was slower than UPLOAD_MIN_BYTES_S, or took longer than UPLOAD_TIMEOUT_S.",
        str(UploadTooSlow("within 120 s")),
    ),
    BodyTooSlow: ProblemType(408, "The body was not complete within the time limit.", str(BodyTooSlow(15))),
    NotFinished: ProblemType(
        409,
        "The task has no result yet. Try again after `Retry-After`, use `Prefer: wait=N`, or follow its events.",
        "the task is STARTED; try again when it has ended",
    ),
    NoResult: ProblemType(
        409,
        "The task ended without a result. A retry may produce one.",
        "the task ended as FAILURE: the file is truncated",
    ),
    BatchRunning: ProblemType(
        409,
        "The batch has unfinished tasks. Wait for their end or cancel them; `partial=true` returns the results so far.",
        str(BatchRunning(3)),
    ),
    NoWebhook: ProblemType(
        409,
        "The task has no webhook to send again.",
        "the task has no webhook to send again: it has no callback_url",
    ),
    KeyInUse: ProblemType(
        409,
        "A request with this Idempotency-Key is still being received. Repeat yours after `Retry-After`.",
        str(KeyInUse()),
    ),
    WrongState: ProblemType(
        409,
        "The state of the task does not allow this.",
        "task 3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e is SUCCESS and cannot become REVOKED",
    ),
    TaskRunning: ProblemType(
        409,
        "A running task cannot be deleted. Cancel it first.",
        str(TaskRunning(_TASK_ID)),
    ),
    UploadGone: ProblemType(
        410,
        "The upload of the task was deleted or never fetched, so the task cannot be retried or be a `source`.",
        str(UploadGone()),
    ),
    # No `Connection: close`: closing with unread bytes resets the socket, and the client would not see the response.
    UploadTooLarge: ProblemType(413, "The file exceeds the size limit.", str(UploadTooLarge(33_554_432))),
    BodyTooLarge: ProblemType(413, "The body exceeds the size limit.", str(BodyTooLarge(16_384))),
    UnsupportedImage: ProblemType(415, "The file is not in a supported format.", str(UnsupportedImage(InputFormat))),
    RangeNotSatisfiable: ProblemType(
        416,
        "The requested range starts after the end of the result. `Content-Range` has its size.",
        str(RangeNotSatisfiable(48_213)),
    ),
    InvalidParameters: ProblemType(
        422,
        "Fields are missing, unknown, out of bounds or in conflict. `errors` names all of them.",
        str(InvalidParameters([Problem("width", "must be a whole number from 1 to 16383; got '-1'")])),
    ),
    KeyReused: ProblemType(
        422,
        "A different request was accepted with this Idempotency-Key. Use a new key for each request.",
        str(KeyReused()),
    ),
    QueueFull: ProblemType(
        429,
        "The queue is full. Try again after `Retry-After`, which follows from the measured rate.",
        str(QueueFull(1000, 100)),
    ),
    OwnerQueueFull: ProblemType(
        429,
        "This API key has reached its limit of waiting tasks. Try again after `Retry-After`.",
        str(OwnerQueueFull(3, 10)),
    ),
    TooManyUploads: ProblemType(
        503,
        "The server is already receiving as many uploads as it can. Try again after `Retry-After`.",
        str(TooManyUploads(20)),
    ),
    TooManyStreams: ProblemType(
        503,
        "This client, or all clients together, have the maximum number of event streams open.",
        str(TooManyStreams()),
    ),
    UnreadableTask: ProblemType(
        503,
        "The record of the task was written by another version of Darkroom, as in a rolling upgrade, or is damaged.",
        str(UnreadableTask(_TASK_ID, ValueError("Invalid enum value 'PAUSED'"))),
    ),
    RedisError: ProblemType(503, "Redis is not available.", "Redis is not available; try again later"),
    StorageFull: ProblemType(
        507,
        "The disk of the storage is almost full (MIN_FREE_MB). Delete tasks, or try again later.",
        str(StorageFull(256)),
    ),
    StorageUnavailable: ProblemType(503, "Storage is not available.", "storage is not available; try again later"),
}


def reason(kind: type[Exception]) -> str:
    """Return the name of an error in metrics and, with hyphens, in its `type`: `queue_full` for `QueueFull`."""
    return getattr(kind, "slug", None) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


REASONS = sorted(map(reason, PROBLEM_TYPES))
"""The names of all problem types in metrics."""
