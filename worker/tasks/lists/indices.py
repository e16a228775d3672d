"""The names of the indices of tasks: sorted sets of ids in Redis."""

from collections.abc import Collection

from worker.operations import OPERATIONS
from worker.tasks.status import Status

CREATED = "tasks:created"
"""Index of all tasks, by time of creation."""


def in_state(status: Status) -> str:
    """Return the index of the tasks in a state, by the time at which they entered it."""
    return f"tasks:{status}"


def with_operation(name: str) -> str:
    """Return the index of the tasks with an operation, by time of creation."""
    return f"tasks:operation:{name}"


def in_batch(batch_id: str) -> str:
    """Return the index of the tasks of a batch, by time of creation; `delete.lua` uses the same name."""
    return f"tasks:batch:{batch_id}"


def of_owner(index: str, owner: str) -> str:
    """Return the index of the tasks of `index` that belong to an owner; the Lua scripts use the same names."""
    return f"{index}:{owner}"


def creation_indices(operations: Collection[str], owner: str | None, batch_id: str | None = None) -> list[str]:
    """Return the indices that contain a task with these operations from its creation to its deletion."""
    names = [CREATED, *map(with_operation, sorted(operations))]
    of_batch = [] if batch_id is None else [in_batch(batch_id)]
    return [*names, *of_batch, *([] if owner is None else (of_owner(name, owner) for name in names))]


ALL_INDICES = [CREATED, *map(in_state, Status), *map(with_operation, OPERATIONS)]
"""All indices except for those of owners and batches."""
