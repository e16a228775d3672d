"""Retention: what a task leaves behind goes when its time is over."""

import asyncio
import logging

from worker.storage import Storage
from worker.tasks import Tasks, upload_path

logger = logging.getLogger(__name__)

BATCH = 100
"""Tasks removed at once."""


async def sweep(tasks: Tasks, storage: Storage) -> int:
    """Remove the tasks that ended longer ago than their time to live, files first; return how many.

    The cost follows what expires, not what exists: the ids come from an index.
    """
    removed = 0
    while expired := await tasks.expired(BATCH):
        await asyncio.gather(*(_remove(task_id, tasks, storage) for task_id in expired))
        removed += len(expired)
    if removed:
        logger.info("removed %d tasks whose time was over", removed)
    return removed


async def _remove(task_id: str, tasks: Tasks, storage: Storage) -> None:
    await storage.delete(upload_path(task_id))
    await storage.delete_under(f"processed/{task_id}")
    await tasks.forget(task_id)
