"""Retention: what a task leaves behind goes when its time is over."""

import logging

from worker.storage import Storage
from worker.tasks import Tasks, upload_path

logger = logging.getLogger(__name__)

BATCH = 500
"""Tasks removed in one go; what is more waits for the next, so that a sweep never holds a worker up for long."""


async def sweep(tasks: Tasks, storage: Storage) -> int:
    """Remove up to `BATCH` tasks that ended longer ago than their time to live, files first; return how many.

    The cost follows what expires, not what exists: the ids come from an index.
    """
    expired = await tasks.expired(BATCH)
    for task_id in expired:
        await storage.delete(upload_path(task_id))
        await storage.delete_under(f"processed/{task_id}")
        await tasks.forget(task_id)
    if expired:
        logger.info("removed %d tasks whose time was over", len(expired))
    return len(expired)
