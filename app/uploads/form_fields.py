"""Validate the fields of a form: what to do with an image, when, and where webhooks go."""

import unicodedata
from pathlib import PurePosixPath

import msgspec
from msgspec import Struct

from app.api_settings import Settings
from app.tasks.presets import Presets
from app.uploads.locations import take_locations
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.pixels.geometry import Size
from worker.tasks.model import Spec
from worker.tasks.schedule import DEFAULT_SCHEDULE, LATEST_START_S, Schedule
from worker.telemetry import logs
from worker.telemetry.clock import now_ms
from worker.validation.fields import Problem, convert_fields

MAX_SHOWN_NAME = 200
"""Maximum length in characters of a client's file name in the task record."""

LONGEST_EXTENSION = 10
"""Length in characters up to which the end of a file name counts as its extension, with the dot."""

MAX_NAME_BYTES = 100
"""Maximum length of a result's name without extension, in bytes of UTF-8; file systems allow 255 in total."""


class Upload(Struct, frozen=True):
    """A stored file."""

    format: InputFormat
    stem: str
    """The client's file name without its extension, sanitized for paths and URLs."""
    name: str
    """The client's file name, shortened."""
    bytes: int
    size: Size | None
    """Size of the upright image in pixels, if the head of the file contains it."""
    sha256: str
    """Digest of the file; empty if it was not computed as the file arrived."""

    def of(self, spec: Spec) -> Spec:
        """Return a spec with this upload."""
        return msgspec.structs.replace(
            spec, source=self.format, stem=self.stem, name=self.name, bytes=self.bytes, size=self.size
        )


class Form(Struct, frozen=True):
    """A received form.

    `upload` is None only if `problems` contains an entry for the file, or if the form has a `url` or a `source`.
    """

    fields: dict[str, str]
    upload: Upload | None
    overlay: Upload | None
    """The overlay image."""
    problems: list[Problem]

    @property
    def bytes(self) -> int:
        """Size of all files in bytes."""
        return (self.upload.bytes if self.upload else 0) + (self.overlay.bytes if self.overlay else 0)


def take_schedule(fields: dict[str, str], *, has_owner: bool) -> tuple[Schedule, list[Problem]]:
    """Remove the fields of the schedule from those of a form; return the schedule and the problems of the fields."""
    own = {name: fields.pop(name) for name in Schedule.__struct_fields__ if name in fields}
    if not own:
        return DEFAULT_SCHEDULE, []
    values, problems = convert_fields(Schedule, own, "", is_text=True)
    schedule = Schedule(**values)
    if schedule.queue_group is not None and has_owner:
        problems.append(Problem("queue_group", "is not for servers with API keys, which take turns; omit it"))
    if schedule.start_ms is not None and schedule.start_ms > now_ms() + LATEST_START_S * 1000:
        problems.append(Problem("start_at", "must be within 7 days"))
    return schedule, problems


def build_spec(form: Form, settings: Settings, presets: Presets, problems: list[Problem]) -> Spec:
    """Validate the form; raise `InvalidParameters` with all problems, among them those found before."""
    fields, upload, overlay = dict(form.fields), form.upload, form.overlay
    locations, more = take_locations(fields, settings)
    problems = [*problems, *form.problems, *more]
    has_overlay = overlay is not None or any(problem.field == "overlay" for problem in problems)
    try:
        plan = parse_plan(
            presets.form_fields(fields),
            upload.format if upload else None,
            settings.max_operations,
            has_overlay=has_overlay,
        )
        if upload is not None and upload.size is not None:
            check_plan_sizes(plan, upload.size, settings.limits)
        output_urls = locations.output_urls(plan.variants, settings)
    except InvalidParameters as exc:
        problems += exc.problems
    except ValueError as exc:
        problems.append(Problem("output_url", str(exc)))
    else:
        name = locations.image_name
        if not problems and (upload is not None or name is not None):
            spec = Spec(
                plan,
                None,
                safe_stem(name or ""),
                None if overlay is None else overlay.format,
                shown_name(name or ""),
                url=locations.url,
                store_path=locations.source,
                output_urls=output_urls,
                output_prefix=locations.output_prefix and locations.output_prefix.rstrip("/"),
                request_id=logs.request_id.get(),
            )
            return spec if upload is None else upload.of(spec)
    raise InvalidParameters(problems)


def shown_name(file_name: str) -> str:
    """Shorten a client's file name to `MAX_SHOWN_NAME` characters; its extension stays."""
    if len(file_name) <= MAX_SHOWN_NAME:
        return file_name
    extension = PurePosixPath(file_name).suffix
    kept = extension if len(extension) <= LONGEST_EXTENSION else ""
    return file_name[: MAX_SHOWN_NAME - len(kept)] + kept


def safe_stem(file_name: str) -> str:
    """Convert a client's file name to a safe path segment for files and URLs.

    Letters, marks and digits of every script stay, as do `.`, `-` and `_`; other characters become `_`. Directories and
    the extension are removed, the length is limited, and an empty name becomes `image`.
    """
    name = unicodedata.normalize("NFC", file_name).replace("\\", "/").rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    stem = "".join(
        letter if letter in ".-_" or unicodedata.category(letter)[0] in "LMN" else "_"
        for letter in (stem if dot and stem else name)
    )
    stem = stem.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("._")
    return stem or "image"
