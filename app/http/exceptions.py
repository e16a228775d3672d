"""The errors of requests. `app.http.problems` has the table that maps each to its response."""

from collections.abc import Iterable, Sequence

from worker.imaging.formats import InputFormat
from worker.tasks.model import Task
from worker.validation.fields import shorten

OPENING = (
    "set API_KEYS (`python -m app.keys NAME` creates one), "
    "or ALLOW_ANYONE=true and ALLOWED_HOSTS to give everyone full access"
)
"""How to configure the server for other machines."""


class MalformedForm(Exception):
    """The request body is not a valid multipart form or JSON document."""


class UploadTooLarge(Exception):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the upload is too large; the limit is {max_bytes:,} bytes")


class UploadTooSlow(Exception):
    def __init__(self, limit: str) -> None:
        super().__init__(f"the upload did not arrive {limit}")


class TooManyUploads(Exception):
    def __init__(self, waited_s: float) -> None:
        super().__init__(f"other uploads took all places for {waited_s:g} s; try again later")


class TooManyStreams(Exception):
    def __init__(self) -> None:
        super().__init__("too many clients receive events; close some, or try again later")


class UnsupportedImage(Exception):
    """The file is not in one of the `allowed` formats; `what` says what it is, if that is known."""

    def __init__(self, allowed: Iterable[InputFormat], what: str = "") -> None:
        choices = ", ".join(known.value for known in allowed)
        found = f"the file is {what}" if what else "the file is not a supported image, whatever its name"
        super().__init__(f"{found}; supported formats: {choices}")


class InvalidKey(Exception):
    """The `Idempotency-Key` header is malformed."""


class KeyReused(Exception):
    def __init__(self) -> None:
        super().__init__("a different request was accepted with this Idempotency-Key; use a new key for each request")


class Unauthorized(Exception):
    """The API key is missing or not valid. The message never contains it."""

    def __init__(self, *, is_given: bool) -> None:
        super().__init__(
            "the API key is not valid; send Authorization: Bearer <key>"
            if is_given
            else "an API key is required; send Authorization: Bearer <key>"
        )
        self.is_given = is_given


class AdminOnly(Exception):
    def __init__(self) -> None:
        super().__init__("this requires an API key with the admin right")


class WrongKey(Exception):
    def __init__(self) -> None:
        super().__init__("not a valid API key with the admin right")


class WrongToken(Exception):
    def __init__(self) -> None:
        super().__init__("the X-CSRF-Token header is missing or not the token of this session; sign in again")


class ReadOnlySession(Exception):
    def __init__(self) -> None:
        super().__init__("sessions are read-only on this server (MONITOR_READ_ONLY); use an API key")


class NotServedHere(Exception):
    def __init__(self) -> None:
        super().__init__(f"this server only serves its own machine; to serve others, {OPENING}")


class HostNotAllowed(Exception):
    def __init__(self, host: str) -> None:
        super().__init__(f"the Host {shorten(host)} is not allowed; add it to ALLOWED_HOSTS")


class ForeignOrigin(Exception):
    def __init__(self, origin: str) -> None:
        page = f"of {shorten(origin)}" if origin else "of another origin"
        super().__init__(f"web pages {page} must not change anything; add the origin to CORS_ORIGINS to allow it")


class LinkRefused(Exception):
    """The signed link is not valid or has expired."""


class NotFinished(Exception):
    def __init__(self, task: Task) -> None:
        super().__init__(f"the task is {task.status}; try again when it has ended")


class SeveralResults(Exception):
    """One image was requested of a task that has several; `names` are those of the variants, or their paths."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"the task has {len(names)} results; request one of them, or JSON: {', '.join(names)}")


class NoResult(Exception):
    def __init__(self, task: Task) -> None:
        super().__init__(f"the task ended as {task.status}" + (f": {task.error}" if task.error else ""))


class ResultNotFound(Exception):
    """The task has no result with this name, or the result file was deleted."""


class UploadGone(Exception):
    def __init__(self) -> None:
        super().__init__("the upload of this task is not in storage; send the image again")


class BodyTooLarge(Exception):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the body is too large; the limit is {max_bytes:,} bytes")


class BodyTooSlow(Exception):
    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the body did not arrive within {timeout_s:g} s")


class RangeNotSatisfiable(Exception):
    """The requested range starts after the end of the result, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes")
        self.size = size


class NoWebhook(Exception):
    def __init__(self, task: Task) -> None:
        reason = (
            "it has no callback_url" if task.callback_url is None else "it has not ended, or its webhook has expired"
        )
        super().__init__(f"the task has no webhook to send again: {reason}")
