"""Receive the files of a form: check their size and format, sanitize their names and store them."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.api_settings import Settings
from app.http.exceptions import TooManyUploads, UnsupportedImage, UploadTooLarge, UploadTooSlow
from app.http.multipart import FormReader, Part
from app.http.negotiation import bounded_header
from app.state import Request, party_of
from worker.errors import PictureError
from worker.imaging.formats import InputFormat
from worker.outbound.client import Refused, check_url
from worker.outbound.shares import NoPlace
from worker.pixels.geometry import Size
from worker.storage import Storage, overlay_path, upload_path
from worker.tasks.files import LimitedBody, paced, store_upload
from worker.validation.fields import Problem, shorten

T = TypeVar("T")
AnyReader = TypeVar("AnyReader", bound=FormReader)

FORM_OVERHEAD_BYTES = 1024 * 1024
"""Allowance for the rest of the form when `Content-Length` alone decides that an upload is too large."""

PLACE_TIMEOUT_S = 20.0
"""Maximum time that a client waits for others before its upload is received."""

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
    def bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(upload.bytes for upload in (self.upload, self.overlay) if upload is not None)


def form_reader(request: Request, kind: type[AnyReader]) -> AnyReader:
    """Return a parser for the form; raise `UploadTooLarge` or `MalformedForm` if the headers already show it."""
    settings = request.state["settings"]
    too_slow = UploadTooSlow(f"at {settings.upload_min_bytes_s:,} bytes per second")
    body = paced(request.stream(), settings.upload_min_bytes_s, too_slow)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_upload_bytes + FORM_OVERHEAD_BYTES:
        raise UploadTooLarge(settings.max_upload_bytes)
    return kind(bounded_header(request.headers, "content-type"), body)


@asynccontextmanager
async def receive_form(request: Request, task_id: str, reader: FormReader) -> AsyncIterator[Form]:
    """Store the files of the form as the task's uploads and yield the form; delete them if the block raises.

    Raises `MalformedForm`, `UploadTooLarge`, `UploadTooSlow` and `UnsupportedImage`.
    """
    settings, storage, tasks = request.state["settings"], request.state["storage"], request.state["tasks"]
    paths = {"file": upload_path(task_id), "overlay": overlay_path(task_id)}
    async with AsyncExitStack() as until_received:
        await until_received.enter_async_context(_place(request))
        # If this process dies, the sweep deletes the files. Sent before the first byte is stored, awaited after.
        noted, is_noted = asyncio.create_task(tasks.note_upload(task_id)), False
        try:
            form = await _in_time(_receive(reader, storage, paths, settings), settings.upload_timeout_s)
            await until_received.aclose()
            await noted
            is_noted = True
            yield form
        except RedisError as exc:
            # The sweep deletes the files later, because another command to Redis would only delay the response. A task
            # that was created although its reply was lost needs its files.
            if not (is_noted and isinstance(exc, (RedisConnectionError, RedisTimeoutError))):
                await asyncio.gather(*map(storage.delete, paths.values()))
            raise
        except BaseException:
            await asyncio.gather(noted, return_exceptions=True)
            await asyncio.gather(*map(storage.delete, paths.values()))
            await tasks.forget_upload(task_id)
            raise


async def read_through(request: Request, reader: FormReader) -> None:
    """Read a form without storing its files, within the same limits."""
    settings = request.state["settings"]
    async with _place(request):
        await _in_time(_drain_all(reader, settings.max_upload_bytes), settings.upload_timeout_s)


@asynccontextmanager
async def _place(request: Request) -> AsyncIterator[None]:
    """Hold one of the places for uploads; raise `TooManyUploads` if none becomes free in time."""
    try:
        async with request.state["uploads"].place(party_of(request), PLACE_TIMEOUT_S):
            yield
    except NoPlace as exc:
        raise TooManyUploads(PLACE_TIMEOUT_S) from exc


async def _drain_all(reader: FormReader, max_bytes: int) -> None:
    async for part in reader.parts():
        await _drain(part, max_bytes)


async def _in_time(receiving: Awaitable[T], timeout_s: float) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await receiving
    except TimeoutError as exc:
        raise UploadTooSlow(f"within {timeout_s:g} s") from exc


async def _receive(reader: FormReader, storage: Storage, paths: Mapping[str, str], settings: Settings) -> Form:
    fields: dict[str, str] = {}
    problems: list[Problem] = []
    uploads: dict[str, Upload] = {}
    async for part in reader.parts():
        if part.file_name is None:
            if part.name in fields:
                problems.append(Problem(part.name, "must be given only once"))
            fields[part.name] = await part.text()
            continue
        try:
            if part.name not in paths:
                raise _FileProblem("must not be a file; send the image in the field 'file'")  # noqa: TRY301
            if part.name in uploads:
                raise _FileProblem("must be only one file")  # noqa: TRY301
            uploads[part.name] = await _store_file(part, storage, paths[part.name], settings)
        except _FileProblem as exc:
            problems.append(Problem(part.name, str(exc)))
            await _drain(part, settings.max_upload_bytes)
    has_file = "file" in uploads or any(problem.field == "file" for problem in problems)
    if "url" in fields and (has_file or "file" in fields):
        problems.append(Problem("url", "cannot be combined with file; send one of the two"))
    if not has_file and ("url" not in fields or "file" in fields):
        problems.append(_no_file(fields.pop("file", None)))
    if "overlay" in fields:
        problems.append(Problem("overlay", _IS_TEXT))
        del fields["overlay"]
    return Form(fields, uploads.get("file"), uploads.get("overlay"), problems)


_IS_TEXT = "must be a file, not text; with curl: -F file=@photo.jpg"


class _FileProblem(Exception):
    """A problem with a file. The rest of the form is still read, so that one response names all problems."""


async def _drain(part: Part, max_bytes: int) -> None:
    async for _ in LimitedBody(part.chunks(), max_bytes, UploadTooLarge(max_bytes)).chunks:
        pass


def _no_file(text: str | None) -> Problem:
    if text is None:
        return Problem("file", "is missing; send the image in the form field 'file', or its address in 'url'")
    return Problem("file", _IS_TEXT)


async def _store_file(part: Part, storage: Storage, path: str, settings: Settings) -> Upload:
    body = LimitedBody(part.chunks(), settings.max_upload_bytes, UploadTooLarge(settings.max_upload_bytes))
    try:
        stored = await store_upload(body, storage, path, settings.input_formats, settings.limits)
    except PictureError as exc:
        raise _FileProblem(str(exc)) from exc
    if stored is None:
        raise UnsupportedImage(settings.input_formats) if body.bytes else _FileProblem("must not be empty")
    name = part.file_name or ""
    image_format, size = stored
    return Upload(image_format, safe_stem(name), name[:MAX_SHOWN_NAME], body.bytes, size)


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
