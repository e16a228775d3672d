"""`GET /batches/{id}/result.zip`: the results of a batch as one file."""

import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response, StreamingResponse

from app.http.description import Answer, Header, describe
from app.http.exceptions import RangeNotSatisfiable
from app.http.negotiation import bounded_header
from app.http.parameters import read_query
from app.http.zip_archive import Archive, Entry, unique_names
from app.routes.results import CONDITIONS, ETAG, RANGES, parse_range
from app.state import Request, get_own_batch
from worker.imaging.formats import OutputFormat
from worker.imaging.plan import AUTO_EXTENSION
from worker.storage import Storage, StorageUnavailable
from worker.tasks.batches import Batch, BatchNotFound, BatchRunning, tasks_of
from worker.tasks.model import OutputRecord, Task
from worker.tasks.status import Status
from worker.telemetry.clock import rfc3339

ZIP = "application/zip"

EXTENSIONS = {known.value: known.extension for known in OutputFormat}

DISPOSITION = Header("Content-Disposition", "The name of the file.", 'attachment; filename="batch.zip"')


class ArchiveQuery(Struct, frozen=True):
    """The query of an archive."""

    partial: Annotated[bool, Meta(description="Whether to return the results so far if tasks are unfinished.")] = False


@describe(
    "Batches",
    Answer(200, "The ZIP archive.", media_types=(ZIP,), headers=(ETAG, RANGES, DISPOSITION)),
    Answer(
        206,
        "The requested range.",
        media_types=(ZIP,),
        headers=(ETAG, RANGES, Header("Content-Range", "The position of the range.", "bytes 0-1023/18244")),
    ),
    Answer(304, "The cached copy is still current.", headers=(ETAG,)),
    problems=(BatchNotFound, BatchRunning, RangeNotSatisfiable, StorageUnavailable),
    query=ArchiveQuery,
    headers=tuple(header for header in CONDITIONS if header.name != "If-Modified-Since"),
)
async def batch_archive(request: Request) -> Response:
    """Return the results of a batch as a ZIP archive, streamed, with a `manifest.json` that names what failed and why.

    The files have the names of the uploads; a number is added to those that occur more than once.
    """
    batch, query = await get_own_batch(request), read_query(request, ArchiveQuery)
    if not query.partial:
        batch.require_ended()
    archive = await _archive(request, batch)
    headers = {
        "ETag": archive.etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="batch-{batch.id}.zip"',
        "X-Content-Type-Options": "nosniff",
    }
    known = [tag.strip().removeprefix("W/") for tag in bounded_header(request.headers, "if-none-match").split(",")]
    if archive.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    status, first, last = 200, 0, archive.size - 1
    span = parse_range(request.headers.get("range", ""), archive.size)
    if span is not None and request.headers.get("if-range", archive.etag) == archive.etag:
        status, (first, last) = 206, span
        if first > last:
            raise RangeNotSatisfiable(archive.size)
        headers["Content-Range"] = f"bytes {first}-{last}/{archive.size}"
    headers["Content-Length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=ZIP)
    return StreamingResponse(archive.stream(request.state["storage"], first, last), status, headers, ZIP)


async def _archive(request: Request, batch: Batch) -> Archive:
    tasks = await tasks_of(request.state["redis"], batch.id)
    done = [task for task in tasks if task.status is Status.SUCCESS]
    outputs = [(task, name, output) for task in done for name, output in task.outputs.items()]
    names = list(unique_names(["manifest.json", *(_file_name(task, name, output) for task, name, output in outputs)]))
    entries, results = [], dict[str, dict[str, str]]()
    for (task, name, output), file_name in zip(outputs, names[1:], strict=True):
        crc32 = await _crc32(request.state["storage"], output)
        entries.append(Entry(file_name, output.bytes, crc32, task.ended_ms or batch.created_ms, output.path))
        results.setdefault(task.id, {})[name] = file_name
    manifest = msgspec.json.format(msgspec.json.encode(_manifest(batch, tasks, results)), indent=1) + b"\n"
    modified_ms = batch.ended_ms or batch.created_ms
    entries.append(Entry(names[0], len(manifest), zlib.crc32(manifest), modified_ms, data=manifest))
    return Archive(entries)


def _file_name(task: Task, name: str, output: OutputRecord) -> str:
    """Return the name of a result; that of a format chosen by `auto` gets the extension of the format."""
    file_name = task.spec.file_names[name]
    stem, _, extension = file_name.rpartition(".")
    return f"{stem}.{EXTENSIONS[output.format]}" if extension == AUTO_EXTENSION else file_name


async def _crc32(storage: Storage, output: OutputRecord) -> int:
    """Return the checksum of a result; an older version of Darkroom did not record it."""
    return zlib.crc32(await storage.read(output.path)) if output.crc32 is None else output.crc32


def _manifest(batch: Batch, tasks: list[Task], results: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "created_at": rfc3339(batch.created_ms),
        "counts": batch.counts,
        "tasks": [
            {
                "task_id": task.id,
                "file": task.spec.name,
                **({} if task.spec.url is None else {"url": task.spec.url}),
                "status": task.status,
                **({"files": results[task.id]} if task.id in results else {}),
                **({"error_code": task.error_code, "error": task.error} if task.status is Status.FAILURE else {}),
            }
            for task in tasks
        ],
    }
