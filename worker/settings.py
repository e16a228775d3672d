"""The engine's settings, read once from the environment."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Struct, field

from worker.imaging.formats import InputFormat
from worker.imaging.guards import Limits
from worker.outbound.client import networks
from worker.outbound.signatures import secret_key
from worker.telemetry.logs import LogFormat
from worker.validation.fields import convert_fields

AnySettings = TypeVar("AnySettings", bound="Settings")


class InvalidSettings(Exception):
    """Names every environment variable that cannot be used, and what it may be."""


def _default_storage_url() -> str:
    return (Path("data") / "storage").absolute().as_uri()


def _usable_cores() -> int:
    # The affinity mask sees `taskset` and cpusets, which os.cpu_count() does not; macOS has none.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(Struct, frozen=True, kw_only=True):
    """What the engine can be told; each field is the environment variable of the same name in capitals."""

    redis_url: Annotated[
        str, Meta(pattern=r"^(redis|rediss|unix)://", description="Redis or Valkey: queue and task state.")
    ] = "redis://127.0.0.1:6379"
    storage_url: Annotated[
        str,
        Meta(
            pattern=r"^(file|s3|gs|az)://",
            description="Where uploads and results lie: `file://`, `s3://`, `gs://` or `az://`.",
        ),
    ] = field(default_factory=_default_storage_url)
    worker_threads: Annotated[int, Meta(ge=1, le=256, description="Pictures that a worker processes at once.")] = field(
        default_factory=_usable_cores
    )
    worker_max_tasks: Annotated[
        int, Meta(ge=0, description="Tasks after which a worker ends in peace, to be started afresh; 0 for never.")
    ] = 0
    worker_max_rss_mb: Annotated[
        int, Meta(ge=0, description="Resident memory in MB from which a worker does the same; 0 for never.")
    ] = 4000
    max_upload_bytes: Annotated[
        int, Meta(ge=1, description="Largest picture file in bytes that is taken in, or fetched.")
    ] = 32 * 1024 * 1024
    upload_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Longest time in seconds for one upload to arrive (it gets 408 after that), or to be fetched.",
        ),
    ] = 120.0
    input_formats: Annotated[
        tuple[InputFormat, ...],
        Meta(min_length=1, description="Formats that are read, with commas; `heic` needs `pip install '.[heif]'`."),
    ] = tuple(known for known in InputFormat if known is not InputFormat.HEIC)
    max_pixels: Annotated[
        int, Meta(ge=1, description="Largest picture that is read, in pixels, those of all its frames together.")
    ] = 64_000_000
    max_frames: Annotated[int, Meta(ge=1, description="Frames that an animation may have.")] = 256
    max_output_pixels: Annotated[
        int, Meta(ge=1, description="Largest picture that an operation may make, in pixels of all its frames.")
    ] = 64_000_000
    max_operations: Annotated[int, Meta(ge=1, description="Operations in one pipeline.")] = 20
    font_path: (
        Annotated[str, Meta(description="TrueType or OpenType file for the texts of watermarks; Pillow's own if none.")]
        | None
    ) = None
    outbound_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks that `url` and `callback_url` may lead to although they are not public, with commas.",
            extra={"allowed": "networks such as 10.0.0.0/8 or fd00::/8, with commas", "check": networks},
        ),
    ] = ()
    webhook_secrets: Annotated[
        tuple[str, ...],
        Meta(description="What signs webhooks: `whsec_` and base64 of 24 to 64 bytes; two, with a comma, in a change."),
    ] = ()
    task_timeout_s: Annotated[
        float, Meta(gt=0, description="Longest processing of one task in seconds, waiting not counted.")
    ] = 60.0
    queue_timeout_s: Annotated[
        float, Meta(gt=0, description="Longest wait of a task for a worker in seconds; it fails after that.")
    ] = 3600.0
    queue_limit: Annotated[
        int, Meta(ge=1, description="Tasks that may wait; uploads beyond it get 429 and a time to come back.")
    ] = 1000
    max_attempts: Annotated[
        int, Meta(ge=1, description="How often a task is begun when the worker dies under it each time.")
    ] = 3
    task_ttl_s: Annotated[
        int,
        Meta(
            ge=1,
            le=315_360_000,
            description="Seconds after its end until a task, its upload and its result are removed.",
        ),
    ] = 86_400
    keep_uploads: Annotated[
        bool,
        Meta(description="Whether an upload stays as long as its task; if not, it goes once it is processed."),
    ] = True
    log_format: Annotated[
        LogFormat, Meta(description="How the log is written: lines of text, or JSON, one object a line.")
    ] = LogFormat.TEXT
    shutdown_grace_s: Annotated[
        float, Meta(ge=0, description="Seconds that a stopping worker gives to running tasks; the rest is handed back.")
    ] = 30.0

    def __post_init__(self) -> None:
        if InputFormat.HEIC in self.input_formats and find_spec("pillow_heif") is None:
            raise InvalidSettings("INPUT_FORMATS: heic needs the package pillow-heif: pip install '.[heif]'")
        try:
            keys = [secret_key(secret) for secret in self.webhook_secrets]
        except ValueError as exc:  # not what was given: it may be a secret
            raise InvalidSettings(f"WEBHOOK_SECRETS: {exc}") from None
        if len(keys) > 2:
            raise InvalidSettings("WEBHOOK_SECRETS: give one secret, or two while one takes over from the other")
        if self.font_path is not None and not Path(self.font_path).is_file():
            raise InvalidSettings(f"FONT_PATH: {self.font_path!r} is no file")

    @property
    def limits(self) -> Limits:
        return Limits(self.max_pixels, self.max_frames, self.max_output_pixels)


def read_settings(kind: type[AnySettings], environ: Mapping[str, str] = os.environ) -> AnySettings:
    """Build `kind` from environment variables; raise `InvalidSettings` naming each wrong one."""
    texts = {name: environ[name.upper()] for name in kind.__struct_fields__ if environ.get(name.upper())}
    values, problems = convert_fields(kind, texts)
    if problems:
        raise InvalidSettings("; ".join(f"{problem.field.upper()}: {problem.message}" for problem in problems))
    return kind(**values)
