"""The indices by which tasks are found: sorted sets of ids, scored in Unix milliseconds."""

from worker.operations import OPERATIONS
from worker.states import Owner, Spec, Status

CREATED = "tasks:created"
"""Every task, by its creation."""


def in_state(status: Status) -> str:
    """Return the index of the tasks in a state, by when they came into it."""
    return f"tasks:{status}"


def with_operation(name: str) -> str:
    """Return the index of the tasks with an operation, by their creation."""
    return f"tasks:operation:{name}"


def of_owner(index: str, owner: str) -> str:
    """Return the index of those tasks of another index that are an owner's; the scripts write it so too."""
    return f"{index}:{owner}"


def of_new(spec: Spec, owner: Owner | None = None) -> list[str]:
    """Return the indices that a task is in from its creation to its removal."""
    names = [CREATED, *map(with_operation, sorted(spec.operations))]
    return names if owner is None else [*names, *(of_owner(name, owner.name) for name in names)]


ALL = [CREATED, *map(in_state, Status), *map(with_operation, OPERATIONS)]
"""Beside those of owners."""
