"""A task as JSON shows it. Fields that are not there at all are UNSET; what is not known, or not yet, is null."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from worker.errors import ErrorCode
from worker.imaging.plan import Plan, Variant
from worker.tasks.model import OutputRecord, Spec, Status, Task
from worker.telemetry.clock import rfc3339
from worker.webhooks.messages import EVENT_TYPES, State

TaskId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""By RFC 3339."""

Results = str | dict[str, str]

# Structs of these would leave out what is as by default.
Step = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Step"})]
WholeOutput = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Output"})]


class TaskStatus(Struct, frozen=True):
    """How a task is."""

    task_id: TaskId
    status: Status
    result: (
        Annotated[Results, Meta(description="Of a SUCCESS: its path on this server, or each variant's by its name.")]
        | UnsetType
    ) = UNSET
    error: Annotated[str, Meta(description="Of a FAILURE: why, in a sentence.")] | UnsetType = UNSET


class TaskResult(Struct, frozen=True):
    """Where the result of a task lies."""

    task_id: TaskId
    processed_image: Annotated[
        Results, Meta(description="The result's path on this server, or each variant's by its name.")
    ]


class Upload(Struct, frozen=True, kw_only=True):
    """What a task was made of; its picture's size is null where the file's first bytes do not tell it."""

    name: str
    url: Annotated[str, Meta(description="Where it comes from, if it was not sent.")] | UnsetType = UNSET
    format: str | None
    bytes: int | None
    width: int | None
    height: int | None


class ShownVariant(Struct, frozen=True):
    """One result as it was asked for and understood: with every default."""

    operations: list[Step]
    output: WholeOutput


class StoredOutput(OutputRecord, frozen=True, omit_defaults=True, kw_only=True):
    """A result; a report has no size and no frames."""

    variant: Annotated[str, Meta(description="Its name, where there are several.")] | UnsetType = UNSET


class DeliveryAttempt(Struct, frozen=True):
    """One try to deliver a webhook."""

    at: Time
    duration_ms: int
    status: Annotated[int, Meta(description="The receiver's status code.")] | UnsetType = UNSET
    error: Annotated[str, Meta(description="Why there is no status.")] | UnsetType = UNSET


class Webhook(Struct, frozen=True):
    """The webhook of a task and, once the task has ended, its deliveries."""

    url: str
    id: Annotated[str, Meta(description="The webhook-id of every attempt.")] | UnsetType = UNSET
    state: State | UnsetType = UNSET
    attempts: list[DeliveryAttempt] | UnsetType = UNSET
    next_attempt_at: Time | UnsetType = UNSET


class TaskEvent(Struct, frozen=True, kw_only=True):
    """What happened to a task: it came into a state, or an operation or an output is done."""

    task_id: TaskId
    status: Status | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    position: Annotated[int, Meta(description="Its place in the queue when it began to wait.")] | UnsetType = UNSET
    result: Results | UnsetType = UNSET
    error: str | UnsetType = UNSET
    progress: Annotated[float, Meta(description="From 0 to 1.")] | UnsetType = UNSET
    operation: str | UnsetType = UNSET
    path: Annotated[str, Meta(description="Where an output lies.")] | UnsetType = UNSET
    variant: str | UnsetType = UNSET


class WebhookEvent(Struct, frozen=True):
    """What a webhook carries: the end of a task. `worker.webhooks.messages` writes it."""

    type: Literal[tuple(EVENT_TYPES.values())]  # type: ignore[valid-type]
    timestamp: Time
    data: TaskStatus


class TaskRecord(Struct, frozen=True, kw_only=True):
    """All there is to know of a task. What is not known, or not yet, is null."""

    task_id: TaskId
    status: Status
    result: Results | UnsetType = UNSET
    error: str | UnsetType = UNSET
    error_code: Annotated[ErrorCode, Meta(description="Of a FAILURE: why, for programs.")] | None
    owner: Annotated[str, Meta(description="The name of the key that it was made with.")] | None
    file: Upload
    variants: dict[str, ShownVariant] | UnsetType = UNSET
    operations: list[Step] | UnsetType = UNSET
    output: WholeOutput | UnsetType = UNSET
    created_at: Time
    queued_at: Annotated[Time, Meta(description="When it began to wait last.")]
    started_at: Time | None
    ended_at: Time | None
    waited_s: float
    ran_s: Annotated[float, Meta(description="How long its last attempt has run, or did.")] | None
    attempts: Annotated[int, Meta(description="How often it was begun.")]
    worker: Annotated[str, Meta(description="Who began it last.")] | None
    request_id: Annotated[str, Meta(description="The X-Request-ID of the request that made it.")] | None
    progress: Annotated[float, Meta(description="From 0 to 1.")]
    outputs: list[StoredOutput]
    position: Annotated[int, Meta(description="Its place in the queue, from 1. Not in lists.")] | UnsetType | None = (
        UNSET
    )
    webhook: Annotated[Webhook, Meta(description="Only if it has a callback_url. Not in lists.")] | UnsetType = UNSET


def task_status(task: Task) -> TaskStatus:
    return TaskStatus(task.id, task.status, _results(task), _error(task))


def _results(task: Task) -> Results | UnsetType:
    return results(task) if task.status is Status.SUCCESS else UNSET


def _error(task: Task) -> str | UnsetType:
    return task.error if task.status is Status.FAILURE and task.error is not None else UNSET


def results(task: Task) -> Results:
    """Return the path of the result, or of each variant's by its name."""
    return task.result_paths if task.spec.plan.is_named else task.result_paths[""]


def task_record(
    task: Task, position: int | UnsetType | None = UNSET, webhook: Webhook | UnsetType = UNSET
) -> TaskRecord:
    """Return all there is to know of a task; its place in the queue and its webhook are known elsewhere."""
    return TaskRecord(
        task_id=task.id,
        status=task.status,
        result=_results(task),
        error=_error(task),
        error_code=task.error_code if task.status is Status.FAILURE else None,
        owner=task.owner,
        file=_upload(task.spec),
        **plan_view(task.spec.plan),
        created_at=rfc3339(task.created_ms),
        queued_at=rfc3339(task.queued_ms),
        started_at=timestamp(task.started_ms),
        ended_at=timestamp(task.ended_ms),
        waited_s=round(task.waited_ms / 1000, 3),
        ran_s=None if task.ran_ms is None else round(task.ran_ms / 1000, 3),
        attempts=task.attempt,
        worker=task.worker,
        request_id=task.spec.request_id or None,
        progress=0 if task.status is Status.PENDING else task.progress,
        outputs=[_stored(name, output) for name, output in task.outputs.items()],
        position=position,
        webhook=webhook,
    )


def timestamp(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _upload(spec: Spec) -> Upload:
    width, height = spec.size or (None, None)
    source = None if spec.source is None else spec.source.value
    return Upload(
        name=spec.name,
        url=UNSET if spec.url is None else spec.url,
        format=source,
        bytes=spec.bytes or None,
        width=width,
        height=height,
    )


def _stored(name: str, output: OutputRecord) -> StoredOutput:
    return StoredOutput(**msgspec.structs.asdict(output), variant=name or UNSET)


def plan_view(plan: Plan) -> dict[str, Any]:
    """Return what was asked for, as it was understood: with every default."""
    if plan.is_named:
        return {"variants": {name: _variant(variant) for name, variant in plan.variants.items()}}
    return msgspec.structs.asdict(_variant(plan.variants[""]))


def _variant(variant: Variant) -> ShownVariant:
    steps = [
        {"operation": step.__struct_config__.tag, **msgspec.to_builtins(msgspec.structs.asdict(step))}
        for step in variant.operations
    ]
    return ShownVariant(steps, msgspec.to_builtins(msgspec.structs.asdict(variant.output)))
