"""A task as JSON shows it."""

from typing import Any

import msgspec

from worker.imaging.plan import Plan, Variant
from worker.states import Spec, Status, Task
from worker.times import rfc3339


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


def record_view(task: Task) -> dict[str, Any]:
    """Return all there is to know of a task but its place in the queue. What is not known, or not yet, is null."""
    return {
        **status_view(task),
        "error_code": task.error_code if task.status is Status.FAILURE else None,
        "owner": task.owner,
        "file": _file(task.spec),
        **wish_view(task.spec.plan),
        "created_at": timestamp(task.created_ms),
        "queued_at": timestamp(task.queued_ms),
        "started_at": timestamp(task.started_ms),
        "ended_at": timestamp(task.ended_ms),
        "waited_s": round(task.waited_ms / 1000, 3),
        "ran_s": None if task.ran_ms is None else round(task.ran_ms / 1000, 3),
        "attempts": task.attempt,
        "worker": task.worker,
        "request_id": task.spec.request_id or None,
        "progress": 0 if task.status is Status.PENDING else task.progress,
        "outputs": [
            {**({"variant": name} if name else {}), **msgspec.to_builtins(output)}
            for name, output in task.outputs.items()
        ],
    }


def timestamp(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _file(spec: Spec) -> dict[str, Any]:
    width, height = spec.size or (None, None)
    return {
        "name": spec.name,
        **({} if spec.url is None else {"url": spec.url}),
        "format": None if spec.source is None else spec.source.value,
        "bytes": spec.bytes or None,
        "width": width,
        "height": height,
    }


def wish_view(plan: Plan) -> dict[str, Any]:
    """Return what was asked for, as it was understood: with every default."""
    if plan.is_named:
        return {"variants": {name: _variant(variant) for name, variant in plan.variants.items()}}
    return _variant(plan.variants[""])


def _variant(variant: Variant) -> dict[str, Any]:
    steps = [
        {"operation": step.__struct_config__.tag, **msgspec.to_builtins(msgspec.structs.asdict(step))}
        for step in variant.operations
    ]
    return {"operations": steps, "output": msgspec.to_builtins(msgspec.structs.asdict(variant.output))}
