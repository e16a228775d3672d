"""JSON views of tasks. A field that does not apply is omitted (UNSET); an unknown value is null."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from worker.errors import ErrorCode
from worker.imaging.plan import Plan, Variant
from worker.tasks.model import OutputRecord, Spec, Task
from worker.tasks.schedule import Priority
from worker.tasks.status import Results, Status, TaskId, TaskStatus, Time
from worker.telemetry.clock import rfc3339
from worker.telemetry.phases import Phases, parse_phases
from worker.webhooks.messages import State

# As structs, these would omit default values.
Step = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Step"})]
WholeOutput = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Output"})]


class TaskResult(Struct, frozen=True):
    """The result of a task."""

    task_id: TaskId
    processed_image: Annotated[
        Results, Meta(description="The path of the result; for several variants, one for each name.")
    ]


class Upload(Struct, frozen=True, kw_only=True):
    """The uploaded image. Its width and height are null if the header of the file does not contain them."""

    name: str
    url: Annotated[str, Meta(description="The URL, if the image was fetched.")] | UnsetType = UNSET
    format: str | None
    bytes: int | None
    width: int | None
    height: int | None


class VariantView(Struct, frozen=True):
    """The operations and the output of a result, including defaults."""

    operations: list[Step]
    output: WholeOutput


class StoredOutput(OutputRecord, frozen=True, omit_defaults=True, kw_only=True):
    """A result. A JSON report has no width, height and frames."""

    variant: Annotated[str, Meta(description="The name of the variant, if there are several.")] | UnsetType = UNSET


class DeliveryAttempt(Struct, frozen=True):
    """An attempt to deliver a webhook."""

    at: Time
    duration_ms: int
    status: Annotated[int, Meta(description="The receiver's status code.")] | UnsetType = UNSET
    error: Annotated[str, Meta(description="The error, if there is no status.")] | UnsetType = UNSET


class Webhook(Struct, frozen=True):
    """The webhook of a task and, after the task has ended, its delivery attempts."""

    url: str
    id: Annotated[str, Meta(description="The webhook-id header of all attempts.")] | UnsetType = UNSET
    state: State | UnsetType = UNSET
    attempts: list[DeliveryAttempt] | UnsetType = UNSET
    next_attempt_at: Time | UnsetType = UNSET


class TaskEvent(Struct, frozen=True, kw_only=True):
    """An event of a task: a new state, a completed operation or a stored output."""

    task_id: TaskId
    status: Status | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    position: Annotated[int, Meta(description="The position in the queue when the task was queued.")] | UnsetType = (
        UNSET
    )
    result: Results | UnsetType = UNSET
    error: str | UnsetType = UNSET
    tags: Annotated[list[str], Meta(description="With a new status, if the task has tags.")] | UnsetType = UNSET
    progress: Annotated[float, Meta(description="From 0 to 1.")] | UnsetType = UNSET
    operation: str | UnsetType = UNSET
    path: Annotated[str, Meta(description="The path of the output.")] | UnsetType = UNSET
    variant: str | UnsetType = UNSET


class TaskRecord(Struct, frozen=True, kw_only=True):
    """The full record of a task. Unknown values are null."""

    task_id: TaskId
    status: Status
    result: Results | UnsetType = UNSET
    error: str | UnsetType = UNSET
    error_code: (
        Annotated[
            ErrorCode, Meta(description="If FAILURE: the reason as a code; `GET /operations` describes the codes.")
        ]
        | None
    )
    failed_operation: (
        Annotated[
            str,
            Meta(description="If FAILURE: the operation that was not possible or timed out."),
        ]
        | UnsetType
    ) = UNSET
    owner: Annotated[str, Meta(description="The name of the API key that created the task.")] | None
    file: Upload
    variants: dict[str, VariantView] | UnsetType = UNSET
    operations: list[Step] | UnsetType = UNSET
    output: WholeOutput | UnsetType = UNSET
    created_at: Time
    queued_at: Annotated[Time, Meta(description="When the task was queued last, or its start_at.")]
    expires_at: Annotated[Time, Meta(description="When the task fails if it has not been started by then.")] | None
    priority: Priority
    queue_group: str | None
    tags: list[str] | UnsetType = UNSET
    batch_id: Annotated[str, Meta(description="The batch to which the task belongs.")] | None
    reused_from: Annotated[str, Meta(description="The id of the equal task whose results this task got.")] | None
    started_at: Time | None
    ended_at: Time | None
    waited_s: float
    ran_s: Annotated[float, Meta(description="Duration of the last attempt in seconds.")] | None
    phases: Annotated[Phases, Meta(description="Where the time of the last attempt went.")] | None
    attempts: Annotated[int, Meta(description="Number of attempts.")]
    worker: Annotated[str, Meta(description="The worker of the last attempt.")] | None
    request_id: Annotated[str, Meta(description="The X-Request-ID of the request that created the task.")] | None
    progress: Annotated[float, Meta(description="From 0 to 1.")]
    outputs: list[StoredOutput]
    position: (
        Annotated[
            int,
            Meta(
                description=(
                    "The position in the queue, from 1; an estimate if several owners wait, null before start_at. "
                    "Not in lists."
                )
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    webhook: Annotated[Webhook, Meta(description="Only with a callback_url. Not in lists.")] | UnsetType = UNSET


def task_status(task: Task) -> TaskStatus:
    return TaskStatus(task.id, task.status, _results(task), _error(task))


def _results(task: Task) -> Results | UnsetType:
    return results(task) if task.status is Status.SUCCESS else UNSET


def _error(task: Task) -> str | UnsetType:
    return task.error if task.status is Status.FAILURE and task.error is not None else UNSET


def results(task: Task) -> Results:
    """Return the path of the result; for several variants, one for each name."""
    return task.result_paths if task.spec.plan.is_named else task.result_paths[""]


def task_record(
    task: Task, position: int | UnsetType | None = UNSET, webhook: Webhook | UnsetType = UNSET
) -> TaskRecord:
    """Return the full record of a task; the caller provides its position in the queue and its webhook."""
    return TaskRecord(
        task_id=task.id,
        status=task.status,
        result=_results(task),
        error=_error(task),
        error_code=task.error_code if task.status is Status.FAILURE else None,
        failed_operation=(task.status is Status.FAILURE and task.failed_operation) or UNSET,
        owner=task.owner,
        file=_upload(task.spec),
        **plan_view(task.spec.plan),
        created_at=rfc3339(task.created_ms),
        queued_at=rfc3339(task.queued_ms),
        expires_at=timestamp(task.expires_ms),
        priority=task.priority,
        queue_group=task.group,
        tags=task.tags or UNSET,
        batch_id=task.batch,
        reused_from=task.reused_from,
        started_at=timestamp(task.started_ms),
        ended_at=timestamp(task.ended_ms),
        waited_s=round(task.waited_ms / 1000, 3),
        ran_s=None if task.ran_ms is None else round(task.ran_ms / 1000, 3),
        phases=parse_phases(task.phases) if task.is_finished else None,
        attempts=task.attempt,
        worker=task.worker,
        request_id=task.spec.request_id or None,
        progress=0 if task.status is Status.PENDING else task.progress,
        outputs=[_stored_output(name, output) for name, output in task.outputs.items()],
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


def _stored_output(name: str, output: OutputRecord) -> StoredOutput:
    return StoredOutput(**msgspec.structs.asdict(output), variant=name or UNSET)


def plan_view(plan: Plan) -> dict[str, Any]:
    """Return the operations and outputs of a plan, including defaults."""
    if plan.is_named:
        return {"variants": {name: _variant(variant) for name, variant in plan.variants.items()}}
    return msgspec.structs.asdict(_variant(plan.variants[""]))


def _variant(variant: Variant) -> VariantView:
    steps = [
        {"operation": step.name, **msgspec.to_builtins(msgspec.structs.asdict(step))} for step in variant.operations
    ]
    return VariantView(steps, msgspec.to_builtins(msgspec.structs.asdict(variant.output)))
