"""Find what the clean-up has to do: expired, overdue and orphaned tasks, and uploads without a task."""

import logging
from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis

from worker.tasks import queue
from worker.tasks.lists.indices import in_state
from worker.tasks.model import Task, parse_record, task_key
from worker.tasks.status import FINAL_STATES, Status, TaskNotFound, UnreadableTask
from worker.telemetry.clock import now_ms
from worker.telemetry.lua import Script

logger = logging.getLogger(__name__)

UPLOAD_ABANDONED_MS = 3_600_000
"""Age from which an upload without a task is abandoned; longer than any upload takes."""

ORPHANED_MS = 30_000
"""Time that a task has been in its state before it may count as orphaned."""


class Leftovers:
    """Reads the indices. Methods raise redis-py's errors when Redis is unavailable."""

    def __init__(self, redis: Redis, *, ttl_ms: int, queue_timeout_s: float) -> None:
        self._redis = redis
        self._find_lost = Script(redis, "worker.tasks", "_common", "_turns", "find_lost")
        self._ttl_ms = ttl_ms
        self._queue_timeout_ms = round(queue_timeout_s * 1000)

    async def abandoned_uploads(self, limit: int, skip: int = 0) -> list[str]:
        """Return up to `limit` ids, after the first `skip`, whose files may exist without a task; oldest first."""
        return await self._ids("uploads", UPLOAD_ABANDONED_MS, limit, skip)

    async def overdue(self, limit: int, skip: int = 0) -> list[str]:
        """Return up to `limit` ids, after the first `skip`, of tasks that have waited too long; oldest first."""
        return await self._ids(in_state(Status.PENDING), self._queue_timeout_ms, limit, skip)

    async def expired(self, limit: int) -> list[str]:
        """Return up to `limit` ids of finished tasks that are older than `TASK_TTL_S`."""
        ids_by_state = [await self._ids(in_state(status), self._ttl_ms, limit) for status in sorted(FINAL_STATES)]
        return [task_id for ids in ids_by_state for task_id in ids][:limit]

    async def orphaned(self, limit: int) -> list[Task]:
        """Return unfinished tasks that nothing would start or finish, among the `limit` oldest of each state.

        arq's own loop can remove a task from the queue when it cleans up after a late attempt.
        """
        ids = [
            task_id
            for status in (Status.STARTED, Status.PENDING)
            for task_id in await self._ids(in_state(status), ORPHANED_MS, limit)
        ]
        lost: list[bytes] = await self._find_lost(keys=queue.LOST_KEYS, ids=ids)
        tasks = [await self._get_or_none(task_id.decode()) for task_id in lost]
        return [task for task in tasks if task is not None and not task.is_finished]

    async def _get_or_none(self, task_id: str) -> Task | None:
        # redis-py types each command for its blocking client too.
        record = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(task_key(task_id)))
        try:
            return parse_record(task_id, record)
        except (TaskNotFound, UnreadableTask) as exc:
            logger.info("%s cannot be read and is skipped: %s", task_id, exc)
            return None

    async def _ids(self, index: str, age_ms: int, limit: int, skip: int = 0) -> list[str]:
        """Return the ids that have been in an index for `age_ms`, oldest first."""
        ids: list[bytes] = await self._redis.zrangebyscore(index, "-inf", now_ms() - age_ms, start=skip, num=limit)
        return [task_id.decode() for task_id in ids]
