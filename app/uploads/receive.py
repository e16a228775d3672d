"""Receive the files of a form: check their size and format, sanitize their names and store them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.api_settings import Settings
from app.http.exceptions import TooManyUploads, UnsupportedImage, UploadGone, UploadTooLarge, UploadTooSlow
from app.http.multipart import FormReader, Part
from app.http.negotiation import bounded_header
from app.state import Request, party_of, require_visible
from app.uploads.form_fields import Form, Upload, safe_stem, shown_name
from app.uploads.plain_bodies import as_multipart
from worker.errors import PictureError
from worker.imaging.formats import UnreadFormat
from worker.outbound.shares import NoPlace
from worker.storage import Storage, overlay_path, upload_path
from worker.tasks.files import LimitedBody, paced, store_upload
from worker.validation.fields import Problem

T = TypeVar("T")
AnyReader = TypeVar("AnyReader", bound=FormReader)

FORM_OVERHEAD_BYTES = 1024 * 1024
"""Allowance for the rest of the form when `Content-Length` alone decides that an upload is too large."""

PLACE_TIMEOUT_S = 20.0
"""Maximum time that a client waits for others before its upload is received."""


def paced_body(request: Request) -> AsyncIterator[bytes]:
    """Return the chunks of the body, which raise `UploadTooSlow` if the client is slower than UPLOAD_MIN_BYTES_S."""
    min_bytes_s = request.state["settings"].upload_min_bytes_s
    return paced(request.stream(), min_bytes_s, UploadTooSlow(f"at {min_bytes_s:,} bytes per second"))


def form_reader(request: Request, kind: type[AnyReader]) -> AnyReader:
    """Return a parser for the form; raise `UploadTooLarge` or `MalformedForm` if the headers already show it."""
    settings, body = request.state["settings"], paced_body(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_upload_bytes + FORM_OVERHEAD_BYTES:
        raise UploadTooLarge(settings.max_upload_bytes)
    content_type = bounded_header(request.headers, "content-type")
    return kind(*as_multipart(content_type, request.query_params, body))


@asynccontextmanager
async def receive_form(request: Request, task_id: str, reader: FormReader) -> AsyncIterator[Form]:
    """Store the files of the form as the task's uploads and yield the form; delete them if the block raises.

    Raises `MalformedForm`, `UploadTooLarge`, `UploadTooSlow` and `UnsupportedImage`.
    """
    settings, storage, tasks = request.state["settings"], request.state["storage"], request.state["tasks"]
    paths = {"file": upload_path(task_id), "overlay": overlay_path(task_id)}
    async with AsyncExitStack() as until_received:
        await until_received.enter_async_context(place(request))
        # If this process dies, the sweep deletes the files. Sent before the first byte is stored, awaited after.
        noted, is_noted = asyncio.create_task(tasks.note_upload(task_id)), False
        try:
            form = await in_time(_receive(reader, storage, paths, settings), settings.upload_timeout_s)
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


async def with_upload_of_task(request: Request, form: Form, task_id: str) -> Form:
    """Return the form with the upload of an earlier task, which it names as its `source`, as that of a new task.

    The form is returned as it is if its `source` is a path in a store. Raises `TaskNotFound`, also for a task of
    another owner, and `UploadGone`.
    """
    source = form.fields["source"]
    if "/" in source or form.upload is not None or form.problems:
        return form
    task = require_visible(request, await request.state["tasks"].get(source))
    spec = task.spec
    if spec.source is None:
        raise UploadGone
    try:
        await request.state["storage"].copy(task.upload_path, upload_path(task_id))
    except FileNotFoundError:
        raise UploadGone from None
    fields = {name: text for name, text in form.fields.items() if name != "source"}
    return Form(fields, Upload(spec.source, spec.stem, spec.name, spec.bytes, spec.size, ""), form.overlay, [])


async def read_through(request: Request, reader: FormReader) -> None:
    """Read a form without storing its files, within the same limits."""
    settings = request.state["settings"]
    async with place(request):
        await in_time(_drain_all(reader, settings.max_upload_bytes), settings.upload_timeout_s)


@asynccontextmanager
async def place(request: Request) -> AsyncIterator[None]:
    """Hold one of the places for uploads; raise `TooManyUploads` if none becomes free in time."""
    try:
        async with request.state["uploads"].place(party_of(request), PLACE_TIMEOUT_S):
            yield
    except NoPlace as exc:
        raise TooManyUploads(PLACE_TIMEOUT_S) from exc


async def _drain_all(reader: FormReader, max_bytes: int) -> None:
    async for part in reader.parts():
        await drain(part, max_bytes)


async def in_time(receiving: Awaitable[T], timeout_s: float) -> T:
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
                raise FileProblem("must not be a file; send the image in the field 'file'")  # noqa: TRY301
            if part.name in uploads:
                raise FileProblem("must be only one file")  # noqa: TRY301
            is_hashed = settings.reuse_results or "reuse" in fields
            uploads[part.name] = await store_file(part, storage, paths[part.name], settings, is_hashed=is_hashed)
        except FileProblem as exc:
            problems.append(Problem(part.name, str(exc)))
            await drain(part, settings.max_upload_bytes)
    fields = given_fields(fields)
    has_file = "file" in uploads or any(problem.field == "file" for problem in problems)
    others = [name for name in ("url", "source") if name in fields]
    surplus = others if has_file or "file" in fields else others[1:]
    problems += [Problem(name, "cannot be combined with file or url; send one of them") for name in surplus]
    if not has_file and (not others or "file" in fields):
        problems.append(_no_file(fields.pop("file", None)))
    if "overlay" in fields:
        problems.append(Problem("overlay", _IS_TEXT))
        del fields["overlay"]
    return Form(fields, uploads.get("file"), uploads.get("overlay"), problems)


_IS_TEXT = "must be a file, not text; with curl: -F file=@photo.jpg"


def given_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that are not blank; forms of web pages send all of their fields."""
    return {name: text for name, text in fields.items() if text.strip()}


class FileProblem(Exception):
    """A problem with a file. The rest of the form is still read, so that one response names all problems."""


async def drain(part: Part, max_bytes: int) -> None:
    async for _ in LimitedBody(part.chunks(), max_bytes, UploadTooLarge(max_bytes)).chunks:
        pass


def _no_file(text: str | None) -> Problem:
    if text is None:
        return Problem("file", "is missing; send the image in the form field 'file', or its address in 'url'")
    return Problem("file", _IS_TEXT)


async def digests(storage: Storage, task_id: str, form: Form) -> list[str]:
    """Return the SHA-256 of the form's files, reading those that were not hashed as they arrived."""
    files = ((form.upload, upload_path(task_id)), (form.overlay, overlay_path(task_id)))
    return [upload.sha256 or await _digest(storage, path) for upload, path in files if upload is not None]


async def _digest(storage: Storage, path: str) -> str:
    digest = hashlib.sha256()
    _, chunks = await storage.chunks(path)
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


async def store_file(part: Part, storage: Storage, path: str, settings: Settings, *, is_hashed: bool) -> Upload:
    body = LimitedBody(
        part.chunks(), settings.max_upload_bytes, UploadTooLarge(settings.max_upload_bytes), is_hashed=is_hashed
    )
    try:
        image_format, size = await store_upload(body, storage, path, settings.input_formats, settings.limits)
    except PictureError as exc:
        raise FileProblem(str(exc)) from exc
    except UnreadFormat as exc:
        if not body.bytes:
            raise FileProblem("must not be empty") from exc
        raise UnsupportedImage(settings.input_formats, exc.what) from exc
    name = part.file_name or ""
    return Upload(image_format, safe_stem(name), shown_name(name), body.bytes, size, body.sha256)
