"""A task's record as Redis holds it: the hash `task:<id>`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from worker.states import Task, TaskNotFound


def task_key(task_id: str) -> str:
    return f"task:{task_id}"


def parse_task_id(text: str) -> str:
    """Return a task's id as we write it, or raise `TaskNotFound`: whatever is not an id names no task."""
    try:
        return str(UUID(text))
    except ValueError:
        raise TaskNotFound(text) from None


def found(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    """Decode what HGETALL has found, or raise `TaskNotFound` where there was nothing."""
    if b"status" not in record:
        raise TaskNotFound(task_id)
    return decoded(task_id, record)


def decoded(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
    fields["spec_json"] = record[b"spec"]
    fields["outputs_json"] = record.get(b"outputs", b"{}")
    fields["fetched_json"] = record.get(b"fetched", b"")
    return msgspec.convert({"id": task_id, **fields}, Task, strict=False)


UNREADABLE = (msgspec.ValidationError, KeyError, UnicodeDecodeError)
"""What `decoded` raises for a record that somebody else wrote, or damaged."""


def pairs(reply: list[Any]) -> dict[bytes, Any]:
    """Read a reply of name, value, name, value, ..."""
    return dict(zip(reply[::2], reply[1::2], strict=True))
