"""Delete expired tasks and orphaned uploads; fail overdue tasks and requeue lost ones."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from worker.errors import ErrorCode
from worker.runner.leftovers import Leftovers
from worker.runner.partial_uploads import PartialUploads
from worker.storage import Storage, StorageUnavailable
from worker.tasks.files import remove_files
from worker.tasks.model import Task, queue_timeout_message
from worker.tasks.status import Status, TaskNotFound, UnreadableTask, WrongState
from worker.tasks.store import Tasks

logger = logging.getLogger(__name__)

PARTIAL_NAME = re.compile(r"#\d+$")
"""The end of the name of a file that obstore is writing to a local directory, and renames when it is complete."""

PARTIAL_AGE_S = 3600
"""Age from which such a file was left by a process that died."""

BATCH = 100
"""Tasks handled at the same time."""


async def sweep(tasks: Tasks, storage: Storage) -> None:
    """Run all clean-ups once. The cost depends on the work to do, because indices give the ids."""
    await fail_overdue(tasks)
    await requeue_orphaned(tasks)
    await remove_expired(tasks, storage)
    await remove_orphaned_uploads(tasks, storage)
    await PartialUploads(tasks.redis, storage).delete_expired()


async def remove_partial_files(storage: Storage) -> None:
    """Delete the files that killed processes left half-written. The cost depends on the number of files."""
    if storage.root is not None and (deleted := await asyncio.to_thread(_delete_partial, storage.root)):
        logger.info("deleted %d half-written files", deleted)


def _delete_partial(root: Path) -> int:
    deleted, latest = 0, time.time() - PARTIAL_AGE_S  # by the clock of the file system
    for folder, _, names in os.walk(root):
        for path in (Path(folder) / name for name in names if PARTIAL_NAME.search(name)):
            with suppress(OSError):  # a process is writing it, or another has deleted it
                if path.stat().st_mtime < latest:
                    path.unlink()
                    deleted += 1
    return deleted


def _leftovers(tasks: Tasks) -> Leftovers:
    return Leftovers(tasks.redis, ttl_ms=tasks.ttl_ms, queue_timeout_s=tasks.queue_timeout_s)


async def remove_expired(tasks: Tasks, storage: Storage) -> int:
    """Delete the tasks that have expired; return their number."""
    removed = 0
    while expired := await _leftovers(tasks).expired(BATCH):
        # The record is deleted before the files; `remove_orphaned_uploads` retries files that could not be deleted.
        await _for_each(expired, lambda task_id: remove(task_id, tasks, storage))
        removed += len(expired)
    if removed:
        logger.info("deleted %d expired tasks", removed)
    return removed


async def remove(task_id: str, tasks: Tasks, storage: Storage) -> bool:
    """Delete an ended task, its upload and its results; return False if it has not ended."""
    if not await tasks.delete(task_id):
        return False
    await _remove_files(task_id, tasks, storage)
    return True


async def remove_orphaned_uploads(tasks: Tasks, storage: Storage) -> None:
    """Delete the files of uploads without a task, and of tasks whose deletion was interrupted."""
    failed = 0
    while unnamed := await _leftovers(tasks).abandoned_uploads(BATCH, skip=failed):
        failed += await _for_each(unnamed, lambda task_id: _remove_files(task_id, tasks, storage))


async def _for_each(task_ids: Iterable[str], action: Callable[[str], Awaitable[object]]) -> int:
    """Run `action` for each task; log each failure and return their number."""

    async def attempt(task_id: str) -> bool:
        try:
            await action(task_id)
        except (StorageUnavailable, UnreadableTask) as exc:
            logger.warning("%s could not be cleaned up, trying again in a minute: %s", task_id, exc)
            return False
        return True

    async with asyncio.TaskGroup() as group:  # when the sweep is cancelled, none of them may outlive the connections
        attempts = [group.create_task(attempt(task_id)) for task_id in task_ids]
    return sum(not each.result() for each in attempts)


async def _remove_files(task_id: str, tasks: Tasks, storage: Storage) -> None:
    await remove_files(storage, task_id)
    await tasks.forget_upload(task_id)


async def fail_overdue(tasks: Tasks) -> None:
    """Fail the tasks that have waited longer than QUEUE_TIMEOUT_S; workers do the same when they start one."""
    failed = 0
    while overdue := await _leftovers(tasks).overdue(BATCH, skip=failed):
        failed += await _for_each(overdue, lambda task_id: _fail_overdue(task_id, tasks))


async def _fail_overdue(task_id: str, tasks: Tasks) -> None:
    fields = {"error": queue_timeout_message(tasks.queue_timeout_s), "error_code": ErrorCode.QUEUE_TIMEOUT}
    try:
        await tasks.move(task_id, Status.FAILURE, sources=(Status.PENDING,), fields=fields)
    except WrongState as exc:
        logger.info("%s is no longer overdue: %s", task_id, exc)
    except TaskNotFound:
        await tasks.delete(task_id)  # the record has expired, but not its index entries and files


async def requeue_orphaned(tasks: Tasks) -> None:
    """Requeue unfinished tasks that are not in the queue; a started attempt counts as one whose worker died."""
    for task in await _leftovers(tasks).orphaned(BATCH):
        await _take_up(task, tasks)


async def _take_up(task: Task, tasks: Tasks) -> None:
    try:
        await tasks.move(task.id, Status.PENDING, attempt=task.attempt, sources=(task.status,))
    except (TaskNotFound, WrongState) as exc:
        logger.info("%s has changed its state: %s", task.id, exc)
    else:
        logger.warning("%s was lost from the queue; queued again", task.id)
