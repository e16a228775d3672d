"""Validate the form, store the upload and enqueue a task."""

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.http.exceptions import (
    InvalidKey,
    KeyReused,
    MalformedForm,
    SeveralResults,
    TooManyUploads,
    UploadGone,
    UploadTooLarge,
    UploadTooSlow,
)
from app.http.multipart import FormReader
from app.http.negotiation import prefers_any_picture, wait_s
from app.state import Request
from app.uploads.form_fields import build_spec, take_schedule
from app.uploads.idempotency import FingerprintingReader, IdempotencyRecord, take_claim
from app.uploads.receive import digests, form_reader, read_through, receive_form, with_upload_of_task
from worker.imaging.parsing import InvalidParameters
from worker.storage import StorageFull, StorageUnavailable
from worker.tasks.claims import Claim, KeyInUse
from worker.tasks.model import new_task_id
from worker.tasks.queue_state import OwnerQueueFull, QueueFull
from worker.tasks.status import TaskNotFound
from worker.telemetry import logs
from worker.telemetry.counters import BYTES_IN

PROBLEMS = (
    MalformedForm,
    InvalidKey,
    UploadTooSlow,
    TooManyUploads,
    KeyInUse,
    UploadTooLarge,
    InvalidParameters,
    KeyReused,
    QueueFull,
    OwnerQueueFull,
    StorageFull,
    StorageUnavailable,
    TaskNotFound,
    UploadGone,
)
"""The errors of a request that creates tasks."""


async def submit(request: Request) -> str:
    """Create the task of a request and return its id.

    A request that repeats an earlier one with its `Idempotency-Key` gets the id of the existing task. Raises
    `InvalidKey`, `KeyInUse` while the earlier request is being received, `KeyReused` if it was another request,
    `InvalidParameters`, `QueueFull` and the errors of `receive_form`.
    """
    claim, earlier = await take_claim(request)
    if claim is None:
        return await _create(request, form_reader(request, FormReader))
    if earlier is not None:
        return await _existing_task(request, earlier)
    async with claim.renewed():
        return await _create(request, form_reader(request, FingerprintingReader), claim)


async def _existing_task(request: Request, earlier: IdempotencyRecord) -> str:
    """Read the form; return the task id of the earlier request if both have the same form, or raise `KeyReused`."""
    reader = form_reader(request, FingerprintingReader)
    await read_through(request, reader)
    if reader.fingerprint != earlier.fingerprint:
        raise KeyReused
    return earlier.task_id


async def _create(request: Request, reader: FormReader, claim: Claim | None = None) -> str:
    """Receive the form and create its task, together with the record of the claimed idempotency key."""
    tasks, settings, owner = request.state["tasks"], request.state["settings"], request.state["caller"].owner
    tasks.capacity.check(owner)
    await request.state["storage"].require_space(settings.min_free_mb)
    task_id = new_task_id()
    logs.task_id.set(task_id)
    async with receive_form(request, task_id, reader) as received:
        form = await with_upload_of_task(request, received, task_id) if "source" in received.fields else received
        schedule, problems = take_schedule(form.fields, has_owner=owner is not None)
        spec = build_spec(form, settings, request.state["presets"], problems)
        if schedule.reuses(default=settings.reuse_results):
            files = await digests(request.state["storage"], task_id, form)
            spec = request.state["reuse"].with_digest(spec, files)
        if spec.plan.is_named and wait_s(request.headers) is not None and prefers_any_picture(request.headers):
            raise SeveralResults(list(spec.plan.variants))
        entry = None
        if claim is not None and isinstance(reader, FingerprintingReader):
            record = IdempotencyRecord(reader.fingerprint, task_id)
            entry = claim.entry_for(msgspec.json.encode(record), settings.idempotency_ttl_s)
        try:
            await tasks.create(task_id, spec, entry, form.fields.get("callback_url"), owner, schedule)
        except (RedisConnectionError, RedisTimeoutError):  # the reply was lost; the task may exist
            request.state["created_task_id"] = task_id
            raise
    tasks.stats.count(BYTES_IN, by=form.bytes)
    if spec.reuse:
        await request.state["reuse"].settle_new([task_id])
    return task_id
