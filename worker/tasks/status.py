"""The states of tasks, the transitions between them, their errors, and the status as clients receive it."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType


class Status(StrEnum):
    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    # PENDING to PENDING: the queue had lost the task. STARTED to STARTED: another worker takes over from a dead one.
    # Back to PENDING: a stopping worker hands the task back, or a client retries it.
    # PENDING to SUCCESS: it gets the results of an equal task.
    Status.PENDING: frozenset(Status),
    Status.STARTED: frozenset({Status.STARTED, Status.PENDING, Status.SUCCESS, Status.FAILURE, Status.REVOKED}),
    Status.SUCCESS: frozenset(),
    Status.FAILURE: frozenset({Status.PENDING}),
    Status.REVOKED: frozenset({Status.PENDING}),
}

FINAL_STATES = frozenset({Status.SUCCESS, Status.FAILURE, Status.REVOKED})


TaskId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A time in the format of RFC 3339."""

Results = str | dict[str, str]
"""The path of the result; for several variants, one for each name."""


class TaskStatus(Struct, frozen=True):
    """The status of a task. A field that does not apply is omitted."""

    task_id: TaskId
    status: Status
    result: (
        Annotated[
            Results, Meta(description="If SUCCESS: the path of the result; for several variants, one for each name.")
        ]
        | UnsetType
    ) = UNSET
    error: Annotated[str, Meta(description="If FAILURE: the reason.")] | UnsetType = UNSET


class EndedTask(TaskStatus, frozen=True):
    """The status of a task that has ended, and its tags if it has any."""

    tags: list[str] | UnsetType = UNSET


class TaskNotFound(Exception):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task has the id {task_id[:64]!r}, or it has expired")


class UnreadableTask(Exception):
    """The record is damaged, or of an incompatible version of Darkroom, as during a rolling upgrade."""

    def __init__(self, task_id: str, reason: Exception) -> None:
        super().__init__(f"this version of Darkroom cannot read task {task_id}: {reason}")


class TaskRunning(Exception):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"task {task_id} is running; cancel it first")


class WrongState(Exception):
    """The transition is not in `TRANSITIONS`, or a newer attempt has taken over the task."""

    def __init__(self, task_id: str, status: Status, target: Status) -> None:
        super().__init__(f"task {task_id} is {status} and cannot become {target}")
        self.status = status


def parse_task_id(text: str) -> str:
    """Return a task id in its canonical form; raise `TaskNotFound` if the text is not a UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        raise TaskNotFound(text) from None
