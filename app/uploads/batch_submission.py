"""Receive the pictures of a batch, store them and enqueue a task for each, all or none."""

import asyncio
import hashlib
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.http.exceptions import KeyReused, UnsupportedImage
from app.http.multipart import MAX_PARTS, Part
from app.http.negotiation import bounded_header, essence
from app.http.parameters import json_object, read_bounded
from app.state import Request
from app.tasks.presets import as_text
from app.uploads.form_fields import Form, Upload, build_spec, take_schedule
from app.uploads.idempotency import FingerprintingReader, IdempotencyRecord, take_claim
from app.uploads.locations import url_problems
from app.uploads.receive import FileProblem, digests, drain, given_fields, in_time, paced_body, place, store_file
from worker.imaging.parsing import InvalidParameters
from worker.storage import upload_path
from worker.tasks.claims import Claim
from worker.tasks.model import Spec, new_task_id
from worker.tasks.schedule import NewBatch, Schedule
from worker.telemetry import logs
from worker.telemetry.counters import BYTES_IN
from worker.validation.fields import Problem, decode_json, shorten

MAX_JSON_BYTES = 4 * 1024 * 1024

OF_A_BATCH = {*Schedule.__struct_fields__, "file", "url", "overlay", "callback_url", "task_callback_url"}
"""Fields that cannot differ from image to image."""


class Picture(Struct, frozen=True):
    """A picture of the batch, which becomes a task: an upload, or the URL of one, or neither if there are problems."""

    task_id: str
    upload: Upload | None = None
    url: str | None = None


class Received(Struct):
    """A request for a batch. Fields of the form have one text each; `each` has fields of single pictures."""

    pictures: list[Picture]
    fields: dict[str, str]
    problems: list[Problem]
    fingerprint: str = ""


async def submit_batch(request: Request) -> str:
    """Create the batch of a request and return its id.

    Raises `InvalidParameters` with the problems of all pictures, and the errors of `submission.submit`.
    """
    claim, earlier = await take_claim(request)
    if claim is None:
        return await _create(request)
    if earlier is not None:
        async with _received(request) as received:
            await _forget(request, received)
        if received.fingerprint != earlier.fingerprint:
            raise KeyReused
        return earlier.task_id
    async with claim.renewed():
        return await _create(request, claim)


async def _create(request: Request, claim: Claim | None = None) -> str:
    tasks, settings, owner = request.state["tasks"], request.state["settings"], request.state["caller"].owner
    tasks.capacity.check(owner)
    await request.state["storage"].require_space(settings.min_free_mb)
    batch_id = new_task_id()
    async with _received(request) as received:
        schedule, problems = take_schedule(received.fields, has_owner=owner is not None)
        callback_url = received.fields.pop("callback_url", None)
        task_callback_url = received.fields.pop("task_callback_url", None)
        problems += _callback_problems(request, callback_url=callback_url, task_callback_url=task_callback_url)
        reuses = schedule.reuses(default=settings.reuse_results)
        specs = await _specs(request, received, problems, reuses=reuses)
        entry = None
        if claim is not None:
            record = IdempotencyRecord(received.fingerprint, batch_id)
            entry = claim.entry_for(msgspec.json.encode(record), settings.idempotency_ttl_s)
        batch = NewBatch(batch_id, callback_url, logs.request_id.get())
        await tasks.create_all(specs, entry, task_callback_url, owner, schedule, batch)
    tasks.stats.count(BYTES_IN, by=sum(spec.bytes for spec in specs.values()))
    await request.state["reuse"].settle_new([task_id for task_id, spec in specs.items() if spec.reuse])
    return batch_id


def _callback_problems(request: Request, **urls: str | None) -> list[Problem]:
    return [
        Problem(name, problem.message)
        for name, url in urls.items()
        if url is not None
        for problem in url_problems({"callback_url": url}, request.state["settings"])
    ]


async def _specs(request: Request, received: Received, problems: list[Problem], *, reuses: bool) -> dict[str, Spec]:
    """Validate the fields for each picture; return the specs by task id, or raise `InvalidParameters`."""
    settings, presets = request.state["settings"], request.state["presets"]
    owner = request.state["caller"].owner
    each = _take_each(received, problems)
    problems += received.problems
    limit = min(settings.queue_limit, owner.limit if owner is not None and owner.limit is not None else math.inf)
    if len(received.pictures) > limit:
        problems.append(Problem("file", f"must be given at most {limit} times, the limit of waiting tasks"))
    specs: dict[str, Spec] = {}
    numbers: dict[Problem, list[int]] = {}
    for number, picture in enumerate(received.pictures):
        own = {"url": picture.url} if picture.url is not None else {}
        fields = {**received.fields, **(each[number] if each else {}), **own}
        surplus = [Problem("source", "is not for batches; use file or url")] if fields.pop("source", None) else []
        form = Form(fields, picture.upload, None, surplus)
        try:
            spec = build_spec(form, settings, presets, [])
            if reuses:
                files = await digests(request.state["storage"], picture.task_id, form)
                spec = request.state["reuse"].with_digest(spec, files)
            specs[picture.task_id] = spec
        except InvalidParameters as exc:
            for problem in exc.problems:
                numbers.setdefault(problem, []).append(number)
        await asyncio.sleep(0)  # other requests go on
    for problem, affected in numbers.items():
        problems += _by_image(problem, affected, each, len(received.pictures))
    problems += _path_problems(specs.values())
    if problems:
        raise InvalidParameters(problems)
    return specs


def _by_image(problem: Problem, affected: list[int], each: list[dict[str, str]], count: int) -> list[Problem]:
    """Repeat a problem for each affected image, unless all of `count` images have it in a field of the whole batch."""
    name = re.split(r"[.\[]", problem.field)[0]
    own = {number for number in affected if each and name in each[number]}
    if not own and len(affected) == count:
        return [problem]
    return [
        Problem(f"{'each' if number in own else ''}[{number}].{problem.field}", problem.message) for number in affected
    ]


def _path_problems(specs: Iterable[Spec]) -> list[Problem]:
    """Return a problem for results that would replace one another in a delivery store."""
    paths = Counter(
        f"{spec.output_prefix}/{name}"
        for spec in specs
        if spec.output_prefix is not None
        for name in spec.file_names.values()
    )
    repeated = [path for path, count in paths.items() if count > 1]
    message = "gives several results the path {}; name the images differently, or set output_prefix in each"
    return [Problem("output_prefix", message.format(shorten(repeated[0])))] if repeated else []


def _take_each(received: Received, problems: list[Problem]) -> list[dict[str, str]]:
    """Remove the field `each`; return the fields of each picture, or add a problem."""
    text = received.fields.pop("each", None)
    if text is None:
        return []
    try:
        value = decode_json(text)
    except msgspec.DecodeError as exc:
        problems.append(Problem("each", f"is not valid JSON: {exc}"))
        return []
    count = len(received.pictures)
    if not isinstance(value, list) or len(value) != count or not all(isinstance(own, dict) for own in value):
        problems.append(Problem("each", f"must be a list of {count} objects, one for each image; got {shorten(value)}"))
        return []
    problems += [
        Problem(f"each[{number}].{name}", "is not for single images; set it once, for the whole batch")
        for number, fields in enumerate(value)
        for name in sorted(fields.keys() & OF_A_BATCH)
    ]
    return [{name: as_text(own) for name, own in fields.items() if name not in OF_A_BATCH} for fields in value]


@asynccontextmanager
async def _received(request: Request) -> AsyncIterator[Received]:
    """Receive the request and store its files; delete them if the block raises and no task may need them."""
    received = Received([], {}, [])
    try:
        async with place(request):
            if essence(bounded_header(request.headers, "content-type")) == "application/json":
                await _read_json(request, received)
            else:
                await _read_form(request, received)
        yield received
    except (RedisConnectionError, RedisTimeoutError):
        raise  # the tasks may exist; otherwise the clean-up deletes the files
    except BaseException:
        await _forget(request, received)
        raise


async def _forget(request: Request, received: Received) -> None:
    storage, tasks = request.state["storage"], request.state["tasks"]
    for picture in received.pictures:
        if picture.url is None:
            await storage.delete(upload_path(picture.task_id))
            await tasks.forget_upload(picture.task_id)


async def _read_json(request: Request, received: Received) -> None:
    """Read a JSON object: `url` is a list, the other fields are those of the form."""
    body = await read_bounded(request, MAX_JSON_BYTES)
    document = json_object(body)
    received.fingerprint = hashlib.sha256(body).hexdigest()
    urls = document.pop("url", None)
    limit = request.state["settings"].max_batch
    if not isinstance(urls, list) or not 1 <= len(urls) <= limit or not all(isinstance(url, str) for url in urls):
        received.problems.append(Problem("url", f"must be a list of 1 to {limit} URLs; got {shorten(urls)}"))
    else:
        received.pictures = [Picture(new_task_id(), url=url) for url in urls]
    received.fields = {name: as_text(value) for name, value in document.items()}


async def _read_form(request: Request, received: Received) -> None:
    settings = request.state["settings"]
    reader = FingerprintingReader(bounded_header(request.headers, "content-type"), paced_body(request))
    async for part in reader.parts(settings.max_batch + MAX_PARTS):
        if part.name in ("file", "url") and len(received.pictures) == settings.max_batch:
            raise InvalidParameters([Problem(part.name, f"must be given at most {settings.max_batch} times")])
        if part.name == "file" and part.file_name is not None:
            await _receive_file(request, received, part)
        elif part.file_name is not None:
            received.problems.append(Problem(part.name, "must not be a file; send the images in fields named 'file'"))
            await drain(part, settings.max_upload_bytes)
        elif part.name == "url":
            received.pictures.append(Picture(new_task_id(), url=await part.text()))
        else:
            if part.name in received.fields:
                received.problems.append(Problem(part.name, "must be given only once"))
            received.fields[part.name] = await part.text()
    received.fingerprint = reader.fingerprint
    received.fields = given_fields(received.fields)
    if not received.pictures:
        received.problems.append(Problem("file", "is missing; send each image in a field 'file', or its URL in 'url'"))


async def _receive_file(request: Request, received: Received, part: Part) -> None:
    """Store a file as the upload of a new task; add a problem if it is not an image that is read here."""
    settings, task_id, number = request.state["settings"], new_task_id(), len(received.pictures)
    await request.state["storage"].require_space(settings.min_free_mb)
    received.pictures.append(Picture(task_id))
    await request.state["tasks"].note_upload(task_id)  # if this process dies, the clean-up deletes the file
    storing = store_file(
        part,
        request.state["storage"],
        upload_path(task_id),
        settings,
        is_hashed=settings.reuse_results or "reuse" in received.fields,
    )
    try:
        upload = await in_time(storing, settings.upload_timeout_s)
    except (FileProblem, UnsupportedImage) as exc:
        received.problems.append(Problem(f"file[{number}]", str(exc)))
        await drain(part, settings.max_upload_bytes)
    else:
        received.pictures[number] = Picture(task_id, upload)
