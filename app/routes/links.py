"""`POST /tasks/{id}/link`: results for those who have no key."""

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.access import own_task
from app.body import read_body
from app.responses import json_response
from app.routes.outputs import succeeded
from app.state import Request
from app.views import timestamp


class LinkWish(msgspec.Struct, frozen=True):
    """What a link is to be."""

    expires_in: Annotated[int, Meta(ge=1, le=604_800, description="For how many seconds the link is good.")] = 3600


async def link(request: Request) -> Response:
    """Answer with a link to the result, or to each variant's by its name; whoever has it may GET it for a time."""
    wish = await read_body(request, LinkWish)
    task = succeeded(await own_task(request))
    expires_s = int(time.time()) + wish.expires_in
    links = {name: await request.state["links"].link(path, expires_s) for name, path in task.result_paths.items()}
    url = links if task.spec.plan.is_named else links[""]
    return json_response({"task_id": task.id, "url": url, "expires_at": timestamp(expires_s * 1000)})
