"""The task: its record, states, the table of transitions, and its keys in Redis."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import msgspec

from worker.errors import ErrorCode
from worker.imaging.formats import InputFormat
from worker.imaging.plan import Plan
from worker.operations import OPERATIONS
from worker.pixels.geometry import Size
from worker.telemetry.clock import now_ms


class Status(StrEnum):
    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    # To itself: PENDING when the queue had lost it; STARTED when the worker died and another takes over.
    # Back to PENDING: handed back by a stopping worker, or tried again on request.
    Status.PENDING: frozenset({Status.PENDING, Status.STARTED, Status.FAILURE, Status.REVOKED}),
    Status.STARTED: frozenset({Status.STARTED, Status.PENDING, Status.SUCCESS, Status.FAILURE, Status.REVOKED}),
    Status.SUCCESS: frozenset(),
    Status.FAILURE: frozenset({Status.PENDING}),
    Status.REVOKED: frozenset({Status.PENDING}),
}

FINAL_STATES = frozenset({Status.SUCCESS, Status.FAILURE, Status.REVOKED})


class Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was accepted; never changes."""

    plan: Plan
    source: InputFormat | None
    """The upload's format; None if it is yet to be fetched from `url`."""
    stem: str
    """The upload's file name, made safe, without its extension."""
    overlay: InputFormat | None = None
    """The format of the second picture, if there is one."""
    name: str = ""
    """The upload's file name as the client gave it."""
    bytes: int = 0
    """The upload's size."""
    size: Size | None = None
    """Size of the upright image, if the first bytes of the file contain it."""
    url: str | None = None
    """Where the upload comes from, if not with the request; what it is, is not known here then."""
    request_id: str = msgspec.field(default="", name="rid")
    """The request that sent it, as in the log; a short name, as every waiting task has it."""

    @property
    def operations(self) -> set[str]:
        """Names of all operations, of whichever variant."""
        steps = (step for variant in self.plan.variants.values() for step in variant.operations)
        return {str(step.__struct_config__.tag) for step in steps}

    @property
    def file_names(self) -> dict[str, str]:
        """Name of each variant -> name of its file; none while the upload's format is unknown."""
        if self.source is None:
            return {}
        return {
            name: f"{self.stem}{name and '-'}{name}.{variant.extension(self.source)}"
            for name, variant in self.plan.variants.items()
        }


class Fetched(msgspec.Struct, frozen=True):
    """What an upload turned out to be that was fetched."""

    source: InputFormat
    bytes: int
    size: Size | None
    """Size of the upright image, if the first bytes of the file contain it."""


class Owner(msgspec.Struct, frozen=True):
    """Whose a task is."""

    name: str
    limit: int | None = None
    """How many of the owner's tasks may wait; None for no bound but that of all."""


class OutputRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What there is to know of a stored result; a report has no size and no frames."""

    path: str
    format: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task's record. Times are Unix milliseconds."""

    id: str
    spec_json: bytes
    owner: str | None = None
    """The name of whose it is, if it is anybody's."""
    status: Status
    created_ms: int
    queued_ms: int
    """When it began to wait last: it may have been handed back, or tried again."""
    attempt: int = 0
    """How often it was begun; each beginning has its own number, which guards what that attempt writes."""
    handed_back: int = 0
    """How many of those a stopping worker gave up by its own will."""
    cancel: bool = False
    """Whether it is to stop at its next step."""
    token: str = ""
    """Identifies the last transition to STARTED, in case its command is repeated."""
    worker: str | None = None
    """The name of the one that began it last."""
    progress: float = 0
    """How much of this attempt was done when its worker last said so, from 0 to 1."""
    started_ms: int | None = None
    """When it was begun last; None when it waits, or ended while it did."""
    ended_ms: int | None = None
    error: str | None = None
    error_code: ErrorCode | None = None
    outputs_json: bytes = b"{}"
    fetch: bool = False
    """Whether the upload is yet to be fetched; the task waits in a queue of its own for that."""
    fetched_json: bytes = b""
    """A `Fetched`, once there is one."""
    callback_url: str | None = None
    """Where a webhook is sent at its end."""
    message_id: str | None = None
    """The webhook of its last end."""

    @property
    def spec(self) -> Spec:
        """Decode what was accepted, with what a fetch has found.

        Raises `msgspec.DecodeError` for what another version of Darkroom wrote.
        """
        spec = msgspec.json.decode(self.spec_json, type=Spec)
        if not self.fetched_json:
            return spec
        fetched = msgspec.json.decode(self.fetched_json, type=Fetched)
        return msgspec.structs.replace(spec, source=fetched.source, bytes=fetched.bytes, size=fetched.size)

    @property
    def outputs(self) -> dict[str, OutputRecord]:
        """Name of each variant -> its result, once they are stored."""
        return msgspec.json.decode(self.outputs_json, type=dict[str, OutputRecord])

    @property
    def upload_path(self) -> str:
        return upload_path(self.id)

    @property
    def result_paths(self) -> dict[str, str]:
        """Name of each variant -> where its result lies, or will."""
        return {name: f"{results_path(self.id)}/{file_name}" for name, file_name in self.spec.file_names.items()}

    @property
    def waited_ms(self) -> int:
        """How long it has been in the queue, or was when it was begun last, or ended there."""
        until_ms = self.started_ms or self.ended_ms or now_ms()
        return max(0, until_ms - self.queued_ms)  # two machines' clocks may differ

    @property
    def ran_ms(self) -> int | None:
        """How long its last attempt has run, or did; None when it was never begun, or waits again."""
        if self.started_ms is None or self.status is Status.PENDING:
            return None
        return (now_ms() if self.ended_ms is None else self.ended_ms) - self.started_ms

    @property
    def is_finished(self) -> bool:
        return self.status in FINAL_STATES

    @property
    def deaths(self) -> int:
        """How many attempts ended with their worker's death; one that runs now is not counted."""
        return max(0, self.attempt - self.handed_back - (self.status is Status.STARTED))


def upload_path(task_id: str) -> str:
    return f"uploads/{task_id}"


def overlay_path(task_id: str) -> str:
    return f"uploads/{task_id}.overlay"


def results_path(task_id: str) -> str:
    """Return the path under which a task's results lie."""
    return f"processed/{task_id}"


class TaskNotFound(Exception):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task has the id {task_id[:64]!r}, or it has expired")


class TaskRunning(Exception):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"task {task_id} is running; cancel it first")


class WrongState(Exception):
    """The move is not in the table, or a newer attempt has taken the task over."""

    def __init__(self, task_id: str, status: Status, target: Status) -> None:
        super().__init__(f"task {task_id} is {status} and cannot become {target}")
        self.status = status


def task_key(task_id: str) -> str:
    return f"task:{task_id}"


def parse_task_id(text: str) -> str:
    """Return a task's id as we write it, or raise `TaskNotFound`: whatever is not an id names no task."""
    try:
        return str(UUID(text))
    except ValueError:
        raise TaskNotFound(text) from None


def parse_record(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    """Decode what HGETALL has found, or raise `TaskNotFound` where there was nothing."""
    if b"status" not in record:
        raise TaskNotFound(task_id)
    return decode_record(task_id, record)


def decode_record(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
    fields["spec_json"] = record[b"spec"]
    fields["outputs_json"] = record.get(b"outputs", b"{}")
    fields["fetched_json"] = record.get(b"fetched", b"")
    return msgspec.convert({"id": task_id, **fields}, Task, strict=False)


UNREADABLE = (msgspec.ValidationError, KeyError, UnicodeDecodeError)
"""What `decode_record` raises for a record that somebody else wrote, or damaged."""


def pairs(reply: list[Any]) -> dict[bytes, Any]:
    """Read a reply of name, value, name, value, ..."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


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


EVENTS_KEPT = 100_000
"""Length of the stream of events, about 100 bytes each."""


def queue_timeout_message(timeout_s: float) -> str:
    return f"it waited longer than {timeout_s:g} s for a worker"


def new_task_id() -> str:
    return str(uuid4())
