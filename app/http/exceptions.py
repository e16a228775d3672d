"""The errors of requests. `app.http.problems` has the table that maps each to its response."""

from collections.abc import Iterable

from worker.imaging.formats import InputFormat
from worker.tasks.model import Task
from worker.validation.fields import shortened

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
