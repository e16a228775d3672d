"""`GET /tasks/{task_id}/upload` and `/thumbnail`: the images of a task besides its results."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from app.http.description import PICTURES, Answer, Header, describe
from app.http.exceptions import RangeNotSatisfiable, ResultNotFound, UploadGone
from app.http.parameters import read_query
from app.routes.results import CONDITIONS, ETAG, LAST_MODIFIED, RANGES, UNCHANGED, send_bytes
from app.state import Request, get_own_task
from worker.imaging.formats import media_type_of
from worker.storage import StorageUnavailable
from worker.tasks.status import Status, TaskNotFound


@describe(
    "Tasks",
    Answer(200, "The bytes of the upload.", media_types=PICTURES, headers=(ETAG, LAST_MODIFIED, RANGES)),
    Answer(206, "The requested range.", media_types=PICTURES, headers=(ETAG, LAST_MODIFIED, RANGES)),
    UNCHANGED,
    problems=(TaskNotFound, UploadGone, RangeNotSatisfiable, StorageUnavailable),
    headers=CONDITIONS,
)
async def original(request: Request) -> Response:
    """Return the uploaded image of a task unchanged; 410 if it is not in storage, or not yet."""
    task = await get_own_task(request)
    source = task.spec.source
    if source is None:
        raise UploadGone
    try:
        return await send_bytes(request, task.upload_path, media_type_of(source.value))
    except ResultNotFound:
        raise UploadGone from None


class ThumbnailQuery(Struct, frozen=True):
    v: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="Any text that changes with the result, such as the beginning of its `sha256`. With it, "
                "the response may be cached for a day.",
            ),
        ]
        | None
    ) = None


CACHED = "private, max-age=86400"


@describe(
    "Tasks",
    Answer(
        200,
        "The thumbnail.",
        media_types=("image/webp",),
        headers=(Header("Cache-Control", "How long the response may be cached.", CACHED),),
    ),
    query=ThumbnailQuery,
    problems=(TaskNotFound, ResultNotFound, StorageUnavailable),
)
async def thumbnail(request: Request) -> Response:
    """Return a small WebP, of at most 96 x 96 pixels, of the smallest result of a task.

    404 for tasks without a result that can be shown: reports, formats other than JPEG, PNG, WebP, AVIF and GIF, and
    results of over 16 megapixels or 8 MB.
    """
    query, task = read_query(request, ThumbnailQuery), await get_own_task(request)
    made = await request.state["thumbnails"].get(task) if task.status is Status.SUCCESS else None
    if made is None:
        raise ResultNotFound("the task has no result of which there is a thumbnail")
    headers = {"Cache-Control": "no-store" if query.v is None else CACHED, "X-Content-Type-Options": "nosniff"}
    return Response(made, headers=headers, media_type="image/webp")
