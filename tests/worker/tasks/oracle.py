"""The tasks as they should be: a plain Python model of the Lua scripts, and the means to compare it with Redis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.tasks.model import Owner
from worker.tasks.queue import LEASE_S
from worker.tasks.status import FINAL_STATES, TRANSITIONS, Status

LEASE_MS = LEASE_S * 1000
DELAY_MS = 2000
"""Delay of a task that is handed back, as while storage is away."""

QUEUE_LIMIT = 2
ANN = Owner("ann", 1)

PENDING, STARTED = Status.PENDING, Status.STARTED


@dataclass(frozen=True)
class Kind:
    """What distinguishes the tasks of a run."""

    owner: Owner | None = None
    callback_url: str | None = None
    is_fetched: bool = False
    """Whether its upload must be fetched by URL."""


KINDS = (
    Kind(),
    Kind(ANN, "https://example.com/hook"),
    Kind(ANN, is_fetched=True),
)
"""The tasks of a run: plain, with an owner and a webhook, and to be fetched."""


@dataclass
class Record:
    """A task."""

    kind: Kind
    created: int
    queued: int
    status: Status = PENDING
    attempt: int = 0
    started: int | None = None
    ended: int | None = None
    since: int = 0
    """When it entered its state."""
    cancel: bool = False
    handed_back: int = 0
    worker: str | None = None
    progress: str | None = None
    ends: int = 0
    token: str = ""
    must_fetch: bool = False


class Refusal(Exception):
    """A call that changes nothing: the name of the exception that `Tasks` raises, and for a full queue its numbers."""

    def __init__(self, name: str, *numbers: int) -> None:
        super().__init__(name)
        self.numbers = numbers
        """The waiting tasks, and those that ended in the last 10 s."""


@dataclass
class Event:
    """An entry of the event stream."""

    task: int
    attempt: int
    status: Status | None = None
    position: int | None = None
    steps: str | None = None


@dataclass
class Oracle:
    now: int
    records: dict[int, Record] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    """The queue: task -> from when it is due."""
    leases: dict[int, int] = field(default_factory=dict)
    """Running task -> when its lease expires."""
    uploads: set[int] = field(default_factory=set)
    """Tasks whose files are to be deleted."""
    is_paused: bool = False
    events: list[Event] = field(default_factory=list)
    messages: set[tuple[int, int]] = field(default_factory=set)
    """The webhook messages: task and number of its end."""

    def waiting(self, owner: Owner | None = None) -> int:
        return sum(
            each.status is PENDING and (owner is None or each.kind.owner == owner) for each in self.records.values()
        )

    def _full(self, owner: Owner | None) -> Refusal:
        ended = sum(
            each.status in FINAL_STATES
            and each.since >= self.now - 10_000
            and (owner is None or each.kind.owner == owner)
            for each in self.records.values()
        )
        return Refusal("QueueFull" if owner is None else "OwnerQueueFull", self.waiting(owner), ended)

    def _log(self, task: int, steps: str | None = None) -> None:
        record = self.records[task]
        position = self.waiting() if record.status is PENDING else None
        self.events.append(Event(task, record.attempt, record.status, position, steps))

    def create(self, task: int) -> None:
        kind = KINDS[task]
        if task in self.records:
            return  # the reply was lost, and the client repeats it
        if self.waiting() >= QUEUE_LIMIT:
            raise self._full(None)
        if kind.owner is not None and self.waiting(kind.owner) >= (kind.owner.limit or QUEUE_LIMIT):
            raise self._full(kind.owner)
        self.records[task] = Record(kind, self.now, self.now, since=self.now, must_fetch=kind.is_fetched)
        self.due[task] = self.now
        self.uploads.discard(task)
        self._log(task)

    def begin(self, worker: str, running: list[int], token: str, count: int, fetches: int) -> list[int]:
        """Return the tasks that are started."""
        begun: list[int] = []
        expired = sorted((expiry, task) for task, expiry in self.leases.items() if expiry <= self.now)
        for _, task in expired[: count + len(running)]:
            if task in running:
                self.leases[task] = self.now + LEASE_MS  # the worker, or Redis, was frozen
            elif not self.is_paused and len(begun) < count and self._start(task, worker, token):
                begun.append(task)
        if self.is_paused:
            return begun
        for must_fetch in (False, True):
            room = fetches if must_fetch else count - len(begun)
            for _, task in sorted((due, task) for task, due in self.due.items() if due <= self.now):
                if room <= 0:
                    break
                is_of_queue = self.records[task].must_fetch == must_fetch
                if is_of_queue and task not in running and task not in self.leases and self._start(task, worker, token):
                    begun.append(task)
                    room -= 1
        return begun

    def _start(self, task: int, worker: str, token: str) -> bool:
        record = self.records.get(task)
        self.due.pop(task, None)
        if record is None or record.status in FINAL_STATES:
            self.leases.pop(task, None)
            return False
        record.attempt += 1
        record.status, record.started, record.since = STARTED, self.now, self.now
        record.token, record.worker, record.progress = token, worker, "0"
        self.leases[task] = self.now + LEASE_MS
        self._log(task)
        return True

    def renew(self, task: int, attempt: int) -> None:
        record = self.records.get(task)
        if record is not None and record.status is STARTED and record.attempt == attempt:
            self.leases[task] = self.now + LEASE_MS

    def move(
        self, task: int, target: Status, *, attempt: int | None = None, sources: tuple[Status, ...] = tuple(Status),
        token: str = "", owner: Owner | None = None, steps: str | None = None,
    ) -> Record:  # fmt: skip
        record = self.records.get(task)
        if record is None:
            raise Refusal("TaskNotFound")
        if target is not PENDING and record.token == token:
            return record
        is_allowed = target in TRANSITIONS[record.status] and record.status in sources
        if not is_allowed or attempt not in (None, record.attempt):
            raise Refusal("WrongState")
        if owner is not None and self.waiting(owner) >= (owner.limit or QUEUE_LIMIT):
            raise self._full(owner)
        was, record.status, record.since = record.status, target, self.now
        if target is PENDING:
            self.leases.pop(task, None)
            self.due[task] = self.now
            if was is not PENDING:
                record.queued, record.started, record.ended = self.now, None, None
        else:
            record.ended, record.token = self.now, token
            self.due.pop(task, None)
            self.leases.pop(task, None)
            if record.kind.callback_url is not None:
                record.ends += 1
                self.messages.add((task, record.ends))
        self._log(task, steps)
        return record

    def progress(self, task: int, attempt: int, steps: str) -> None:
        record = self.records.get(task)
        if record is not None and record.status is STARTED and record.attempt == attempt:
            record.progress = "0.5"
            self.events.append(Event(task, attempt, steps=steps))

    def stray(self, task: int) -> None:
        """Leave an ended task in the leases, as arq's own loop may; the next `begin` after it expires removes it."""
        self.leases[task] = self.now

    def hand_back(self, task: int, attempt: int, handed_back: int) -> None:
        self.move(task, PENDING, attempt=attempt, sources=(STARTED,)).handed_back = handed_back
        self.due[task] = self.now + DELAY_MS

    def cancel(self, task: int, token: str) -> None:
        record = self.records.get(task)
        if record is not None and record.status is STARTED:
            record.cancel = True
        else:
            self.move(task, Status.REVOKED, sources=(PENDING,), token=token)

    def retry(self, task: int) -> None:
        record = self.records.get(task)
        attempt = 0 if record is None else record.attempt
        owner = KINDS[task].owner
        record = self.move(task, PENDING, attempt=attempt, sources=(Status.FAILURE, Status.REVOKED), owner=owner)
        record.handed_back, record.cancel, record.must_fetch = record.attempt, False, False

    def delete(self, task: int) -> bool:
        record = self.records.get(task)
        if record is not None and record.status not in FINAL_STATES:
            return False
        self.records.pop(task, None)
        self.due.pop(task, None)
        self.leases.pop(task, None)
        self.uploads.add(task)
        return True

    @property
    def state(self) -> str:
        """What later calls depend on, without the history."""
        return f"{self.now} {self.records} {self.due} {self.leases} {self.uploads} {self.is_paused}"

    def check(self) -> None:
        """What must hold whatever was called: an unfinished task is in the queue or has a lease, never both."""
        for task, record in self.records.items():
            if record.status in FINAL_STATES:
                assert task not in self.due
            else:
                assert (record.status is STARTED, record.status is PENDING) == (task in self.leases, task in self.due)
        assert set(self.due) | set(self.leases) <= set(self.records)
        for task, record in self.records.items():
            assert {(task, end + 1) for end in range(record.ends)} <= self.messages

    def snapshot(self, ids: list[str]) -> Mapping[str, Any]:
        """Return the state as `snapshot` of `machine` reads it from Redis."""
        records = {ids[task]: record for task, record in self.records.items()}
        by_state = {
            status: {task_id: record.since for task_id, record in records.items() if record.status is status}
            for status in Status
        }
        of_ann = {task_id for task_id, record in records.items() if record.kind.owner is ANN}
        return {
            "records": {task_id: _hash(task_id, record) for task_id, record in records.items()},
            "created": {task_id: record.created for task_id, record in records.items()},
            "created:ann": {task_id: record.created for task_id, record in records.items() if task_id in of_ann},
            **{str(status): times for status, times in by_state.items()},
            **{
                f"{status}:ann": {task_id: at for task_id, at in by_state[status].items() if task_id in of_ann}
                for status in Status
            },
            "queue": {ids[task]: at for task, at in self.due.items() if not self.records[task].must_fetch},
            "fetches": {ids[task]: at for task, at in self.due.items() if self.records[task].must_fetch},
            "leases": {ids[task]: at for task, at in self.leases.items()},
            "uploads": {ids[task] for task in self.uploads},
            "owners": {"ann"} if of_ann else set(),
            "jobs": {task_id for task_id, record in records.items() if record.status not in FINAL_STATES},
            "messages": len(self.messages),
            "events": [(ids[each.task], each) for each in self.events],
        }


def _hash(task_id: str, record: Record) -> dict[str, str | None]:
    def text(value: object) -> str | None:
        return None if value is None else str(value)

    return {
        "status": record.status,
        "attempt": text(record.attempt),
        "created_ms": text(record.created),
        "queued_ms": text(record.queued),
        "started_ms": text(record.started),
        "ended_ms": text(record.ended),
        "cancel": "1" if record.cancel else None,
        "handed_back": text(record.handed_back or None),
        "worker": record.worker,
        "progress": record.progress,
        "ends": text(record.ends or None),
        "fetch": "1" if record.must_fetch else None,
        "message_id": f"msg_{task_id.replace('-', '')}_{record.ends}" if record.ends else None,
    }
