"""Whose turn a task waits for, when it is to be started, and by which tags it is found."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
"""Names of API keys and queue groups, shorter than keys and hashes, so that none of those is logged as a name."""

ALLOWED_NAME = "1 to 32 letters, digits, _ and -, beginning with a letter or digit"

TAG = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,31}$"
ALLOWED_TAG = "1 to 32 letters, digits, _ . : and -, beginning with a letter or digit"
MOST_TAGS = 10

LATEST_START_S = LONGEST_EXPIRY_S = 7 * 86_400


class Owner(Struct, frozen=True):
    """The API key to which a task belongs."""

    name: str
    limit: int | None = None
    """Maximum number of waiting tasks of this owner; None for the limit of the queue."""
    weight: int = 1
    """The owner's share of the workers, in proportion to the weights of the others whose tasks wait."""


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Schedule(Struct, frozen=True, omit_defaults=True):
    """When and whether a task is to be started, and its tags; the fields of the form with which a request says so."""

    priority: Annotated[
        Priority,
        Meta(
            description=(
                "high starts before the other tasks of the same API key or queue_group, but does not get "
                "them more turns; low starts only when no other task is waiting."
            )
        ),
    ] = Priority.NORMAL
    queue_group: (
        Annotated[
            str,
            Meta(
                pattern=NAME,
                description=(
                    "Groups take turns, so that many tasks of one do not delay the tasks of the others. Only on "
                    "servers without API keys; with them, the keys take turns."
                ),
                examples=["tenant-7"],
                extra={"allowed": ALLOWED_NAME},
            ),
        ]
        | None
    ) = None
    start_at: (
        Annotated[
            datetime,
            Meta(
                tz=True,
                description="Earliest start of the task, within 7 days. Default: at once.",
                examples=["2026-01-31T08:00:00Z"],
                extra={"allowed": "a time with its offset, such as 2026-12-01T08:00:00Z"},
            ),
        ]
        | None
    ) = None
    expires_in: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=LONGEST_EXPIRY_S,
                description=(
                    "Seconds after which the task fails with the code `expired` if it has not been started, counted "
                    "from start_at if that is given. Default: QUEUE_TIMEOUT_S."
                ),
            ),
        ]
        | None
    ) = None

    reuse: (
        Annotated[
            bool,
            Meta(
                description=(
                    "Whether the task gets the results of an earlier or running task with the same upload, operations "
                    "and API key, instead of being processed. Default: REUSE_RESULTS."
                )
            ),
        ]
        | None
    ) = None

    tags: Annotated[
        tuple[Annotated[str, Meta(pattern=TAG)], ...],
        Meta(
            max_length=MOST_TAGS,
            description=(
                f"Words by which the task is found, comma-separated; the limit is {MOST_TAGS} tags, each of "
                f"{ALLOWED_TAG}. They are in its record, in lists, events and webhooks."
            ),
            examples=["holiday,print"],
            extra={"allowed": f"1 to {MOST_TAGS} words, comma-separated, each of {ALLOWED_TAG}"},
        ),
    ] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of create.lua."""
        return {
            "priority": self.priority,
            "queue_group": self.queue_group,
            "start_ms": self.start_ms,
            "expires_in": self.expires_in,
            "tags": ",".join(dict.fromkeys(self.tags)) or None,
        }

    @property
    def start_ms(self) -> int | None:
        """The earliest start in Unix ms."""
        return None if self.start_at is None else round(self.start_at.timestamp() * 1000)

    def reuses(self, *, default: bool) -> bool:
        return default if self.reuse is None else self.reuse


DEFAULT_SCHEDULE = Schedule()


class NewBatch(Struct, frozen=True):
    """The batch to which new tasks belong."""

    id: str
    callback_url: str | None
    """URL of the webhook that is sent when all of its tasks have ended."""
    request_id: str
