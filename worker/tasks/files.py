"""The files of a task in storage: its upload, its overlay and its results."""

import asyncio
import logging

from worker.storage import Storage, StorageUnavailable
from worker.tasks.model import overlay_path, results_path, upload_path

logger = logging.getLogger(__name__)


async def remove_files(storage: Storage, task_id: str) -> None:
    """Remove every file of a task; raise `StorageUnavailable` if that fails."""
    await _remove_uploads(storage, task_id)
    await storage.delete_under(results_path(task_id))


async def delete_files(storage: Storage, task_id: str) -> None:
    """Remove every file of a task, or log that this failed."""
    try:
        await remove_files(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: its files stay in storage: %s", task_id, exc)


async def delete_uploads(storage: Storage, task_id: str) -> None:
    """Remove a task's upload and overlay, or log that this failed; they stay until the task is removed."""
    try:
        await _remove_uploads(storage, task_id)
    except StorageUnavailable as exc:
        logger.warning("%s: its upload stays in storage: %s", task_id, exc)


async def _remove_uploads(storage: Storage, task_id: str) -> None:
    await asyncio.gather(storage.delete(upload_path(task_id)), storage.delete(overlay_path(task_id)))
