"""Errors of images and tasks."""

from enum import StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """The reason for a failure as a code; the task's `error` is the message. `GET /operations` describes each."""

    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    IMPOSSIBLE = "impossible"
    MAX_BYTES = "max_bytes"
    METADATA = "metadata"
    FETCH = "fetch"
    UPLOAD_GONE = "upload_gone"
    TIMEOUT = "timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    EXPIRED = "expired"
    DELIVERY = "delivery"
    WORKER_DIED = "worker_died"
    UNSUPPORTED_TASK = "unsupported_task"
    INTERNAL = "internal"
    PICTURE = "picture"


class Cause(NamedTuple):
    """What an error code means."""

    meaning: str
    """A sentence or two for clients and operators, with what they can do."""
    retry_helps: bool
    """Whether the same task may succeed if it is retried."""


CAUSES = {
    ErrorCode.DAMAGED: Cause(
        "The image data is damaged or truncated. Upload the file again; `on_damage=keep` processes what can be read.",
        retry_helps=False,
    ),
    ErrorCode.TOO_LARGE: Cause(
        "The image or its result exceeds a limit: pixels, frames, bytes, or what the format allows. Reduce it first, "
        "or raise the limit.",
        retry_helps=False,
    ),
    ErrorCode.UNSUPPORTED: Cause(
        "The file uses a variant of its format that is not supported. Convert it to PNG, JPEG or WebP.",
        retry_helps=False,
    ),
    ErrorCode.IMPOSSIBLE: Cause(
        "An operation or an output parameter is not possible with this image, such as a crop outside of it. Change the "
        "parameters.",
        retry_helps=False,
    ),
    ErrorCode.MAX_BYTES: Cause(
        "The result is larger than `max_bytes` even at the lowest quality. Allow more bytes, reduce the size, or "
        "choose another format.",
        retry_helps=False,
    ),
    ErrorCode.METADATA: Cause(
        "The metadata cannot be kept as requested. Choose `metadata=strip` or another format.", retry_helps=False
    ),
    ErrorCode.FETCH: Cause(
        "The image could not be fetched from its URL or store. Check that the address answers.", retry_helps=True
    ),
    ErrorCode.UPLOAD_GONE: Cause("The upload is no longer in storage. Upload the image again.", retry_helps=False),
    ErrorCode.TIMEOUT: Cause(
        "Processing took longer than TASK_TIMEOUT_S. Retry it when the workers are less busy, reduce the image, or "
        "raise the limit.",
        retry_helps=True,
    ),
    ErrorCode.QUEUE_TIMEOUT: Cause(
        "The task waited longer than QUEUE_TIMEOUT_S for a worker. Retry it, or run more workers.", retry_helps=True
    ),
    ErrorCode.EXPIRED: Cause(
        "The task was not started within its `expires_in`. Create it again if its result is still needed.",
        retry_helps=False,
    ),
    ErrorCode.DELIVERY: Cause(
        "The result could not be sent to its `output_url` or `output_prefix`. Check that the destination accepts it.",
        retry_helps=True,
    ),
    ErrorCode.WORKER_DIED: Cause(
        "The worker died while it processed the image, most often because it ran out of memory. Look at the logs of "
        "the worker before you retry.",
        retry_helps=True,
    ),
    ErrorCode.UNSUPPORTED_TASK: Cause(
        "The task was created by an incompatible version of Darkroom. Create it again.", retry_helps=False
    ),
    ErrorCode.INTERNAL: Cause(
        "An unexpected error, whose traceback is in the log of the worker. Please report it.", retry_helps=True
    ),
    ErrorCode.PICTURE: Cause(
        "The image could not be processed. Only in tasks of an earlier version, in which one code stood for "
        "`damaged`, `too_large`, `unsupported`, `impossible`, `max_bytes` and `metadata`.",
        retry_helps=False,
    ),
}


class PictureError(Exception):
    """The image cannot be processed as requested; the message is for the client."""

    code = ErrorCode.IMPOSSIBLE
    operation: str | None = None
    """The name of the operation that is not possible, if it is one."""

    def at(self, place: str) -> "PictureError":
        """Return the same error with a place, such as a variant, at the beginning of its message."""
        error = PictureError(f"{place}: {self}")
        error.code, error.operation = self.code, self.operation
        return error


class DamagedPicture(PictureError):
    code = ErrorCode.DAMAGED

    def __init__(self, message: str = "the image data is damaged or truncated") -> None:
        super().__init__(message)


class TooLarge(PictureError):
    """The image or the result exceeds a limit."""

    code = ErrorCode.TOO_LARGE


class UnsupportedVariant(PictureError):
    """The file uses an unsupported variant of its format."""

    code = ErrorCode.UNSUPPORTED


class MaxBytesOutOfReach(PictureError):
    """No quality gives a result of at most `max_bytes`."""

    code = ErrorCode.MAX_BYTES


class MetadataNotKept(PictureError):
    """The metadata cannot be kept as requested."""

    code = ErrorCode.METADATA


class TaskFailed(Exception):
    """The task ends as FAILURE with this message for the client."""

    def __init__(self, code: ErrorCode, message: str, operation: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation
        """The name of the operation that is not possible, or that ran when the time was over."""


class TaskStopped(Exception):
    """The task was cancelled while it was running."""


class StorageAway(Exception):
    """Storage is unavailable; the task is queued again with a delay."""
