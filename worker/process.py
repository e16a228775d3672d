"""What happens to one task, from STARTED to its one end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker import imaging
from worker.queue import LEASE_RENEWAL_S, renew_lease, through_outage
from worker.settings import Settings
from worker.slots import Overrun, Slots
from worker.storage import Storage, StorageUnavailable
from worker.tasks import Spec, Status, Task, TaskNotFound, Tasks, WrongState

logger = logging.getLogger(__name__)


class TryLater(Exception):
    """What the task needs is away; the task itself is not at fault and waits `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"again in {delay_s:g} s")
        self.delay_s = delay_s


class TaskFailed(Exception):
    """The task ends as FAILURE with this sentence for its client."""


class Processor:
    """Runs tasks; one per worker process."""

    def __init__(self, settings: Settings, redis: Redis, storage: Storage, slots: Slots) -> None:
        self._settings = settings
        self._redis = redis
        self._storage = storage
        self._slots = slots
        self._tasks = Tasks(redis, settings)

    async def process(self, task_id: str) -> None:
        """Take a queued task to its end; raise `TryLater` when Redis or storage is away.

        When it is cancelled (the worker stops), the task is handed back: PENDING again, this attempt not counted.
        """
        async with self._leased(task_id):
            try:
                task = await self._tasks.move(task_id, Status.STARTED)
            except (TaskNotFound, WrongState) as exc:
                logger.info("%s not begun: %s", task_id, exc)
                return
            try:
                await self._finish(task)
            except (asyncio.CancelledError, TryLater):
                await asyncio.shield(self._hand_back(task))
                raise

    async def _finish(self, task: Task) -> None:
        began = time.monotonic()
        try:
            size_bytes = await self._run(task)
        except TaskFailed as exc:
            await self._end(task, Status.FAILURE, error=str(exc))
            logger.info("%s failed in %.3f s: %s", task.id, time.monotonic() - began, exc)
        else:
            await self._end(task, Status.SUCCESS)
            logger.info("%s done in %.3f s, %d bytes", task.id, time.monotonic() - began, size_bytes)

    async def _run(self, task: Task) -> int:
        """Make and store the result; return its size in bytes."""
        died = task.attempt - task.handed_back - 1
        if died == 0 and task.waited_ms > self._settings.queue_timeout_s * 1000:
            raise TaskFailed(f"it waited longer than {self._settings.queue_timeout_s:g} s for a worker")
        if died >= self._settings.max_attempts:
            raise TaskFailed(f"the worker died {died} times while processing this image")
        try:
            spec = task.spec
        except msgspec.DecodeError as exc:
            raise TaskFailed(f"this version of the worker does not understand the task: {exc}") from exc
        try:
            data = await self._storage.read(task.upload_path)
            result = await self._render(spec, data)
            await self._storage.put_bytes(task.result_path, result)
        except FileNotFoundError as exc:
            raise TaskFailed("the upload is gone from storage") from exc
        except StorageUnavailable as exc:
            logger.warning("%s waits: storage is away: %s", task.id, exc)
            raise TryLater(min(60, 2**task.handed_back)) from exc
        return len(result)

    async def _render(self, spec: Spec, data: bytes) -> bytes:
        timeout_s = self._settings.task_timeout_s
        try:
            return await self._slots.run(
                timeout_s, imaging.render, data, spec.source, spec.plan, self._settings.max_pixels
            )
        except imaging.PictureError as exc:
            raise TaskFailed(str(exc)) from exc
        except Overrun as exc:
            raise TaskFailed(f"processing took longer than {timeout_s:g} s") from exc
        except Exception as exc:  # a fault of ours or Pillow's; the client must hear of it and the worker live on
            logger.exception("an operation broke on %s", spec)
            raise TaskFailed(f"an unexpected error stopped the processing ({type(exc).__name__})") from exc

    async def _end(self, task: Task, end: Status, **fields: str) -> None:
        """Record the outcome, however long Redis is away: nobody else can know it."""
        try:
            await through_outage(lambda: self._tasks.move(task.id, end, attempt=task.attempt, fields=fields))
        except (TaskNotFound, WrongState) as exc:
            logger.warning("%s: attempt %d came too late: %s", task.id, task.attempt, exc)

    async def _hand_back(self, task: Task) -> None:
        try:
            await self._tasks.move(
                task.id, Status.PENDING, attempt=task.attempt, fields={"handed_back": task.handed_back + 1}
            )
        except (TaskNotFound, WrongState, RedisError) as exc:
            logger.warning("%s not handed back: %s", task.id, exc)

    @asynccontextmanager
    async def _leased(self, task_id: str) -> AsyncIterator[None]:
        """Keep the task locked to this worker; if the worker dies, the lock lapses within `LEASE_S`."""

        async def renew() -> None:
            while True:
                try:
                    await renew_lease(self._redis, task_id)
                except RedisError as exc:
                    logger.warning("%s: lease not renewed: %s", task_id, exc)
                await asyncio.sleep(LEASE_RENEWAL_S)

        renewal = asyncio.create_task(renew())
        try:
            yield
        except RedisError as exc:
            logger.warning("%s waits: Redis is away: %s", task_id, exc)
            raise TryLater(1) from exc
        finally:
            renewal.cancel()
