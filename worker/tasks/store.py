"""The tasks in Redis: their records, their indices, and every change to them.

The hash `task:<id>` is the record. The sorted sets `tasks:created` and `tasks:<STATUS>` index the ids by the time of
creation and of the last change of state (Unix ms), and `tasks:created:<owner>` and so on do the same for each owner in
`tasks:owners`. Each change is one atomic Lua script.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, cast
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from worker.errors import ErrorCode
from worker.settings import Settings
from worker.tasks import model, queue, status
from worker.tasks.claims import IdempotencyEntry, KeyInUse
from worker.tasks.lists import indices
from worker.tasks.model import Spec, Task
from worker.tasks.progress import Progress, Step
from worker.tasks.queue_state import Capacity
from worker.tasks.schedule import DEFAULT_SCHEDULE, NewBatch, Owner, Schedule
from worker.tasks.status import FINAL_STATES, TRANSITIONS, Status, TaskNotFound, WrongState
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import MAX_AGE_MS, MAX_WAITING, TASKS, Stats
from worker.telemetry.lua import Script

logger = logging.getLogger(__name__)

UNFINISHED_TTL_MS = queue.JOB_EXPIRES_MS
"""Time to live of an unfinished task: that of its job, so that neither expires while the task waits."""


class Tasks:
    """The tasks in Redis. Methods raise redis-py's errors when Redis is unavailable."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.ttl_ms = settings.task_ttl_s * 1000
        self._queue_limit = settings.queue_limit
        self.queue_timeout_s = settings.queue_timeout_s
        self.stats = Stats()
        """Counters of this process, which a `Reporter` sends to Redis."""
        self.capacity = Capacity()
        load = partial(Script, redis, "worker.tasks", "_common")
        self._create = load("_turns", "_positions", "_reuse", "create")
        self._begin = load("_turns", "begin")
        self._position = load("_turns", "_positions", "position")
        self._renew = load("renew_lease")
        self._report_progress = load("report_progress")
        self._move = load("_turns", "_positions", "move")
        self._request_cancel = load("request_cancel")
        self._delete = load("delete")
        self._note_upload = load("note_upload")
        self._choose_original = load("_turns", "_reuse", "choose_original")

    async def create(  # noqa: PLR0913 - two say what, one for whom, one when
        self,
        task_id: str,
        spec: Spec,
        idempotency: IdempotencyEntry | None = None,
        callback_url: str | None = None,
        owner: Owner | None = None,
        schedule: Schedule = DEFAULT_SCHEDULE,
    ) -> None:
        """Create one task; see `create_all`."""
        await self.create_all({task_id: spec}, idempotency, callback_url, owner, schedule)

    async def create_all(  # noqa: PLR0913 - two say what, one for whom, one when
        self,
        specs: Mapping[str, Spec],
        idempotency: IdempotencyEntry | None = None,
        callback_url: str | None = None,
        owner: Owner | None = None,
        schedule: Schedule = DEFAULT_SCHEDULE,
        batch: NewBatch | None = None,
    ) -> None:
        """Create PENDING tasks and queue them in one atomic step, all or none; raise `QueueFull`.

        With `idempotency`, also store its record under its key, or raise `KeyInUse`. Webhooks of the tasks go to
        `callback_url`.
        """
        at_ms, owner_name = now_ms(), owner.name if owner is not None else None
        waiting, *refused = await self._create(
            keys=[*queue.QUEUES, *((idempotency.key,) if idempotency else ())],
            tasks=[
                {
                    "id": task_id,
                    "spec": msgspec.json.encode(spec).decode(),
                    "cost": spec.expected_ms,
                    "job": queue.job_for(task_id, at_ms).decode(),
                    "indices": indices.creation_indices(spec.operations, owner_name, batch.id if batch else None),
                    "fetch_host": spec.url_host if spec.source is None else None,
                    "reuse": spec.reuse or None,
                }
                for task_id, spec in specs.items()
            ],
            **schedule.arguments,
            callback_url=callback_url,
            owner=owner,
            batch=batch,
            unfinished_ttl_ms=UNFINISHED_TTL_MS,
            wake_channel=queue.WAKE_CHANNEL,
            queue_limit=self._queue_limit,
            events_kept=queue.EVENTS_KEPT,
            reuse_hold_ms=queue.REUSE_HOLD_MS,
            idempotency=idempotency,
            **queue.BEGIN_ARGS,
        )
        if waiting is None:
            raise KeyInUse
        if refused:
            raise self.capacity.record_full(waiting, refused[0], owner if refused[1:] else None, len(specs))
        self.stats.raise_to(MAX_WAITING, waiting + len(specs))

    async def get(self, task_id: str) -> Task:
        """Return a task; raise `TaskNotFound` if there is none, or if the text is not a task id."""
        known_id = status.parse_task_id(task_id)
        # redis-py types each command for its blocking client too.
        record = await cast("Awaitable[dict[bytes, bytes]]", self.redis.hgetall(model.task_key(known_id)))
        return model.parse_record(known_id, record)

    async def position(self, task_id: str) -> int | None:
        """Return the number of tasks that start until this one has, if no others come; None if it is not due.

        It is estimated from the costs of the tasks if several owners wait.
        """
        return cast("int | None", await self._position(keys=[], id=task_id))

    async def begin(
        self,
        count: int,
        running: Collection[str] = (),
        *,
        worker: str = "",
        fetches: int = 0,
        fetching: Collection[Task] = (),
    ) -> list[Task]:
        """Move up to `count` due tasks to STARTED, each with a lease of `LEASE_S`, in one round trip; return them.

        Also start up to `fetches` tasks whose upload must be fetched, so that with those of `fetching`, which the
        caller fetches already, no host and no flow has more than its share. First come tasks with an expired lease,
        then those that have expired in the queue, which take no slot. The expired leases of `running`, the tasks that
        the caller runs, are renewed.
        """
        token = uuid4().hex
        reply: list[Any] = await self._begin(
            keys=queue.begin_keys(token),
            count=count,
            fetches=fetches,
            running=list(running),
            hosts=Counter(task.host for task in fetching),
            flows=Counter(task.flow for task in fetching),
            host_share=queue.FETCHES_PER_HOST,
            flow_share=queue.FETCHES_PER_FLOW,
            worker=worker,
            token=token,
            lease_ms=queue.LEASE_S * 1000,
            unfinished_ttl_ms=UNFINISHED_TTL_MS,
            events_kept=queue.EVENTS_KEPT,
            **queue.BEGIN_ARGS,
        )
        records = model.pairs(reply).items()
        tasks = [await self._readable(task_id.decode(), model.pairs(record)) for task_id, record in records]
        return [task for task in tasks if task is not None]

    async def _readable(self, task_id: str, record: Mapping[bytes, bytes]) -> Task | None:
        """Decode the record of a started task; if it is unreadable, fail the task and return None."""
        try:
            task = model.decode_record(task_id, record)
        except status.UnreadableTask as exc:
            logger.exception("%s has a record that cannot be read", task_id)
            fields = {"error": str(exc), "error_code": ErrorCode.INTERNAL}
            try:
                await self.move(task_id, Status.FAILURE, fields=fields)
            except status.UnreadableTask:  # the reply is the same record
                self.stats.count(TASKS, Status.FAILURE, ErrorCode.INTERNAL)
            return None
        self.stats.raise_to(MAX_AGE_MS, task.waited_ms)
        return task

    async def renew_lease(self, task_id: str, attempt: int | None = None) -> None:
        """Extend the lease of a running task by `LEASE_S`; with `attempt`, only while that is the latest."""
        keys = [*queue.lease_keys(task_id), model.task_key(task_id)]
        await self._renew(keys=keys, id=task_id, lease_ms=queue.LEASE_S * 1000, attempt=attempt)

    async def report_progress(self, task: Task, progress: Progress) -> None:
        """Record the steps that a running attempt has completed since the last report."""
        async with progress.reporting:
            steps = msgspec.json.encode(progress.take())
            await self._report_progress(
                keys=[model.task_key(task.id)],
                id=task.id,
                attempt=task.attempt,
                steps=steps,
                progress=str(progress.share),
                events_kept=queue.EVENTS_KEPT,
            )

    async def move(  # noqa: PLR0913 - three say what, three say when it may and may not
        self,
        task_id: str,
        target: Status,
        *,
        attempt: int | None = None,
        sources: Collection[Status] = tuple(Status),
        fields: Mapping[str, str | float] = MappingProxyType({}),
        due_ms: int | None = None,
        delay_ms: int = 0,
        steps: Sequence[Step] = (),
        owner: Owner | None = None,
    ) -> Task:
        """Move a task to `target` and set `fields`, or raise `WrongState`, `TaskNotFound` or `OwnerQueueFull`.

        With `attempt`, only while it is the latest attempt; only from `sources`. A task that becomes PENDING is queued
        and due `delay_ms` after `due_ms` (Unix ms, default now); one that ends leaves the queue. `steps` are recorded.
        With `owner`, only while that owner has fewer waiting tasks than its limit. A call with the `token` (a field) of
        the last move to STARTED or to an end changes nothing, so that it can be repeated.
        """
        if target is not Status.PENDING:
            fields = {"token": uuid4().hex, **fields}
        allowed = [source for source, targets in TRANSITIONS.items() if target in targets and source in sources]
        reply: list[bytes] = await self._move(
            keys=[model.task_key(task_id), *queue.move_keys(task_id)],
            id=task_id,
            target=target,
            sources=allowed,
            attempt=attempt,
            owner_limit=owner and owner.limit,
            token=fields.get("token"),
            fields=[str(part) for pair in fields.items() for part in pair],
            steps=msgspec.json.encode(steps) if steps else None,
            due=due_ms,
            delay_ms=delay_ms,
            ttl_ms=self.ttl_ms if target in FINAL_STATES else UNFINISHED_TTL_MS,
            job=queue.job_for(task_id, now_ms()),
            wake_channel=queue.WAKE_CHANNEL,
            events_kept=queue.EVENTS_KEPT,
            **queue.WEBHOOK_ARGS,
        )
        if not reply:
            raise TaskNotFound(task_id)
        if reply[0] == b"WRONG":
            raise WrongState(task_id, Status(reply[1].decode()), target)
        if reply[0] == b"FULL":
            raise self.capacity.record_full(int(reply[1]), int(reply[2]), owner)
        task = model.decode_record(task_id, model.pairs(reply))
        if target in FINAL_STATES:
            model.count_end(self.stats, task)
        return task

    async def cancel(self, task_id: str) -> Task:
        """Revoke a waiting task, mark a running one to stop at its next step, raise `WrongState` for an ended one."""
        while True:
            try:
                return await self.move(task_id, Status.REVOKED, sources=(Status.PENDING,))
            except WrongState as exc:
                if exc.status is not Status.STARTED:
                    raise
            if await self._request_cancel(keys=[model.task_key(task_id)], id=task_id, wake_channel=queue.WAKE_CHANNEL):
                return await self.get(task_id)

    async def retry(self, task: Task, owner: Owner | None = None, *, fetch: bool = False) -> Task:
        """Queue a failed or revoked task again, as if it had never started; raise `WrongState` for any other.

        With its `owner`, raise `OwnerQueueFull` at that owner's limit. With `fetch`, fetch its upload again.
        """
        fresh: dict[str, str | int] = {"handed_back": task.attempt, "cancel": 0, "error": "", "fetch": int(fetch)}
        fresh |= {"sends": 0, "outputs": "{}", "phases": "", "failed_operation": ""}
        sources = (Status.FAILURE, Status.REVOKED)
        return await self.move(
            task.id, Status.PENDING, attempt=task.attempt, sources=sources, fields=fresh, owner=owner
        )

    async def choose_original(self, task_id: str, key: str, gone: str | None = None) -> str | None:
        """Choose the task whose results a task reuses; `key` is that of the owner's equal tasks."""
        keys = [model.task_key(task_id), key]
        original: bytes | None = await self._choose_original(keys=keys, id=task_id, gone=gone, ttl_ms=UNFINISHED_TTL_MS)
        return None if original is None else original.decode()

    async def note_upload(self, task_id: str) -> None:
        """Record that an upload has begun, until `create` makes its task or `forget_upload` is called."""
        await self._note_upload(keys=["uploads"], id=task_id)

    async def forget_upload(self, task_id: str) -> None:
        """Record that the files of an upload are deleted."""
        await self.redis.zrem("uploads", task_id)

    async def delete(self, task_id: str) -> bool:
        """Delete an ended task's record and index entries; return False if the task has not ended.

        The task cannot be retried after that. Its files are listed for deletion until `forget_upload` is called.
        """
        keys = [model.task_key(task_id), *queue.job_keys(task_id)]
        return bool(await self._delete(keys=keys, id=task_id, indices=indices.ALL_INDICES))
