"""From a request's form to a stored upload: the size limit, the type by the file's own bytes, the name made safe."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.api_settings import Settings
from app.http.exceptions import UnsupportedImage, UploadTooLarge, UploadTooSlow
from app.http.multipart import FormReader, Part
from app.http.negotiation import list_header
from app.state import Request
from worker.errors import PictureError
from worker.imaging.decoding import HEAD_BYTES, check_header
from worker.imaging.formats import InputFormat, sniff
from worker.outbound.client import Refused, check_url
from worker.pixels.geometry import Size
from worker.storage import Storage
from worker.tasks.model import overlay_path, upload_path
from worker.validation.fields import Problem, shorten

T = TypeVar("T")
AnyReader = TypeVar("AnyReader", bound=FormReader)

FORM_OVERHEAD_BYTES = 1024 * 1024
"""What a form may have beside its file before it is refused by its Content-Length alone."""

MAX_SHOWN_NAME = 200
"""Characters of a client's file name that its task's record keeps."""

MAX_NAME_BYTES = 100
"""Bytes of a result's name in UTF-8, without its extension; file systems take 255 for all of it."""


class Upload(Struct, frozen=True):
    """A stored file."""

    format: InputFormat
    stem: str
    """The client's file name without its extension, safe in paths and URLs."""
    name: str
    """The client's file name, as far as anybody reads."""
    bytes: int
    size: Size | None
    """Of the upright picture, where the first bytes tell it."""


class Form(Struct, frozen=True):
    """A form as received.

    `problems` holds what is wrong already; `upload` is None only if one of them is its own, or the form has a `url`.
    """

    fields: dict[str, str]
    upload: Upload | None
    overlay: Upload | None
    """The picture to lay over the other."""
    problems: list[Problem]

    @property
    def bytes(self) -> int:
        """Of its files."""
        return sum(upload.bytes for upload in (self.upload, self.overlay) if upload is not None)


def form_reader(request: Request, kind: type[AnyReader]) -> AnyReader:
    """Return the reader of the request's form; raises `UploadTooLarge` and `MalformedForm` for what its headers say."""
    settings = request.state["settings"]
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_upload_bytes + FORM_OVERHEAD_BYTES:
        raise UploadTooLarge(settings.max_upload_bytes)
    return kind(list_header(request.headers, "content-type"), request.stream())


@asynccontextmanager
async def received_form(request: Request, task_id: str, reader: FormReader) -> AsyncIterator[Form]:
    """Store the form's files as the task's uploads and give its fields; they are removed again if the block raises.

    Raises `MalformedForm`, `UploadTooLarge`, `UploadTooSlow` and `UnsupportedImage`.
    """
    settings, storage, tasks = request.state["settings"], request.state["storage"], request.state["tasks"]
    paths = {"file": upload_path(task_id), "overlay": overlay_path(task_id)}
    # Should this process die, the sweep finds what it left. Sent before the first byte is stored, waited for after.
    noted, is_noted = asyncio.create_task(tasks.note_upload(task_id)), False
    try:
        async with request.state["upload_slots"]:
            form = await _in_time(_receive(reader, storage, paths, settings), settings.upload_timeout_s)
        await noted
        is_noted = True
        yield form
    except RedisError as exc:
        # The note stays for the sweep: Redis would only keep the client waiting longer. So do files of which the task
        # may have been made although no answer came: it needs them, or the sweep removes them.
        if not (is_noted and isinstance(exc, (RedisConnectionError, RedisTimeoutError))):
            await asyncio.gather(*map(storage.delete, paths.values()))
        raise
    except BaseException:
        await asyncio.gather(noted, return_exceptions=True)
        await asyncio.gather(*map(storage.delete, paths.values()))
        await tasks.forget_upload(task_id)
        raise


async def read_through(request: Request, reader: FormReader) -> None:
    """Read a form and keep nothing of it, within the limits of one that is kept."""
    settings = request.state["settings"]
    async with request.state["upload_slots"]:
        await _in_time(_drain_all(reader, settings.max_upload_bytes), settings.upload_timeout_s)


async def _drain_all(reader: FormReader, max_bytes: int) -> None:
    async for part in reader.parts():
        await _drain(part, max_bytes)


async def _in_time(receiving: Awaitable[T], timeout_s: float) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await receiving
    except TimeoutError as exc:
        raise UploadTooSlow(timeout_s) from exc


async def _receive(reader: FormReader, storage: Storage, paths: Mapping[str, str], settings: Settings) -> Form:
    fields: dict[str, str] = {}
    problems: list[Problem] = []
    uploads: dict[str, Upload] = {}
    async for part in reader.parts():
        if part.file_name is None:
            if part.name in fields:
                problems.append(Problem(part.name, "is given more than once"))
            fields[part.name] = await part.text()
            continue
        try:
            if part.name not in paths:
                raise _FileProblem("give no file here; the field for the picture is 'file'")  # noqa: TRY301
            if part.name in uploads:
                raise _FileProblem("give one file only")  # noqa: TRY301
            uploads[part.name] = await _store_file(part, storage, paths[part.name], settings)
        except _FileProblem as exc:
            problems.append(Problem(part.name, str(exc)))
            await _drain(part, settings.max_upload_bytes)
    has_file = "file" in uploads or any(problem.field == "file" for problem in problems)
    if "url" in fields and (has_file or "file" in fields):
        problems.append(Problem("url", "does not go with a file; give one of the two"))
    if not has_file and ("url" not in fields or "file" in fields):
        problems.append(_no_file(fields.pop("file", None)))
    if "overlay" in fields:
        problems.append(Problem("overlay", _IS_TEXT))
        del fields["overlay"]
    return Form(fields, uploads.get("file"), uploads.get("overlay"), problems)


_IS_TEXT = "is text, not a file; with curl: -F file=@picture.jpg"


class _FileProblem(Exception):
    """What is wrong with a file; the rest of the form is still looked at, so that one answer names every problem."""


async def _drain(part: Part, max_bytes: int) -> None:
    async for _ in _limited(part.chunks(), max_bytes):
        pass


def _no_file(text: str | None) -> Problem:
    if text is None:
        return Problem("file", "is missing; send the picture in the form field 'file', or its address in 'url'")
    return Problem("file", _IS_TEXT)


async def _store_file(part: Part, storage: Storage, path: str, settings: Settings) -> Upload:
    chunks = _limited(part.chunks(), settings.max_upload_bytes)
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise _FileProblem("is empty")
    image_format = sniff(head, settings.input_formats)
    if image_format is None:
        raise UnsupportedImage(settings.input_formats)
    try:
        size = check_header(head, image_format, settings.limits, is_whole=len(head) < HEAD_BYTES)
    except PictureError as exc:
        raise _FileProblem(str(exc)) from exc
    counted = _Counted(chunks)
    await storage.put(path, counted.chunks(), head)
    name = part.file_name or ""
    return Upload(image_format, safe_stem(name), name[:MAX_SHOWN_NAME], len(head) + counted.bytes, size)


class _Counted:
    """Chunks on their way, and their bytes."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.bytes = 0
        self._chunks = chunks

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.bytes += len(chunk)
            yield chunk


async def _limited(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    left = max_bytes
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise UploadTooLarge(max_bytes)
        yield chunk


def safe_stem(file_name: str) -> str:
    """Make a client's file name safe as a path segment and in a URL, and keep it recognizable.

    Letters, marks and digits of every script stay, with `.`, `-` and `_`; whatever else becomes `_`. Directories and
    the extension go, the length is bounded, and a name of which nothing is left is `image`.
    """
    name = unicodedata.normalize("NFC", file_name).replace("\\", "/").rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    kept = "".join(
        letter if letter in ".-_" or unicodedata.category(letter)[0] in "LMN" else "_"
        for letter in (stem if dot and stem else name)
    )
    kept = kept.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("._")
    return kept or "image"


ADDRESSES = ("url", "callback_url")


def address_problems(fields: Mapping[str, str], settings: Settings) -> list[Problem]:
    """Return a problem for each of `ADDRESSES` to which no connection is made."""
    problems = []
    if "callback_url" in fields and not settings.webhook_secrets:
        problems.append(Problem("callback_url", "is refused: this server has no WEBHOOK_SECRETS; leave it out"))
    for name in ADDRESSES:
        try:
            if name in fields:
                check_url(fields[name], settings.outbound_allow)
        except Refused as exc:
            problems.append(Problem(name, f"{shorten(fields[name])} is not allowed: it {exc}"))
    return problems


def file_name(url: str) -> str:
    """Return the name that a browser would give what lies there: the path's last part."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
