"""Errors of images and tasks."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The reason for a failure as a code; the task's `error` is the message."""

    PICTURE = "picture"
    """The image cannot be read, or not be processed as requested."""
    FETCH = "fetch"
    """The image cannot be fetched from its URL."""
    UPLOAD_GONE = "upload_gone"
    TIMEOUT = "timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    """The task waited longer than QUEUE_TIMEOUT_S."""
    EXPIRED = "expired"
    """The task was not started within its `expires_in`."""
    DELIVERY = "delivery"
    """The result could not be sent to its `output_url` or `output_prefix`."""
    WORKER_DIED = "worker_died"
    UNSUPPORTED_TASK = "unsupported_task"
    """The task was created by an incompatible version of Darkroom."""
    INTERNAL = "internal"


class PictureError(Exception):
    """The image cannot be processed; the message is for the client."""


class TaskFailed(Exception):
    """The task ends as FAILURE with this message for the client."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class TaskStopped(Exception):
    """The task was cancelled while it was running."""


class StorageAway(Exception):
    """Storage is unavailable; the task is queued again with a delay."""


class DamagedPicture(PictureError):
    def __init__(self) -> None:
        super().__init__("the image data is damaged or truncated")
