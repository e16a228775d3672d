"""`GET /livez` and `GET /readyz`, the health checks."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from msgspec import Struct
from redis.exceptions import RedisError
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.problems import RETRY, RETRY_AFTER_S
from app.http.responses import json_response
from app.state import Request
from worker.runner.heartbeat import any_worker_alive
from worker.storage import StorageUnavailable

CHECK_TIMEOUT_S = 2.0


class Liveness(Struct, frozen=True):
    status: Literal["alive"] = "alive"


class Checks(Struct, frozen=True):
    """Each check is `ok` or the error."""

    redis: str
    storage: str
    worker: str


class Readiness(Struct, frozen=True):
    status: Literal["ready", "not ready"]
    checks: Checks


@describe("Health", Answer(200, "The process is alive.", Liveness, {"alive": Liveness()}))
async def livez(_: Request) -> Response:
    """Check that the process responds. Redis and storage are not checked."""
    return json_response(Liveness())


@describe(
    "Health",
    Answer(200, "The service is ready.", Readiness, {"ready": Readiness("ready", Checks("ok", "ok", "ok"))}),
    Answer(
        503,
        "The service is not ready.",
        Readiness,
        {"no worker": Readiness("not ready", Checks("ok", "ok", "no worker has reported recently"))},
        headers=(RETRY,),
    ),
)
async def readyz(request: Request) -> Response:
    """Check that new tasks can be processed: Redis responds, storage is writable, a worker is alive."""
    redis, storage = request.state["redis"], request.state["storage"]
    answers = await asyncio.gather(
        _check(redis.ping()), _check(storage.check()), _check(_worker(any_worker_alive(redis)))
    )
    checks = Checks(*answers)
    if all(answer == "ok" for answer in answers):
        return json_response(Readiness("ready", checks))
    return json_response(Readiness("not ready", checks), 503, {RETRY.name: RETRY_AFTER_S})


async def _worker(alive: Awaitable[bool]) -> None:
    if not await alive:
        raise LookupError("no worker has reported recently")


async def _check(part: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await part
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except (RedisError, StorageUnavailable, LookupError) as exc:
        return str(exc)
    return "ok"
