"""`GET /livez` and `GET /readyz`, for load balancers, orchestrators and people."""

import asyncio
from collections.abc import Awaitable

from redis.exceptions import RedisError
from starlette.responses import Response

from app.errors import RETRY_AFTER
from app.responses import json_response
from app.state import Request
from worker.heartbeat import any_worker_alive
from worker.storage import StorageUnavailable

CHECK_TIMEOUT_S = 2.0


async def livez(_: Request) -> Response:
    """Say that the process answers; it asks nobody else."""
    return json_response({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Say whether a task sent now would be done: Redis answers, storage writes, a worker is alive."""
    redis, storage = request.state["redis"], request.state["storage"]
    answers = await asyncio.gather(
        _check(redis.ping()), _check(storage.check()), _check(_worker(any_worker_alive(redis)))
    )
    checks = dict(zip(("redis", "storage", "worker"), answers, strict=True))
    if all(answer == "ok" for answer in answers):
        return json_response({"status": "ready", "checks": checks})
    return json_response({"status": "not ready", "checks": checks}, 503, RETRY_AFTER)


async def _worker(alive: Awaitable[bool]) -> None:
    if not await alive:
        raise LookupError("no worker has reported itself lately")


async def _check(part: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await part
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except (RedisError, StorageUnavailable, LookupError) as exc:
        return str(exc)
    return "ok"
