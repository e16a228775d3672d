"""Reuse the results of an equal task: the same upload, operations, engine and owner.

A new task that reuses results waits for an original: the task whose results it gets. If that has ended, `settle` ends
the new task at once with copies of the results: hard links in a local directory, copies by the server in an object
store. Otherwise the worker does so at the end of the original. The copies are files of their own, so that either task
can be deleted. A task whose original failed, or is gone, becomes an original itself.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import cast

import msgspec
import PIL
from redis.exceptions import RedisError

import worker
from worker.pixels.resampling import RESAMPLER
from worker.settings import Settings
from worker.storage import Storage, StorageUnavailable
from worker.tasks.files import delete_files, delete_uploads
from worker.tasks.model import Fetched, Spec, Task
from worker.tasks.status import Status, TaskNotFound, WrongState
from worker.tasks.store import Tasks
from worker.telemetry.clock import now_ms

logger = logging.getLogger(__name__)

ENGINE_ROOMS = ("imaging", "operations", "pixels")


@cache
def engine_version() -> str:
    """Return a digest of what makes results from pixels: our code and the versions of the libraries."""
    digest = hashlib.sha256(f"{PIL.__version__} {RESAMPLER} {version('msgspec')}".encode())
    package = Path(worker.__file__).parent
    for path in sorted(path for room in ENGINE_ROOMS for path in (package / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Reuse:
    """Gives tasks the results of equal ones."""

    def __init__(self, settings: Settings, tasks: Tasks, storage: Storage) -> None:
        self._settings = settings
        self._tasks = tasks
        self._storage = storage

    def with_digest(self, spec: Spec, sha256: Iterable[str]) -> Spec:
        """Return the spec of a task that reuses results, unless they are sent elsewhere.

        `sha256` are the digests of its files; they are not used for an upload that has not been fetched.
        """
        if spec.has_destination:
            return spec
        if spec.source is None:
            return msgspec.structs.replace(spec, reuse="")
        parts = [engine_version(), self._settings.font_path, list(sha256), spec.source, spec.plan]
        return msgspec.structs.replace(spec, reuse=hashlib.sha256(msgspec.json.encode(parts)).hexdigest())

    async def choose_fetched(self, task: Task, spec: Spec, fetched: Fetched) -> bool:
        """Choose the original of a task whose upload has been fetched; return whether there is one."""
        whole = self.with_digest(msgspec.structs.replace(spec, source=fetched.source), [fetched.sha256])
        return await self._tasks.choose_original(task.id, f"reuse:{task.owner or ''}:{whole.reuse}") is not None

    async def settle_new(self, task_ids: Iterable[str]) -> None:
        """Settle tasks that have just been created; log a failure, after which the workers do it."""
        try:
            for task_id in task_ids:
                await self.settle(task_id)
        except (RedisError, StorageUnavailable) as exc:
            logger.warning("the results of equal tasks are not reused at once: %s", exc)

    async def settle(self, task_id: str) -> None:
        """End a waiting task with the results of its original, unless that is unfinished.

        Without an original, the task is started in its turn.
        """
        try:
            while (task := await self._tasks.get(task_id)).reuse_of and task.status is Status.PENDING:
                original = await self._find(task.reuse_of)
                if original is not None and not original.is_finished:
                    return
                if original is not None and original.status is Status.SUCCESS:
                    try:
                        await self._give_results(original, task)
                    except FileNotFoundError:
                        logger.info("%s cannot reuse the results of %s, which are deleted", task_id, original.id)
                    else:
                        return
                if await self._tasks.choose_original(task_id, task.reuse, task.reuse_of) is None:
                    await self._tasks.move(task_id, Status.PENDING, sources=(Status.PENDING,))
        except TaskNotFound:
            await delete_files(self._storage, task_id)
        except WrongState as exc:
            logger.info("%s does not reuse results: %s", task_id, exc)

    async def settle_waiting(self, original: Task) -> None:
        """Settle the tasks that wait for the results of a task that has ended; log a failure.

        What could not be settled is started after `REUSE_HOLD_MS`, and settled then.
        """
        key = f"reuse:of:{original.id}"
        try:
            waiting = await cast("Awaitable[set[bytes]]", self._tasks.redis.smembers(key))
            for task_id in waiting:
                await self.settle(task_id.decode())
            if waiting:
                await self._tasks.redis.delete(key)
            await self._tasks.redis.pexpire(original.reuse, self._tasks.ttl_ms)
        except (RedisError, StorageUnavailable) as exc:
            logger.warning("%s: the tasks that reuse its results wait on: %s", original.id, exc)

    async def _find(self, task_id: str) -> Task | None:
        try:
            return await self._tasks.get(task_id)
        except TaskNotFound:
            return None

    async def _give_results(self, original: Task, task: Task) -> None:
        """Copy the results and end the task. Raises `FileNotFoundError`, `WrongState` and `TaskNotFound`."""
        paths, results = task.result_paths, original.outputs
        await asyncio.gather(*(self._storage.copy(output.path, paths[name]) for name, output in results.items()))
        outputs = {name: msgspec.structs.replace(output, path=paths[name]) for name, output in results.items()}
        fields: dict[str, str | float] = {
            "outputs": msgspec.json.encode(outputs).decode(),
            "progress": 1,
            "reused_from": original.id,
        }
        await self._tasks.move(task.id, Status.SUCCESS, sources=(Status.PENDING,), fields=fields)
        logger.info("%s done with the results of %s", task.id, original.id)
        await self._tasks.redis.zadd(task.reuse, {task.id: now_ms()})  # it may outlive the original
        await self._tasks.redis.pexpire(task.reuse, self._tasks.ttl_ms)
        if not self._settings.keep_uploads:
            await delete_uploads(self._storage, task.id)
