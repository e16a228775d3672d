"""Validate the fields of a form: what to do with an image, when, and where webhooks go."""

import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from app.api_settings import Settings
from app.tasks.presets import Presets
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.outbound.client import Refused, check_url
from worker.pixels.geometry import Size
from worker.tasks.model import Spec
from worker.tasks.schedule import LATEST_START_S, Schedule
from worker.telemetry import logs
from worker.telemetry.clock import now_ms
from worker.validation.fields import Problem, convert_fields, shorten

MAX_SHOWN_NAME = 200
"""Maximum length in characters of a client's file name in the task record."""

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


class Form(Struct, frozen=True):
    """A received form.

    `upload` is None only if `problems` contains an entry for the file, or if the form has a `url`.
    """

    fields: dict[str, str]
    upload: Upload | None
    overlay: Upload | None
    """The overlay image."""
    problems: list[Problem]

    @property
    def files(self) -> list[Upload]:
        return [upload for upload in (self.upload, self.overlay) if upload is not None]

    @property
    def bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(upload.bytes for upload in self.files)

    @property
    def sha256(self) -> list[str]:
        """Digests of all files."""
        return [upload.sha256 for upload in self.files]


def take_schedule(fields: dict[str, str], *, has_owner: bool) -> tuple[Schedule, list[Problem]]:
    """Remove the fields of the schedule from those of a form; return the schedule and the problems of the fields."""
    own = {name: fields.pop(name) for name in Schedule.__struct_fields__ if name in fields}
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
    problems = [*problems, *form.problems, *address_problems(fields, settings)]
    url, _ = (fields.pop(name, None) for name in ADDRESSES)
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
    except InvalidParameters as exc:
        problems += exc.problems
    else:
        overlay_format, request_id = overlay.format if overlay is not None else None, logs.request_id.get()
        if url is not None and not problems:
            name = file_name(url)
            return Spec(
                plan, None, safe_stem(name), overlay_format, name[:MAX_SHOWN_NAME], url=url, request_id=request_id
            )
        if upload is not None and not problems:
            return Spec(
                plan,
                upload.format,
                upload.stem,
                overlay_format,
                upload.name,
                upload.bytes,
                upload.size,
                request_id=request_id,
            )
    raise InvalidParameters(problems)


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


ADDRESSES = ("url", "callback_url")


def address_problems(fields: Mapping[str, str], settings: Settings) -> list[Problem]:
    """Return a problem for each field of `ADDRESSES` whose URL is not allowed."""
    problems = []
    if "callback_url" in fields and not settings.webhook_secrets:
        problems.append(
            Problem("callback_url", "is not available on this server, which has no WEBHOOK_SECRETS; omit it")
        )
    for name in ADDRESSES:
        try:
            if name in fields:
                check_url(fields[name], settings.outbound_allow)
        except Refused as exc:
            problems.append(Problem(name, f"{shorten(fields[name])} is not allowed: it {exc}"))
    return problems


def file_name(url: str) -> str:
    """Return the file name of a URL: the last segment of its path, as browsers use for downloads."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
