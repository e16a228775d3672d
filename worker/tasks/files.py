"""Delete the files of a task: its upload, its overlay and its results."""

import asyncio
import logging

from worker.storage import Storage, StorageUnavailable
from worker.tasks.model import overlay_path, results_path, upload_path

logger = logging.getLogger(__name__)


async def remove_files(storage: Storage, task_id: str) -> None:
    """Delete all files of a task, or raise `StorageUnavailable`."""
    await _remove_uploads(storage, task_id)
    await storage.delete_under(results_path(task_id))


async def delete_files(storage: Storage, task_id: str) -> None:
    """Delete all files of a task; log a failure."""
    try:
        await remove_files(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: cannot delete its files: %s", task_id, exc)


async def delete_uploads(storage: Storage, task_id: str) -> None:
    """Delete a task's upload and overlay; log a failure, in which case they stay until the task is deleted."""
    try:
        await _remove_uploads(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: cannot delete its upload: %s", task_id, exc)


async def _remove_uploads(storage: Storage, task_id: str) -> None:
    await asyncio.gather(storage.delete(upload_path(task_id)), storage.delete(overlay_path(task_id)))
