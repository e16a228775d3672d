"""`GET /metrics`, `GET /stats` and `GET /workers`, for all processes of the service."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.negotiation import bounded_header, prefers
from app.http.parameters import read_query
from app.http.problem_types import REASONS
from app.http.responses import json_response
from app.openapi.examples import TASK_ID
from app.state import Request
from app.tasks.metrics import Metrics
from app.tasks.statistics import Counts, Figures, GroupView, Quantiles, QueueSamples, figures, groups, queue_state
from worker.runner.heartbeat import Worker, workers
from worker.tasks.queue_state import snapshot
from worker.tasks.status import Status, Time
from worker.telemetry.clock import rfc3339
from worker.telemetry.counters import MINUTES, QUARTERS, Span
from worker.telemetry.history import combine, points, totals

STORAGE_CHECK_S = 15.0

NO_STORE = {"Cache-Control": "no-store"}


@describe(
    "Monitoring",
    Answer(
        200,
        "The metrics.",
        examples={"queue": "# TYPE darkroom_waiting_tasks gauge\ndarkroom_waiting_tasks 3.0\n"},
        media_types=(exposition.CONTENT_TYPE_PLAIN_0_0_4, openmetrics.CONTENT_TYPE_LATEST),
    ),
)
async def metrics(request: Request) -> Response:
    """Return the metrics in the text format of Prometheus, or as OpenMetrics if `Accept` prefers it."""
    redis = request.state["redis"]
    collector = Metrics(
        await totals(redis), await snapshot(redis), await workers(redis), REASONS, request.state["settings"].queue_limit
    )
    registry = CollectorRegistry()
    registry.register(collector)
    # The library's own negotiation fails on non-numeric versions, and echoes the header.
    if prefers(bounded_header(request.headers, "accept"), "application/openmetrics-text", "text/plain"):
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return Response(text, headers=NO_STORE, media_type=openmetrics.CONTENT_TYPE_LATEST)
    text = exposition.generate_latest(registry)
    return Response(text, headers=NO_STORE, media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)


class Range(StrEnum):
    HOUR = "hour"
    DAY = "day"


class GroupBy(StrEnum):
    OPERATION = "operation"
    FORMAT = "format"
    OWNER = "owner"


class RangeQuery(msgspec.Struct, frozen=True):
    range: Annotated[
        Range, Meta(description="`hour` (a point for each minute) or `day` (a point for each quarter of an hour).")
    ] = Range.HOUR

    @property
    def span(self) -> Span:
        return MINUTES if self.range is Range.HOUR else QUARTERS


class StatsQuery(RangeQuery, frozen=True):
    by: (
        Annotated[
            GroupBy,
            Meta(
                description=(
                    "Adds `groups`: the time that each operation took, or the running time of tasks by the format of "
                    "their upload or by the name of the API key that created them."
                )
            ),
        ]
        | None
    ) = None


class Statistics(Struct, frozen=True):
    range: Range
    step_s: Annotated[int, Meta(description="The length of a point in seconds.")]
    now: Counts
    storage: Annotated[str, Meta(description="`ok` or the error of the last check, at most 15 seconds ago.")]
    resamplers: Annotated[list[str], Meta(description="How the workers resample images: see `GET /workers`.")]
    total: Figures
    points: Annotated[list[Figures], Meta(description="The points, oldest first; the last one is still growing.")]
    groups: (
        Annotated[list[GroupView], Meta(description="Only with `by`: the groups, the one with the most time first.")]
        | UnsetType
    ) = UNSET


class WorkerView(Struct, frozen=True, kw_only=True):
    """A worker of the last day; values that are no longer known are null."""

    name: str
    gone: Annotated[bool, Meta(description="Whether the worker died without a clean shutdown.")]
    last_beat_at: Time
    started_at: Time | None
    version: str | None
    host: str | None
    pid: int | None
    slots: Annotated[int, Meta(description="Number of images that the worker processes at the same time.")] | None
    slots_lost: Annotated[int, Meta(description="Number of slots whose thread hangs.")] | None
    running: Annotated[list[str], Meta(description="Ids of the running tasks.")] | None
    done: int | None
    failed: int | None
    rss_bytes: int | None
    resampler: Annotated[str, Meta(description="Library that resamples images, and its instruction set.")] | None


class WorkerList(Struct, frozen=True):
    workers: list[WorkerView]


RESAMPLER = "cykooz-resizer (avx2)"

_FIGURES = Figures(
    at=UNSET,
    ended={Status.FAILURE: 2, Status.REVOKED: 0, Status.SUCCESS: 358},
    failure_rate=0.0056,
    per_second=0.1,
    waiting_s=Quantiles(0.0051, 0.021, 0.04, 0.05),
    running_s=Quantiles(0.046, 0.11, 0.3, 0.41),
    refused=4,
    queue=QueueSamples(1.5, 2, 0.02, 3, 0.04),
)


@describe(
    "Monitoring",
    Answer(
        200,
        "The statistics.",
        Statistics,
        {
            "hour": Statistics(
                Range.HOUR,
                60,
                Counts(
                    tasks={Status.PENDING: 3, Status.STARTED: 2},
                    waiting=3,
                    limit=1000,
                    running=2,
                    oldest_waiting_s=0.04,
                    paused_at=None,
                ),
                "ok",
                [RESAMPLER],
                _FIGURES,
                [msgspec.structs.replace(_FIGURES, at="2026-03-01T12:00:00.000Z")],
            )
        },
    ),
    query=StatsQuery,
)
async def statistics(request: Request) -> Response:
    """Return the state of the queue and the statistics of the last hour or day. Unknown values are null."""
    query, redis = read_query(request, StatsQuery), request.state["redis"]
    span = query.span
    present, chart = await snapshot(redis), await points(redis, span)
    body = Statistics(
        query.range,
        span.length_s,
        Counts(tasks=present.tasks, **structs.asdict(queue_state(present, request.state["settings"].queue_limit))),
        (await request.state["health"].results(STORAGE_CHECK_S)).storage,
        sorted({worker.beat.resampler for worker in await workers(redis) if worker.beat and not worker.is_gone}),
        figures(combine(chart), UNSET),
        [figures(point, rfc3339(point.at_ms)) for point in chart],
        UNSET if query.by is None else groups(await points(redis, span, groups=True), f"by_{query.by}"),
    )
    return json_response(body, headers=NO_STORE)


@describe(
    "Monitoring",
    Answer(
        200,
        "The workers.",
        WorkerList,
        {
            "one": WorkerList(
                [
                    WorkerView(
                        name="host:17",
                        gone=False,
                        last_beat_at="2026-03-01T12:00:00.000Z",
                        started_at="2026-03-01T09:00:00.000Z",
                        version="0.1.0",
                        host="host",
                        pid=17,
                        slots=2,
                        slots_lost=0,
                        running=[TASK_ID],
                        done=1204,
                        failed=3,
                        rss_bytes=180_000_000,
                        resampler=RESAMPLER,
                    )
                ]
            )
        },
    ),
)
async def list_workers(request: Request) -> Response:
    """List the workers of the last day: first those that are alive, then those that died without a clean shutdown."""
    listed = await workers(request.state["redis"])
    return json_response(WorkerList([_worker(worker) for worker in listed]), headers=NO_STORE)


def _worker(worker: Worker) -> WorkerView:
    beat = worker.beat
    return WorkerView(
        name=worker.name,
        gone=worker.is_gone,
        last_beat_at=rfc3339(worker.last_beat_ms),
        started_at=rfc3339(beat.started_ms) if beat else None,
        **{name: getattr(beat, name, None) for name in BEAT_FIELDS},
    )


BEAT_FIELDS = ("version", "host", "pid", "slots", "slots_lost", "running", "done", "failed", "rss_bytes", "resampler")
