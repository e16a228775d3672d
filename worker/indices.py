"""The indices by which tasks are found: sorted sets of ids, scored in Unix milliseconds."""

from worker.operations import OPERATIONS
from worker.states import Spec, Status

CREATED = "tasks:created"
"""Every task, by its creation."""


def in_state(status: Status) -> str:
    """Return the index of the tasks in a state, by when they came into it."""
    return f"tasks:{status}"


def with_operation(name: str) -> str:
    """Return the index of the tasks with an operation, by their creation."""
    return f"tasks:operation:{name}"


def of_new(spec: Spec) -> list[str]:
    """Return the indices that a task is in from its creation to its removal."""
    return [CREATED, *map(with_operation, sorted(spec.operations))]


ALL = [CREATED, *map(in_state, Status), *map(with_operation, OPERATIONS)]
