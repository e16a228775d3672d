"""The settings of the worker, read once from the environment."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field
from PIL import ImageFont

from worker.imaging.formats import ALIASES, READABLE, InputFormat, missing_extra
from worker.imaging.guards import BLOCK_CACHE_MB, Limits
from worker.outbound.client import networks
from worker.outbound.signatures import secret_key
from worker.telemetry.logs import LogFormat
from worker.validation.fields import convert_fields, shorten

AnySettings = TypeVar("AnySettings", bound="Settings")


class InvalidSettings(Exception):
    """One or more environment variables are invalid; the message names each and what is allowed."""


def _default_storage_url() -> str:
    return (Path("data") / "storage").absolute().as_uri()


def _as_url(storage: str) -> str:
    """Return the URL of a storage that may be given as the path of a directory."""
    return storage if "://" in storage else Path(storage).absolute().as_uri()


def _usable_cores() -> int:
    # Unlike os.cpu_count(), the affinity mask respects `taskset` and cpusets; macOS has none.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MB_PER_MEGAPIXEL = 30
"""Memory that a task needs, at most: 64 megapixels to AVIF took 1.5 GB, 108 megapixels blurred 1.3 GB."""

LEAST_MEGAPIXELS, MOST_MEGAPIXELS = 64, 120
"""Bounds of the default of MAX_PIXELS; phones take photographs of 108 megapixels."""


def _affordable_pixels() -> int:
    """Return the number of pixels that each core can process in the memory of this machine, or of its container."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    with suppress(OSError, ValueError):  # no cgroup v2, or "max"
        memory_mb = min(memory_mb, int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e6)
    megapixels = int(memory_mb / _usable_cores() / MB_PER_MEGAPIXEL)
    return max(LEAST_MEGAPIXELS, min(MOST_MEGAPIXELS, megapixels)) * 1_000_000


class Settings(Struct, frozen=True, kw_only=True):
    """Settings of the worker; each field is the environment variable of the same name in capitals."""

    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^(redis|rediss|unix)://",
            description="Redis or Valkey: queue and task state.",
            extra={"allowed": "a URL that begins with redis://, rediss:// or unix://"},
        ),
    ] = "redis://127.0.0.1:6379"
    storage_url: Annotated[
        str,
        Meta(
            pattern=r"^(file|s3|gs|az)://",
            description="Storage of uploads and results: a directory, `s3://`, `gs://` or `az://`.",
            extra={"allowed": "the path of a directory, or a URL that begins with file://, s3://, gs:// or az://"},
        ),
    ] = field(default_factory=_default_storage_url)
    sync_writes: Annotated[
        bool,
        Meta(
            description=(
                "Whether a 202 and SUCCESS wait until all is on disk, so that they survive a power cut. If false, "
                "they survive the death of every process; a power cut may take the last second."
            )
        ),
    ] = False
    min_free_mb: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Free space in MB on the disk of a local storage, below which uploads get 507; what is left lets tasks "
                "end and be deleted. 0 for no limit."
            ),
        ),
    ] = 256
    worker_threads: Annotated[
        int, Meta(ge=1, le=256, description="Images that a worker processes at the same time.")
    ] = field(default_factory=_usable_cores)
    worker_max_tasks: Annotated[
        int, Meta(ge=0, description="Number of tasks after which a worker exits, to be restarted; 0 for no limit.")
    ] = 0
    worker_max_rss_mb: Annotated[
        int,
        Meta(ge=0, description="Resident memory in MB above which a worker exits, to be restarted; 0 for no limit."),
    ] = field(default_factory=lambda: 4000 + BLOCK_CACHE_MB * _usable_cores())
    max_upload_bytes: Annotated[
        int, Meta(ge=1, description="Maximum size of an image file in bytes, uploaded or fetched by URL.")
    ] = 32 * 1024 * 1024
    upload_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Maximum time in seconds to receive an upload (408 after that) or to fetch it by URL.",
        ),
    ] = 120.0
    upload_min_bytes_s: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Minimum rate in bytes per second of an upload, received or fetched by URL, after 5 s (408); "
                "0 for no limit."
            ),
        ),
    ] = 4000
    input_formats: Annotated[
        tuple[InputFormat, ...],
        Meta(
            min_length=1,
            description="Accepted image formats, comma-separated; `heic` and `jxl` need `pip install '.[heif,jxl]'`.",
        ),
    ] = READABLE
    max_pixels: Annotated[
        int, Meta(ge=1, description="Maximum size of an input image in pixels, summed over all frames.")
    ] = field(default_factory=_affordable_pixels)
    max_frames: Annotated[int, Meta(ge=1, description="Maximum number of frames of an animation.")] = 256
    max_output_pixels: Annotated[
        int, Meta(ge=1, description="Maximum size of the result of an operation in pixels, summed over all frames.")
    ] = field(default_factory=_affordable_pixels)
    max_operations: Annotated[int, Meta(ge=1, description="Maximum number of operations in a pipeline.")] = 20
    font_path: (
        Annotated[
            str,
            Meta(description="TrueType or OpenType font file for watermark text; Pillow's default font if not set."),
        ]
        | None
    ) = None
    outbound_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Private networks that `url` and `callback_url` may reach, comma-separated CIDR blocks.",
            extra={"allowed": "CIDR blocks such as 10.0.0.0/8 or fd00::/8, comma-separated", "check": networks},
        ),
    ] = ()
    delivery_stores: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Stores for `output_prefix` and `source`, comma-separated entries `name=URL` with URLs as in "
                "`STORAGE_URL`; every API key may use them."
            )
        ),
    ] = ()
    webhook_secrets: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Signing secrets for webhooks: `whsec_` and base64 of 24 to 64 bytes; two, comma-separated, "
                "during a rotation."
            )
        ),
    ] = ()
    task_timeout_s: Annotated[
        float, Meta(gt=0, description="Maximum processing time of a task in seconds, without its wait in the queue.")
    ] = 60.0
    queue_timeout_s: Annotated[
        float, Meta(gt=0, description="Maximum time in seconds that a task waits for a worker before it fails.")
    ] = 3600.0
    queue_limit: Annotated[
        int, Meta(ge=1, description="Maximum number of waiting tasks; more uploads get 429 with `Retry-After`.")
    ] = 1000
    max_attempts: Annotated[int, Meta(ge=1, description="Maximum number of attempts at a task whose worker dies.")] = 3
    task_ttl_s: Annotated[
        int,
        Meta(
            ge=1,
            le=315_360_000,
            description="Time in seconds after which a finished task, its upload and its results are deleted.",
        ),
    ] = 86_400
    keep_uploads: Annotated[
        bool,
        Meta(description="Whether an upload is kept as long as its task; if false, it is deleted after processing."),
    ] = True
    health_file: (
        Annotated[
            str,
            Meta(
                description=(
                    "File that a worker touches every 5 seconds while it is alive, for health checks that start no "
                    "Python."
                )
            ),
        ]
        | None
    ) = None
    log_format: Annotated[
        LogFormat, Meta(description="Format of the log: `text`, or `json` with one object per line.")
    ] = LogFormat.TEXT
    shutdown_grace_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Time in seconds for running tasks to finish when a worker stops; the others are queued again.",
        ),
    ] = 30.0

    def __post_init__(self) -> None:
        for entry in self.delivery_stores:
            name, _, url = entry.partition("=")
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", name) or not url:
                raise InvalidSettings(
                    f"DELIVERY_STORES: must be entries such as assets=s3://bucket/prefix; got {shorten(entry)}"
                )
        for known in self.input_formats:
            if extra := missing_extra(known.value):
                raise InvalidSettings(f"INPUT_FORMATS: {known.value} needs another package: pip install '.[{extra}]'")
        try:
            urlsplit(self.redis_url).port  # noqa: B018 - it raises for a port that is no number
        except ValueError as exc:
            raise InvalidSettings(f"REDIS_URL: {exc}") from exc
        try:
            keys = [secret_key(secret) for secret in self.webhook_secrets]
        except ValueError as exc:  # without the value, which may be a secret
            raise InvalidSettings(f"WEBHOOK_SECRETS: {exc}") from None
        if len(keys) > 2:
            raise InvalidSettings("WEBHOOK_SECRETS: must be one secret, or two during a rotation")
        if self.font_path is not None:
            try:
                ImageFont.truetype(self.font_path)
            except OSError as exc:
                raise InvalidSettings(f"FONT_PATH: {self.font_path!r} cannot be read as a font: {exc}") from exc

    @property
    def store_urls(self) -> dict[str, str]:
        """Name -> URL of each delivery store."""
        entries = (entry.partition("=") for entry in self.delivery_stores)
        return {name: _as_url(url) for name, _, url in entries}

    @property
    def limits(self) -> Limits:
        return Limits(self.max_pixels, self.max_frames, self.max_output_pixels)


def read_settings(kind: type[AnySettings], environ: Mapping[str, str] = os.environ) -> AnySettings:
    """Build `kind` from environment variables; raise `InvalidSettings` naming each invalid one."""
    texts = {name: environ[name.upper()] for name in kind.__struct_fields__ if environ.get(name.upper())}
    if "input_formats" in texts:
        names = (name.strip() for name in texts["input_formats"].split(","))
        texts["input_formats"] = ",".join(ALIASES.get(name, name) for name in names)
    if "storage_url" in texts:
        texts["storage_url"] = _as_url(texts["storage_url"])
    values, problems = convert_fields(kind, texts)
    if problems:
        raise InvalidSettings("; ".join(f"{problem.field.upper()}: {problem.message}" for problem in problems))
    return kind(**values)


def misspelled_settings(kind: type[Settings], environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each environment variable whose name is almost that of a setting."""
    names = {name.upper() for name in kind.__struct_fields__}
    near = {name: get_close_matches(name, names, n=1, cutoff=0.85) for name in environ if name not in names}
    return [f"{name} is not a setting; did you mean {close[0]}?" for name, close in near.items() if close]
