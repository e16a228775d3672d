"""`POST /tasks/{id}/link`: results for those who have no key."""

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.access import own_task
from app.body import read_body
from app.description import Answer, Body, describe
from app.errors import BodyTooLarge, BodyTooSlow, MalformedForm, NoResult, NotFinished
from app.examples import TASK_ID
from app.responses import json_response
from app.routes.outputs import succeeded
from app.state import Request
from app.views import Results, TaskId, Time
from worker.imaging.parsing import InvalidParameters
from worker.states import TaskNotFound
from worker.times import rfc3339


class LinkWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a link is to be."""

    expires_in: Annotated[int, Meta(ge=1, le=604_800, description="For how many seconds the link is good.")] = 3600


class Link(msgspec.Struct, frozen=True):
    """What anybody may GET for a time."""

    task_id: TaskId
    url: Annotated[Results, Meta(description="Path and query on this server, or each variant's by its name.")]
    expires_at: Time


@describe(
    "Results",
    Answer(
        200,
        "The link.",
        Link,
        {
            "link": Link(
                TASK_ID,
                f"/processed/{TASK_ID}/photo.webp?expires=1772370000&signature=q1Xy-5h7vN0Y2cF4o8bE6w3Zr9Kt1Lm7Pd5Su0Jg2Ha",
                "2026-03-01T13:00:00.000Z",
            )
        },
    ),
    problems=(MalformedForm, TaskNotFound, NotFinished, NoResult, BodyTooLarge, BodyTooSlow, InvalidParameters),
    body=Body(LinkWish, LinkWish(600)),
)
async def link(request: Request) -> Response:
    """Answer with a link to the result, or to each variant's by its name; whoever has it may GET it for a time."""
    wish = await read_body(request, LinkWish)
    task = succeeded(await own_task(request))
    expires_s = int(time.time()) + wish.expires_in
    links = {name: await request.state["links"].link(path, expires_s) for name, path in task.result_paths.items()}
    url = links if task.spec.plan.is_named else links[""]
    return json_response(Link(task.id, url, rfc3339(expires_s * 1000)))
