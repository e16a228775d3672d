"""Failures in groups of the same kind: code, message without its numbers, and operation."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from worker.errors import ErrorCode
from worker.tasks.model import Task
from worker.tasks.status import Status, UnreadableTask

FAILURE = r"^[0-9a-f]{12}$"
"""The id of a kind of failure."""

_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")

_IN_PROCESSING = {ErrorCode.WORKER_DIED, ErrorCode.INTERNAL}
"""Codes of failures to which any of the task's operations may have led."""


class Kind(Struct, frozen=True):
    """What failures have in common."""

    code: ErrorCode | None
    message: str
    """The error with `#` for each number and each id."""
    operation: str | None
    """The operation at which the tasks failed; for codes that do not tell, all operations of the task."""

    @property
    def id(self) -> str:
        text = "\0".join((self.code or "", self.message, self.operation or ""))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def kind_of(task: Task) -> Kind | None:
    """Return the kind of a failure; None for a task that has not failed."""
    if task.status is not Status.FAILURE:
        return None
    operation = task.failed_operation
    if not operation and task.error_code in _IN_PROCESSING:
        operation = _operations(task)
    return Kind(task.error_code, without_numbers(task.error or ""), operation or None)


@lru_cache(maxsize=1024)
def without_numbers(message: str) -> str:
    return _NUMBER.sub("#", _UUID.sub("#", message))


def _operations(task: Task) -> str:
    try:
        return ", ".join(sorted(task.spec.operations))
    except UnreadableTask:
        return ""


class Group:
    """The failures of a kind, which are added from the newest to the oldest."""

    def __init__(self, kind: Kind, newest: Task, points: int) -> None:
        self.kind = kind
        self.newest = newest
        self.first_ms = self.last_ms = newest.ended_ms or 0
        self.history = [0] * points
        """The number of failures in each part of the time, oldest first."""

    @property
    def count(self) -> int:
        return sum(self.history)


def grouped(tasks: Iterable[Task], from_ms: int, step_ms: int, points: int) -> list[Group]:
    """Return the groups of failures, newest first, that ended in `points` parts of `step_ms` from `from_ms` on.

    The group with the most failures comes first.
    """
    groups: dict[Kind, Group] = {}
    for task in tasks:
        kind = kind_of(task)
        if kind is None or task.ended_ms is None:
            continue
        group = groups.setdefault(kind, Group(kind, task, points))
        group.first_ms = min(group.first_ms, task.ended_ms)
        group.last_ms = max(group.last_ms, task.ended_ms)
        group.history[min(max(0, (task.ended_ms - from_ms) // step_ms), points - 1)] += 1
    return sorted(groups.values(), key=lambda group: group.count, reverse=True)
