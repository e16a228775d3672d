"""Ended tasks, queued again: one, or those of a page."""

import asyncio
from enum import StrEnum

from app.errors import UploadGone
from app.state import Request
from worker.states import QueueFull, Task, TaskNotFound, WrongState

AT_ONCE = 20
"""Tasks of a page that are looked after at the same time."""


class Outcome(StrEnum):
    """What became of one task of a page."""

    RETRIED = "retried"
    UPLOAD_GONE = "upload_gone"
    MOVED_ON = "moved_on"
    """Somebody else has queued or removed it meanwhile."""
    QUEUE_FULL = "queue_full"


async def retried(request: Request, task: Task) -> Task:
    """Queue a failed or revoked task again; raise `UploadGone`, `WrongState` or `QueueFull`."""
    fetch = task.spec.source is None or not await _is_stored(request, task)
    if fetch and task.spec.url is None:
        raise UploadGone
    caller = request.state["caller"]
    return await request.state["tasks"].retry(task, caller.owner if caller.name == task.owner else None, fetch=fetch)


async def all_retried(request: Request, tasks: list[Task]) -> dict[Outcome, int]:
    """Queue each of the tasks again that can be; return how many came to what."""
    counts = dict.fromkeys(Outcome, 0)
    for start in range(0, len(tasks), AT_ONCE):
        for outcome in await asyncio.gather(*(_tried(request, task) for task in tasks[start : start + AT_ONCE])):
            counts[outcome] += 1
    return counts


async def _tried(request: Request, task: Task) -> Outcome:
    try:
        await retried(request, task)
    except UploadGone:
        return Outcome.UPLOAD_GONE
    except (WrongState, TaskNotFound):
        return Outcome.MOVED_ON
    except QueueFull:
        return Outcome.QUEUE_FULL
    return Outcome.RETRIED


async def _is_stored(request: Request, task: Task) -> bool:
    try:
        await request.state["storage"].head(task.upload_path)
    except FileNotFoundError:
        return False
    return True
