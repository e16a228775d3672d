"""Retry failed and revoked tasks: one, or those of a page."""

import asyncio
from enum import StrEnum
from functools import partial

from app.http.exceptions import UploadGone
from app.keys import Caller
from worker.storage import Storage
from worker.tasks.model import Task
from worker.tasks.queue_state import QueueFull
from worker.tasks.status import TaskNotFound, WrongState
from worker.tasks.store import Tasks

CONCURRENT_RETRIES = 20
"""Tasks of a page that are retried at the same time."""


class Outcome(StrEnum):
    """The outcome for one task of a page."""

    RETRIED = "retried"
    UPLOAD_GONE = "upload_gone"
    MOVED_ON = "moved_on"
    """Another request has retried or deleted the task meanwhile."""
    QUEUE_FULL = "queue_full"


async def retry_task(tasks: Tasks, storage: Storage, caller: Caller, task: Task) -> Task:
    """Retry a failed or revoked task, or raise `UploadGone`, `WrongState` or `QueueFull`."""
    fetch = task.spec.source is None or not await _is_stored(storage, task)
    if fetch and task.spec.url is None:
        raise UploadGone
    return await tasks.retry(task, caller.owner if caller.name == task.owner else None, fetch=fetch)


async def retry_all(tasks: Tasks, storage: Storage, caller: Caller, page: list[Task]) -> dict[Outcome, int]:
    """Retry each task of a page; return the number of tasks by outcome."""
    attempt = partial(_attempt, tasks, storage, caller)
    counts = dict.fromkeys(Outcome, 0)
    for start in range(0, len(page), CONCURRENT_RETRIES):
        for outcome in await asyncio.gather(*map(attempt, page[start : start + CONCURRENT_RETRIES])):
            counts[outcome] += 1
    return counts


async def _attempt(tasks: Tasks, storage: Storage, caller: Caller, task: Task) -> Outcome:
    try:
        await retry_task(tasks, storage, caller, task)
    except UploadGone:
        return Outcome.UPLOAD_GONE
    except (WrongState, TaskNotFound):
        return Outcome.MOVED_ON
    except QueueFull:
        return Outcome.QUEUE_FULL
    return Outcome.RETRIED


async def _is_stored(storage: Storage, task: Task) -> bool:
    try:
        await storage.head(task.upload_path)
    except FileNotFoundError:
        return False
    return True
