"""Validate the form, store the upload and enqueue a task."""

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.api_settings import Settings
from app.http.exceptions import KeyReused, SeveralResults
from app.http.multipart import FormReader
from app.http.negotiation import prefers_any_picture, wait_s
from app.state import Request
from app.tasks.presets import Presets
from app.uploads.idempotency import HEADER, FingerprintingReader, IdempotencyRecord, parse_key
from app.uploads.receive import (
    ADDRESSES,
    MAX_SHOWN_NAME,
    Form,
    address_problems,
    file_name,
    form_reader,
    read_through,
    receive_form,
    safe_stem,
)
from worker.imaging.parsing import InvalidParameters, check_plan_sizes, parse_plan
from worker.tasks.claims import Claim
from worker.tasks.model import Spec, new_task_id
from worker.tasks.schedule import DEFAULT_SCHEDULE, LATEST_START_S, Schedule
from worker.telemetry import logs
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import BYTES_IN
from worker.validation.fields import Problem, convert_fields


async def submit(request: Request) -> str:
    """Create the task of a request and return its id.

    A request that repeats an earlier one with its `Idempotency-Key` gets the id of the existing task. Raises
    `InvalidKey`, `KeyInUse` while the earlier request is being received, `KeyReused` if it was another request,
    `InvalidParameters`, `QueueFull` and the errors of `receive_form`.
    """
    key = parse_key(request.headers.getlist(HEADER))
    if key is None:
        return await _create(request, form_reader(request, FormReader))
    claim = Claim(request.state["redis"], f"idempotency:{request.state['caller'].name or ''}:{key}")
    stored = await claim.take()
    if stored is not None:
        return await _existing_task(request, msgspec.json.decode(stored, type=IdempotencyRecord))
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
    async with receive_form(request, task_id, reader) as form:
        schedule, problems = _take_schedule(form.fields, has_owner=owner is not None)
        spec = _spec(form, settings, request.state["presets"], problems)
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
    return task_id


def _take_schedule(fields: dict[str, str], *, has_owner: bool) -> tuple[Schedule, list[Problem]]:
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


def _spec(form: Form, settings: Settings, presets: Presets, problems: list[Problem]) -> Spec:
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
