"""What is wrong with a picture, and why a task fails."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a task failed, for programs; its `error` is the sentence for people."""

    PICTURE = "picture"
    """The picture cannot be read, or not be processed as asked."""
    FETCH = "fetch"
    """There is no picture to be had at its URL."""
    UPLOAD_GONE = "upload_gone"
    TIMEOUT = "timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    """No worker came to it in time."""
    WORKER_DIED = "worker_died"
    UNSUPPORTED_TASK = "unsupported_task"
    """Another version of Darkroom accepted it."""
    INTERNAL = "internal"


class PictureError(Exception):
    """The picture cannot be processed; the text is a sentence for the person who sent it."""


class TaskFailed(Exception):
    """The task ends as FAILURE with this sentence for its client."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class TaskStopped(Exception):
    """The task was cancelled while it ran."""


class DamagedPicture(PictureError):
    def __init__(self) -> None:
        super().__init__("the picture data is damaged or ends too early")
