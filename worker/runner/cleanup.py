"""Delete expired tasks and orphaned uploads; fail overdue tasks and requeue lost ones."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from worker.errors import ErrorCode
from worker.storage import Storage, StorageUnavailable
from worker.tasks.files import remove_files
from worker.tasks.model import (
    UNREADABLE,
    Status,
    Task,
    TaskNotFound,
    WrongState,
    queue_timeout_message,
)
from worker.tasks.store import Tasks

logger = logging.getLogger(__name__)

BATCH = 100
"""Tasks taken on at once."""


async def sweep(tasks: Tasks, storage: Storage) -> None:
    """Do all of this module's work once; its cost follows what there is to do, as ids come from indices."""
    await fail_overdue(tasks)
    await requeue_orphaned(tasks)
    await remove_expired(tasks, storage)
    await remove_orphaned_uploads(tasks, storage)


async def remove_expired(tasks: Tasks, storage: Storage) -> int:
    """Remove the tasks that ended longer ago than their time to live; return how many."""
    removed = 0
    while expired := await tasks.expired(BATCH):
        # A task whose files cannot be removed has no record by then; `remove_orphaned_uploads` tries them again.
        await _for_each(expired, lambda task_id: remove(task_id, tasks, storage))
        removed += len(expired)
    if removed:
        logger.info("removed %d tasks whose time was over", removed)
    return removed


async def remove(task_id: str, tasks: Tasks, storage: Storage) -> bool:
    """Remove an ended task, its upload and its results; return False, and do nothing, if it has not ended."""
    if not await tasks.delete(task_id):
        return False
    await _remove_files(task_id, tasks, storage)
    return True


async def remove_orphaned_uploads(tasks: Tasks, storage: Storage) -> None:
    """Remove the files of uploads that never became a task, and of tasks whose removal broke off."""
    failed = 0
    while unnamed := await tasks.abandoned_uploads(BATCH, skip=failed):
        failed += await _for_each(unnamed, lambda task_id: _remove_files(task_id, tasks, storage))


async def _for_each(task_ids: Iterable[str], action: Callable[[str], Awaitable[object]]) -> int:
    """Do `action` for each task and return how many failed, for which one line each is logged."""

    async def attempt(task_id: str) -> bool:
        try:
            await action(task_id)
        except (StorageUnavailable, *UNREADABLE) as exc:
            logger.warning("%s is left to the next sweep: %s", task_id, exc)
            return False
        return True

    return [await done for done in asyncio.as_completed(map(attempt, task_ids))].count(False)


async def _remove_files(task_id: str, tasks: Tasks, storage: Storage) -> None:
    await remove_files(storage, task_id)
    await tasks.forget_upload(task_id)


async def fail_overdue(tasks: Tasks) -> None:
    """Fail the tasks that have waited too long; a worker does so too when it comes to one."""
    failed = 0
    while overdue := await tasks.overdue(BATCH, skip=failed):
        failed += await _for_each(overdue, lambda task_id: _fail_overdue(task_id, tasks))


async def _fail_overdue(task_id: str, tasks: Tasks) -> None:
    fields = {"error": queue_timeout_message(tasks.queue_timeout_s), "error_code": ErrorCode.QUEUE_TIMEOUT}
    try:
        await tasks.move(task_id, Status.FAILURE, sources=(Status.PENDING,), fields=fields)
    except WrongState as exc:
        logger.info("%s is no longer overdue: %s", task_id, exc)
    except TaskNotFound:
        await tasks.delete(task_id)  # its record expired; its index entries and files are left


async def requeue_orphaned(tasks: Tasks) -> None:
    """Queue the unfinished tasks again that the queue has lost; an attempt that was begun counts as one that died."""
    for task in await tasks.orphaned(BATCH):
        await _take_up(task, tasks)


async def _take_up(task: Task, tasks: Tasks) -> None:
    try:
        await tasks.move(task.id, Status.PENDING, attempt=task.attempt, sources=(task.status,))
    except (TaskNotFound, WrongState) as exc:
        logger.info("%s has moved on: %s", task.id, exc)
    else:
        logger.warning("%s was in no queue; queued again", task.id)
