"""The task: its record, states, the table of transitions, and its keys in Redis."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from msgspec import Struct

from worker.errors import ErrorCode
from worker.imaging.formats import InputFormat
from worker.imaging.plan import Plan
from worker.pixels.geometry import Size
from worker.storage import results_path, upload_path
from worker.tasks.schedule import Priority
from worker.tasks.status import FINAL_STATES, Status, TaskNotFound, UnreadableTask
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import BY_FORMAT, BY_OPERATION, BY_OWNER, FAILED, RUNNING, TASKS, WAITING, Stats

UNKNOWN_MEGAPIXELS = 2.0
"""Supposed size of an image whose size is not known before it is decoded."""


class Spec(Struct, frozen=True, omit_defaults=True):
    """The accepted request, which never changes."""

    plan: Plan
    source: InputFormat | None
    """The upload's format; None if it has not been fetched from `url`."""
    stem: str
    """The upload's sanitized file name without its extension."""
    overlay: InputFormat | None = None
    """The format of the overlay image, if there is one."""
    name: str = ""
    """The upload's file name as sent by the client."""
    bytes: int = 0
    """The size of the upload in bytes."""
    size: Size | None = None
    """Size of the upright image in pixels, if the head of the file contains it."""
    url: str | None = None
    """The URL to fetch the upload from, if it is not part of the request."""
    store_path: str | None = None
    """Name of a delivery store and the path in it of the upload, if it is not part of the request."""
    output_urls: dict[str, str] = {}
    """Name of a variant -> the URL to which its result is sent."""
    output_prefix: str | None = None
    """Name of a delivery store and the directory in it for the results."""
    reuse: str | None = None
    """A digest of all that determines the results, if equal tasks share them; empty until the upload is fetched."""
    request_id: str = msgspec.field(default="", name="rid")
    """The X-Request-ID of the request; its JSON name is short because every waiting task has one."""

    @property
    def url_host(self) -> str:
        """The host, or the name of the store, from which the upload is fetched."""
        return urlsplit(self.url or f"//{self.store_path}").hostname or ""

    @property
    def has_destination(self) -> bool:
        """Whether the results are sent elsewhere."""
        return bool(self.output_urls) or self.output_prefix is not None

    @property
    def operations(self) -> set[str]:
        """Names of the operations of all variants."""
        steps = (step for variant in self.plan.variants.values() for step in variant.operations)
        return {step.name for step in steps}

    @property
    def expected_ms(self) -> int:
        """Return roughly how long a core needs, by the number of pixels and steps; only the ratios matter."""
        megapixels = UNKNOWN_MEGAPIXELS if self.size is None else self.size[0] * self.size[1] / 1e6
        return round(5 + 5 * megapixels + self.plan.step_count * (2 + 2 * megapixels))

    @property
    def file_names(self) -> dict[str, str]:
        """Name of each variant -> name of its file; empty while the upload's format is unknown."""
        if self.source is None:
            return {}
        return {
            name: f"{self.stem}{name and '-'}{name}.{variant.extension(self.source)}"
            for name, variant in self.plan.variants.items()
        }


class Fetched(Struct, frozen=True):
    """What is known of an upload after it was fetched by URL."""

    source: InputFormat
    bytes: int
    size: Size | None
    """Size of the upright image in pixels, if the head of the file contains it."""
    sha256: str = ""


class OutputRecord(Struct, frozen=True, omit_defaults=True):
    """A stored result. A JSON report has no width, height and frames."""

    path: str
    format: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    warnings: Annotated[list[str], msgspec.Meta(description="What to know about it, such as damage.")] = []
    crc32: Annotated[int, msgspec.Meta(description="The checksum in ZIP archives.")] | None = None


class Task(Struct, frozen=True, kw_only=True):
    """A task's record. Times are Unix milliseconds."""

    id: str
    spec_json: bytes
    owner: str | None = None
    """Name of the API key that created the task, if there is one."""
    status: Status
    created_ms: int
    queued_ms: int
    """When the task was queued last: it may have been handed back or retried."""
    attempt: int = 0
    """Number of the latest attempt. An attempt can only write while it is the latest."""
    handed_back: int = 0
    """Number of attempts that a stopping worker handed back."""
    cancel: bool = False
    """Whether a client has cancelled the running task, which stops at its next step."""
    token: str = ""
    """Identifies the last transition to STARTED, in case its command is repeated."""
    worker: str | None = None
    """Name of the worker that started the latest attempt."""
    progress: float = 0
    """Completed part of the attempt, from 0 to 1, as last reported."""
    started_ms: int | None = None
    """When the latest attempt started; None for a task that waits, or that ended while it waited."""
    ended_ms: int | None = None
    error: str | None = None
    error_code: ErrorCode | None = None
    failed_operation: str = ""
    """Name of the operation that was not possible, or that ran when the time was over."""
    phases: str = ""
    """Seconds of the phases of the last attempt that ended; see `worker.telemetry.phases`."""
    outputs_json: bytes = b"{}"
    fetch: bool = False
    """Whether the upload must be fetched by URL; such tasks wait in the fetch queue."""
    host: str = ""
    """The host of the URL to fetch."""
    batch: str | None = None
    """Id of the batch to which the task belongs, if there is one."""
    group: str | None = None
    tags_text: str = ""
    """The tags, comma-separated."""
    priority: Priority = Priority.NORMAL
    expires_ms: int | None = None
    """When the task fails if it has not been started before (Unix ms)."""
    sends: int = 0
    """Number of failed tries to send the results to their destination."""
    reuse: str = ""
    """The key of the equal tasks of the owner, if the task reuses results."""
    reuse_of: str = ""
    """Id of the task for whose results it waits."""
    reused_from: str | None = None
    """Id of the task whose results it has."""
    events: str = ""
    """Ids of the last events after the creation, separated by spaces."""
    fetched_json: bytes = b""
    """A `Fetched`, after the upload was fetched by URL."""
    callback_url: str | None = None
    """URL of the webhook that is sent when the task ends."""
    message_id: str | None = None
    """Id of the last webhook message."""

    @property
    def spec(self) -> Spec:
        """The decoded spec, completed by `Fetched`.

        Raises `UnreadableTask` for the spec of an incompatible version of Darkroom.
        """
        try:
            spec = msgspec.json.decode(self.spec_json, type=Spec)
            if not self.fetched_json:
                return spec
            fetched = msgspec.json.decode(self.fetched_json, type=Fetched)
        except msgspec.DecodeError as exc:
            raise UnreadableTask(self.id, exc) from exc
        return msgspec.structs.replace(spec, source=fetched.source, bytes=fetched.bytes, size=fetched.size)

    @property
    def outputs(self) -> dict[str, OutputRecord]:
        """Name of each variant -> its stored result. Raises `UnreadableTask`."""
        try:
            return msgspec.json.decode(self.outputs_json, type=dict[str, OutputRecord])
        except msgspec.DecodeError as exc:
            raise UnreadableTask(self.id, exc) from exc

    @property
    def tags(self) -> list[str]:
        return self.tags_text.split(",") if self.tags_text else []

    @property
    def flow(self) -> str:
        """The tasks with which this one shares its turns: those of its owner or queue group."""
        return self.owner or self.group or ""

    @property
    def has_expired(self) -> bool:
        """Whether it was first started after its deadline."""
        return self.expires_ms is not None and self.attempt == 1 and (self.started_ms or 0) >= self.expires_ms

    @property
    def upload_path(self) -> str:
        return upload_path(self.id)

    @property
    def result_paths(self) -> dict[str, str]:
        """Name of each variant -> the path of its result, which may not exist yet."""
        return {name: f"{results_path(self.id)}/{file_name}" for name, file_name in self.spec.file_names.items()}

    @property
    def waited_ms(self) -> int:
        """Time in the queue until the latest attempt started, the task ended there, or now."""
        until_ms = self.started_ms or self.ended_ms or now_ms()
        return max(0, until_ms - self.queued_ms)  # the clocks of two machines may differ

    @property
    def ran_ms(self) -> int | None:
        """Duration of the latest attempt until its end or now; None if the task waits or never started."""
        if self.started_ms is None or self.status is Status.PENDING:
            return None
        return (now_ms() if self.ended_ms is None else self.ended_ms) - self.started_ms

    @property
    def is_finished(self) -> bool:
        return self.status in FINAL_STATES

    @property
    def deaths(self) -> int:
        """Number of attempts whose worker died, without a running attempt."""
        return max(0, self.attempt - self.handed_back - (self.status is Status.STARTED))


def task_key(task_id: str) -> str:
    return f"task:{task_id}"


def parse_record(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    """Decode the reply to HGETALL; raise `TaskNotFound` if it is empty."""
    if b"status" not in record:
        raise TaskNotFound(task_id)
    return decode_record(task_id, record)


def decode_record(task_id: str, record: Mapping[bytes, bytes]) -> Task:
    """Decode the record of a task, without fields that this version does not know, or raise `UnreadableTask`."""
    try:
        fields: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
        fields["spec_json"] = record[b"spec"]
        fields["outputs_json"] = record.get(b"outputs", b"{}")
        fields["tags_text"] = fields.pop("tags", "")
        fields["fetched_json"] = record.get(b"fetched", b"")
        return msgspec.convert({"id": task_id, **fields}, Task, strict=False)
    except (msgspec.ValidationError, KeyError, UnicodeDecodeError) as exc:
        raise UnreadableTask(task_id, exc) from exc


def pairs(reply: list[Any]) -> dict[bytes, Any]:
    """Convert a reply of name, value, name, value, ... to a dictionary."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


def queue_timeout_message(timeout_s: float) -> str:
    return f"it waited longer than {timeout_s:g} s for a worker"


def new_task_id() -> str:
    return str(uuid4())


def count_end(stats: Stats, task: Task) -> None:
    """Count a task that has just ended: its state, waiting time and running time, also by format, key and operation."""
    has_code = task.status is Status.FAILURE and task.error_code is not None
    stats.count(TASKS, task.status, *([str(task.error_code)] if has_code else []))
    stats.observe(WAITING, seconds=task.waited_ms / 1000)
    if task.ran_ms is None:
        return
    ran_s = task.ran_ms / 1000
    stats.observe(RUNNING, seconds=ran_s)
    with suppress(UnreadableTask):
        groups = [(BY_FORMAT, task.spec.source.value)] if task.spec.source is not None else []
        if task.owner is not None:
            groups.append((BY_OWNER, task.owner))
        for name, group in groups:
            stats.observe_group(name, group, seconds=ran_s)
        if task.status is Status.FAILURE:
            operation = [(BY_OPERATION, task.failed_operation)] if task.failed_operation else []
            for name, group in (*groups, *operation):
                stats.count(name, group, FAILED)
