"""A task as JSON shows it."""

from typing import Any

from worker.states import Status, Task


def status_view(task: Task) -> dict[str, Any]:
    """Return what the status route says: `result` and `error` only where there is one."""
    view: dict[str, Any] = {"task_id": task.id, "status": task.status}
    if task.status is Status.SUCCESS:
        view["result"] = results(task)
    if task.status is Status.FAILURE and task.error is not None:
        view["error"] = task.error
    return view


def results(task: Task) -> str | dict[str, str]:
    """Return the path of the result, or of each variant's by its name."""
    return task.result_paths if task.spec.plan.is_named else task.result_paths[""]
