"""The tasks as they should be: a plain Python model of the Lua scripts, and the means to compare it with Redis."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.worker.tasks.fair import Turn, Turns
from worker.tasks.queue import LEASE_S
from worker.tasks.schedule import DEFAULT_SCHEDULE, NewBatch, Owner, Priority, Schedule
from worker.tasks.status import FINAL_STATES, TRANSITIONS, Status

LEASE_MS = LEASE_S * 1000
START_MS = 1_800_000_000_000
"""When each run begins."""

DELAY_MS = 2000
"""Delay of a task that is handed back, as while storage is away."""

QUEUE_LIMIT = 3
ANN = Owner("ann", 1, 3)
BATCH = NewBatch("b", "https://example.com/batch", "")

COST = 27
"""Expected cost of the tasks of a run: two steps on 2 megapixels."""


LINES = ("main", "background", "fetch")
FLOWS = ("", "ann")

PENDING, STARTED = Status.PENDING, Status.STARTED


@dataclass(frozen=True)
class Kind:
    """What distinguishes the tasks of a run."""

    owner: Owner | None = None
    callback_url: str | None = None
    is_fetched: bool = False
    """Whether its upload must be fetched by URL."""
    schedule: Schedule = DEFAULT_SCHEDULE
    batch: NewBatch | None = None

    @property
    def flow(self) -> str:
        return self.schedule.queue_group or "" if self.owner is None else self.owner.name


KINDS = (
    Kind(),
    Kind(ANN, "https://example.com/hook", batch=BATCH),
    Kind(ANN, is_fetched=True),
    Kind(schedule=Schedule(Priority.HIGH, "ann", expires_in=60), batch=BATCH),
    Kind(schedule=Schedule(Priority.LOW, start_at=datetime.fromtimestamp(START_MS / 1000 + 5, UTC), expires_in=3600)),
)
"""The tasks of a run: plain; with an owner and a webhook; to be fetched; urgent in the flow of the owner; and late.

The second and the fourth are in one batch.
"""


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
    ids: list[str]
    now: int = START_MS
    records: dict[int, Record] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    """The queue: task -> from when it is due."""
    leases: dict[int, int] = field(default_factory=dict)
    """Running task -> when its lease expires."""
    uploads: set[int] = field(default_factory=set)
    """Tasks whose files are to be deleted."""
    is_paused: bool = False
    batch_ends: int = 0
    """How often all tasks of the batch had ended."""
    batch_messages: set[int] = field(default_factory=set)
    """The webhook messages of the batch: the numbers of its ends. They begin again when it is made again."""
    events: list[Event] = field(default_factory=list)
    messages: set[tuple[int, int]] = field(default_factory=set)
    """The webhook messages: task and number of its end."""
    turns: Turns = field(default_factory=Turns)
    later: dict[int, int] = field(default_factory=dict)
    """Waiting tasks that are not due -> when they are."""
    expiring: dict[int, int] = field(default_factory=dict)
    """Waiting tasks with a deadline -> when they expire."""

    def _queue(self, task: int, due: int) -> None:
        self.due[task] = due
        if due > self.now:
            self.later[task] = due
        else:
            self._enter_turn(task, due)

    def _enter_turn(self, task: int, due: int) -> None:
        record = self.records[task]
        priority, owner = record.kind.schedule.priority, record.kind.owner
        line = "fetch" if record.must_fetch else "background" if priority is Priority.LOW else "main"
        turn = Turn(line, record.kind.flow, priority, due, COST, 1 if owner is None else owner.weight)
        self.turns.enter(task, self.ids[task], turn)

    def _unqueue(self, task: int) -> None:
        self.due.pop(task, None)
        self.later.pop(task, None)
        self.turns.leave(task)

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
        position = self.turns.position(task) if record.status is PENDING else None
        self.events.append(Event(task, record.attempt, record.status, position, steps))

    def create(self, task: int) -> None:
        kind = KINDS[task]
        if task in self.records:
            return  # the reply was lost, and the client repeats it
        if self.waiting() >= QUEUE_LIMIT:
            raise self._full(None)
        if kind.owner is not None and self.waiting(kind.owner) >= (kind.owner.limit or QUEUE_LIMIT):
            raise self._full(kind.owner)
        due = max(self.now, kind.schedule.start_ms or 0)
        self.records[task] = Record(kind, self.now, due, since=due, must_fetch=kind.is_fetched)
        self._queue(task, due)
        if kind.schedule.expires_in is not None:
            self.expiring[task] = due + kind.schedule.expires_in * 1000
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
        most = count
        for _, is_start, task in sorted(self._timers()):
            if is_start:
                self._enter_turn(task, self.later.pop(task))
            else:
                self._start(task, worker, token)
                begun.append(task)
                most += 1
        if self.is_paused:
            return begun
        begun += self._start_by_turns("main", most - len(begun), running, worker, token)
        begun += self._start_by_turns("background", most - len(begun), running, worker, token)
        begun += self._start_by_turns("fetch", fetches, running, worker, token)
        return begun

    def _timers(self) -> Iterator[tuple[int, bool, int]]:
        """Yield the timers that are over: when they were, whether they start or expire the task, and the task."""
        for is_start, timers in ((False, self.expiring), (True, self.later)):
            yield from ((at, is_start, task) for task, at in timers.items() if at <= self.now)

    def _start_by_turns(self, line: str, most: int, running: list[int], worker: str, token: str) -> list[int]:
        begun: list[int] = []
        passed: set[str] = set()
        while len(begun) < most:
            flows = [flow for flow in self.turns.lines[line].in_order() if flow not in passed]
            if not flows:
                break
            waiting = self.turns.lines[line].flows[flows[0]].in_order()
            free = [task for task in waiting if task not in running]
            if free:
                self.turns.take(free[0])
                self._start(free[0], worker, token)
                begun.append(free[0])
            else:
                passed.add(flows[0])
        return begun

    def _start(self, task: int, worker: str, token: str) -> bool:
        record = self.records.get(task)
        self._unqueue(task)
        self.expiring.pop(task, None)
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
        token: str = "", owner: Owner | None = None, steps: str | None = None, delay: int = 0,
        must_fetch: bool | None = None,
    ) -> Record:  # fmt: skip
        record = self.records.get(task)
        if record is None:
            raise Refusal("TaskNotFound")
        if target is not PENDING and record.token == token:
            return record
        _check(record, target, attempt, sources)
        if owner is not None and self.waiting(owner) >= (owner.limit or QUEUE_LIMIT):
            raise self._full(owner)
        was, record.status, record.since = record.status, target, self.now
        if record.kind.batch is not None and target in FINAL_STATES and not self._unfinished_of_batch():
            self.batch_ends += 1
            self.batch_messages.add(self.batch_ends)
        if was is PENDING:
            self._unqueue(task)
        elif target is Status.SUCCESS:
            self.turns.learn(record.kind.flow, COST, self.now - (record.started or 0))
        if target is PENDING:
            record.must_fetch = must_fetch if must_fetch is not None else record.must_fetch
            self.leases.pop(task, None)
            self._queue(task, self.now + delay)
            if was is not PENDING:
                record.queued, record.started, record.ended = self.now, None, None
        else:
            record.ended, record.token = self.now, token
            self.leases.pop(task, None)
            self.expiring.pop(task, None)
            if record.kind.callback_url is not None:
                record.ends += 1
                self.messages.add((task, record.ends))
        self._log(task, steps)
        return record

    def _of_batch(self) -> dict[int, Record]:
        return {task: record for task, record in self.records.items() if record.kind.batch is not None}

    def _unfinished_of_batch(self) -> bool:
        return any(record.status not in FINAL_STATES for record in self._of_batch().values())

    def progress(self, task: int, attempt: int, steps: str) -> None:
        record = self.records.get(task)
        if record is not None and record.status is STARTED and record.attempt == attempt:
            record.progress = "0.5"
            self.events.append(Event(task, attempt, steps=steps))

    def stray(self, task: int) -> None:
        """Leave an ended task in the leases, as arq's own loop may; the next `begin` after it expires removes it."""
        self.leases[task] = self.now

    def hand_back(self, task: int, attempt: int, handed_back: int) -> None:
        self.move(task, PENDING, attempt=attempt, sources=(STARTED,), delay=DELAY_MS).handed_back = handed_back

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
        sources = (Status.FAILURE, Status.REVOKED)
        record = self.move(task, PENDING, attempt=attempt, sources=sources, owner=owner, must_fetch=False)
        record.handed_back, record.cancel = record.attempt, False

    def delete(self, task: int) -> bool:
        record = self.records.get(task)
        if record is not None and record.status not in FINAL_STATES:
            return False
        self.records.pop(task, None)
        if not self._of_batch():
            self.batch_ends = 0
        self._unqueue(task)
        self.leases.pop(task, None)
        self.uploads.add(task)
        return True

    @property
    def state(self) -> str:
        """What later calls depend on, without the history."""
        return f"{self.now} {self.records} {self.due} {self.leases} {self.uploads} {self.is_paused} {self.turns}"

    def check(self) -> None:
        """What must hold whatever was called: an unfinished task is in the queue or has a lease, never both."""
        for task, record in self.records.items():
            if record.status in FINAL_STATES:
                assert task not in self.due
            else:
                assert (record.status is STARTED, record.status is PENDING) == (task in self.leases, task in self.due)
        assert set(self.due) | set(self.leases) <= set(self.records)
        assert set(self.due) == set(self.later) | set(self.turns.turns)
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
            "timers": {
                **{f"start:{ids[task]}": at for task, at in self.later.items()},
                **{f"expire:{ids[task]}": at for task, at in self.expiring.items()},
            },
            "turns": {
                name: {
                    "now": line.now,
                    "flows": {flow: each.start for flow, each in line.flows.items()},
                    "costs": {flow: each.cost for flow, each in line.flows.items()},
                    "order": {flow: [ids[task] for task in each.in_order()] for flow, each in line.flows.items()},
                    "ahead": line.ahead,
                }
                for name in LINES
                if (line := self.turns.lines[name])
            },
            "pace": self.turns.pace,
            "leases": {ids[task]: at for task, at in self.leases.items()},
            "uploads": {ids[task] for task in self.uploads},
            "owners": {"ann"} if of_ann else set(),
            "jobs": {task_id for task_id, record in records.items() if record.status not in FINAL_STATES},
            "messages": len(self.messages) + len(self.batch_messages),
            "batch": Counter(str(record.status) for record in self._of_batch().values()),
            "batch tasks": {ids[task] for task in self._of_batch()},
            "events": [(ids[each.task], each) for each in self.events],
        }


def _check(record: Record, target: Status, attempt: int | None, sources: tuple[Status, ...]) -> None:
    is_allowed = target in TRANSITIONS[record.status] and record.status in sources
    if not is_allowed or attempt not in (None, record.attempt):
        raise Refusal("WrongState")


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
