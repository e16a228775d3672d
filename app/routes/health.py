"""`GET /livez` and `GET /readyz`, the health checks."""

from typing import Literal

from msgspec import Struct
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.problems import RETRY, RETRY_AFTER_S
from app.http.responses import json_response
from app.state import Request
from app.tasks.readiness import Checks


class Liveness(Struct, frozen=True):
    status: Literal["alive"] = "alive"


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
    """Check that new tasks can be processed: Redis and storage are writable, a worker is alive.

    The results may be two seconds old.
    """
    checks = await request.state["health"].results()
    if checks.are_ok:
        return json_response(Readiness("ready", checks))
    return json_response(Readiness("not ready", checks), 503, {RETRY.name: RETRY_AFTER_S})
