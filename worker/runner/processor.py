"""Processing of one task, from STARTED to its final state."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import MappingProxyType
from uuid import uuid4

import msgspec
from redis.exceptions import RedisError

from worker.errors import ErrorCode, StorageAway, TaskFailed, TaskStopped
from worker.runner.destinations import Destinations, NotSent
from worker.runner.fetch import Fetcher
from worker.runner.heartbeat import worker_name
from worker.runner.reuse import Reuse
from worker.settings import Settings
from worker.storage import Storage, StorageUnavailable
from worker.tasks.connection import retry_through_outage
from worker.tasks.files import delete_files, delete_uploads
from worker.tasks.model import OutputRecord, Spec, Task, queue_timeout_message
from worker.tasks.progress import Progress, Run
from worker.tasks.queue import LEASE_RENEWAL_S, REUSE_HOLD_MS
from worker.tasks.status import Status, TaskNotFound, UnreadableTask, WrongState
from worker.tasks.store import Tasks
from worker.telemetry import logs
from worker.telemetry.counters import BY_OPERATION, BYTES_IN, BYTES_OUT, OPERATION

logger = logging.getLogger(__name__)

LONGEST_DELAY_S = 60

PROGRESS_INTERVAL_S = 0.25
"""Interval of progress reports; shorter tasks report their steps with their end."""


RenderTask = Callable[[Task, Spec, Run, Callable[[], None]], Awaitable[dict[str, OutputRecord]]]
"""Render and store the results of a task; see `worker.runner.task_renderer.TaskRenderer.outputs`."""


@contextmanager
def _unexpected_as_failure(task_id: str) -> Iterator[None]:
    """Raise `TaskFailed` for an unexpected error; otherwise the lease would expire and two more attempts follow."""
    try:
        yield
    except (TaskFailed, TaskStopped, StorageAway, NotSent):
        raise
    except Exception as exc:  # a bug, or an error of a library on untrusted data
        logger.exception("%s: unexpected error", task_id)
        message = f"an unexpected error stopped the processing ({type(exc).__name__})"
        raise TaskFailed(ErrorCode.INTERNAL, message) from exc


class Processor:
    """Processes tasks; one per worker process."""

    def __init__(  # noqa: PLR0913 - where tasks and files are, and the steps of a task
        self,
        settings: Settings,
        tasks: Tasks,
        storage: Storage,
        render: RenderTask,
        fetcher: Fetcher,
        destinations: Destinations,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._storage = storage
        self._render = render
        self._fetcher = fetcher
        self._destinations = destinations
        self._reuse = Reuse(settings, tasks, storage)
        self.runs: dict[str, Run] = {}
        """The running tasks by id."""
        self.done = self.failed = 0

    async def begin_and_process(self, task_id: str) -> None:
        """Start and process a queued task if it is still waiting; for arq's own loop."""
        await self._tasks.renew_lease(task_id)  # also shortens arq's lock from an hour to the length of the lease
        begin = partial(self._tasks.move, task_id, Status.STARTED, fields={"worker": worker_name(), "progress": 0})
        try:
            task = await begin()
            await self.process(task)
            if task.fetch:  # arq would confuse the new job with the one that has just run
                await self.process(await begin(sources=(Status.PENDING,)))
        except (TaskNotFound, WrongState) as exc:
            logger.info("%s not started: %s", task_id, exc)

    async def process(
        self, task: Task, on_rendered: Callable[[], None] = lambda: None, on_stored: Callable[[], None] = lambda: None
    ) -> None:
        """Process a started task to its end, or queue it again without counting the attempt.

        It is queued again when storage, or its destination, is unavailable (with a delay), when this call is cancelled
        (the worker stops), and after its upload was fetched. `on_rendered` is called when its slot is free, before the
        result is stored, and `on_stored` before the result is sent to its destination.
        """
        logs.task_id.set(task.id)
        with suppress(UnreadableTask):
            logs.request_id.set(task.spec.request_id)
        try:
            async with self._attendance(task) as run:
                await self._finish(task, run, on_rendered, on_stored)
        except StorageAway as exc:
            delay_s = min(LONGEST_DELAY_S, 2**task.handed_back)
            logger.warning("%s is delayed by %d s because storage is unavailable: %s", task.id, delay_s, exc)
            await retry_through_outage(lambda: self._hand_back(task, None, delay_ms=delay_s * 1000))
        except NotSent as exc:
            delay_s = min(LONGEST_DELAY_S, 2**task.sends)
            logger.info("%s is sent again in %d s: %s", task.id, delay_s, exc)
            outputs = msgspec.json.encode(exc.outputs).decode()
            changes: dict[str, str | int] = {"outputs": outputs, "sends": task.sends + exc.was_tried}
            await retry_through_outage(lambda: self._hand_back(task, None, changes, delay_ms=delay_s * 1000))
        except asyncio.CancelledError:
            with suppress(RedisError):  # the lease expires; stopping cannot wait for Redis
                await asyncio.shield(self._hand_back(task, task.created_ms))
            raise

    def stop(self, task_id: str) -> None:
        """Stop a running task: at once while its upload is fetched or its results are sent, else at its next step."""
        if task_id in self.runs:
            self.runs[task_id].interrupt()

    async def _finish(
        self, task: Task, run: Run, on_rendered: Callable[[], None], on_stored: Callable[[], None]
    ) -> None:
        began = time.monotonic()
        try:
            with _unexpected_as_failure(task.id):
                spec = self._check(task)
                if task.fetch:
                    await self._fetch(task, spec, run)
                    logger.info("%s fetched in %.3f s", task.id, time.monotonic() - began)
                    return
                if task.reuse_of:
                    await self._wait_for_results(task)
                    return
                step_count, outputs = spec.plan.step_count, task.outputs
                run.progress = Progress(step_count, step_count if outputs else 0)
                if not outputs:  # otherwise they only have to be sent
                    outputs = await self._render(task, spec, run, on_rendered)
                if spec.has_destination:
                    on_rendered()
                    on_stored()
                    await self._report(task, run.progress)
                    await run.interruptible(self._destinations.send(task, spec, outputs))
        except TaskFailed as exc:
            self.failed += 1
            await self._end(
                task, run, Status.FAILURE, error=str(exc), error_code=exc.code, failed_operation=exc.operation or ""
            )
            logger.info("%s failed in %.3f s: %s", task.id, time.monotonic() - began, exc)
        except TaskStopped:
            await self._end(task, run, Status.REVOKED)
            logger.info("%s stopped after %.3f s", task.id, time.monotonic() - began)
        else:
            self.done += 1
            await self._end(task, run, Status.SUCCESS, outputs=msgspec.json.encode(outputs).decode())
            size_bytes = sum(output.bytes for output in outputs.values())
            self._tasks.stats.count(BYTES_OUT, by=size_bytes)
            logger.info("%s done in %.3f s, %d bytes", task.id, time.monotonic() - began, size_bytes)

    async def _fetch(self, task: Task, spec: Spec, run: Run) -> None:
        """Fetch the upload, then queue the task again for processing."""
        try:
            fetched = await run.interruptible(self._fetcher.fetch(task, spec))
        except StorageUnavailable as exc:
            raise StorageAway(exc) from exc
        self._tasks.stats.count(BYTES_IN, by=fetched.bytes)
        changes: dict[str, str | int] = {"fetch": 0, "fetched": msgspec.json.encode(fetched).decode()}
        if spec.reuse is not None and await retry_through_outage(
            lambda: self._reuse.choose_fetched(task, spec, fetched)
        ):
            await self._wait_for_results(task, changes)
        else:
            await retry_through_outage(lambda: self._hand_back(task, task.created_ms, changes))

    async def _wait_for_results(self, task: Task, changes: Mapping[str, str | int] = MappingProxyType({})) -> None:
        """Hand back a task that reuses the results of another, and give it those if there are any yet."""
        await retry_through_outage(lambda: self._hand_back(task, None, changes, delay_ms=REUSE_HOLD_MS))
        with suppress(RedisError, StorageUnavailable):  # otherwise it is started again after the delay
            await self._reuse.settle(task.id)

    def _check(self, task: Task) -> Spec:
        if task.cancel:
            raise TaskStopped
        if task.deaths >= self._settings.max_attempts:
            raise TaskFailed(ErrorCode.WORKER_DIED, f"the worker died {task.deaths} times while processing this image")
        if task.deaths == 0 and task.waited_ms > self._settings.queue_timeout_s * 1000:
            raise TaskFailed(ErrorCode.QUEUE_TIMEOUT, queue_timeout_message(self._settings.queue_timeout_s))
        if task.has_expired:
            raise TaskFailed(ErrorCode.EXPIRED, "it was not started within the time of its expires_in")
        try:
            return task.spec
        except UnreadableTask as exc:
            raise TaskFailed(ErrorCode.UNSUPPORTED_TASK, str(exc)) from exc

    async def _end(self, task: Task, run: Run, end: Status, **fields: str) -> None:
        """Record the final state, retrying while Redis is unavailable."""
        for operation, took_s in run.progress.durations():
            self._tasks.stats.observe(OPERATION, operation, seconds=took_s)
            self._tasks.stats.observe_group(BY_OPERATION, operation, seconds=took_s)
        async with run.progress.reporting:
            steps = run.progress.take()
        move = partial(
            self._tasks.move,
            task.id,
            end,
            attempt=task.attempt,
            sources=(Status.STARTED,),
            fields={"token": uuid4().hex, **fields, "progress": run.progress.share, "phases": str(run.progress.watch)},
            steps=steps,
        )
        try:
            await retry_through_outage(move)
        except WrongState as exc:
            logger.warning("%s: attempt %d ended too late: %s", task.id, task.attempt, exc)
        except TaskNotFound:
            logger.warning("%s was deleted during attempt %d", task.id, task.attempt)
            await delete_files(self._storage, task.id)
        else:
            if task.reuse:
                await self._reuse.settle_waiting(task)
            if not self._settings.keep_uploads:
                await delete_uploads(self._storage, task.id)

    async def _hand_back(
        self,
        task: Task,
        due_ms: int | None,
        changes: Mapping[str, str | int] = MappingProxyType({}),
        *,
        delay_ms: int = 0,
    ) -> None:
        fields, sources = {"handed_back": task.handed_back + 1, **changes}, (Status.STARTED,)
        try:
            await self._tasks.move(
                task.id,
                Status.PENDING,
                attempt=task.attempt,
                sources=sources,
                fields=fields,
                due_ms=due_ms,
                delay_ms=delay_ms,
            )
        except WrongState as exc:
            logger.warning("%s not handed back: %s", task.id, exc)
        except TaskNotFound:
            logger.warning("%s was deleted during attempt %d", task.id, task.attempt)
            await delete_files(self._storage, task.id)

    @asynccontextmanager
    async def _attendance(self, task: Task) -> AsyncIterator[Run]:
        """Renew the lease of the task and report its progress while the block runs."""
        run = Run()
        self.runs[task.id] = run
        attendance = asyncio.create_task(self._attend(task, run))
        try:
            yield run
        finally:
            attendance.cancel()
            run.stop.set()  # a thread that still runs must not store its results
            del self.runs[task.id]

    async def _attend(self, task: Task, run: Run) -> None:
        while True:
            for _ in range(round(LEASE_RENEWAL_S / PROGRESS_INTERVAL_S)):
                await asyncio.sleep(PROGRESS_INTERVAL_S)
                await self._report(task, run.progress)
            if not await self._renew(task):
                return

    async def _report(self, task: Task, progress: Progress) -> None:
        if progress.is_reported:
            return
        try:
            await self._tasks.report_progress(task, progress)
        except RedisError as exc:
            logger.warning("%s: progress not reported: %s", task.id, exc)

    async def _renew(self, task: Task) -> bool:
        """Renew the lease, and stop the task if it was cancelled; return False if there is no lease to renew."""
        try:
            now = await self._tasks.get(task.id)
            if now.cancel or now.attempt != task.attempt:
                self.stop(task.id)
            if now.attempt != task.attempt:
                return False  # a newer attempt has its own lease
            await self._tasks.renew_lease(task.id, task.attempt)
        except TaskNotFound:
            return False
        except RedisError as exc:
            logger.warning("%s: lease not renewed: %s", task.id, exc)
        return True
