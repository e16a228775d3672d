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
from app.tasks.views import timestamp
from worker.runner.heartbeat import Worker, workers
from worker.tasks.queue_state import QueueSnapshot, snapshot
from worker.tasks.status import FINAL_STATES, Status, Time
from worker.telemetry import counters
from worker.telemetry.clock import rfc3339
from worker.telemetry.counters import MINUTES, QUARTERS
from worker.telemetry.history import Point, Sketch, combine, points, totals

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
    collector = Metrics(await totals(redis), await snapshot(redis), await workers(redis), REASONS)
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


class StatsQuery(msgspec.Struct, frozen=True):
    range: Annotated[
        Range, Meta(description="`hour` (a point for each minute) or `day` (a point for each quarter of an hour).")
    ] = Range.HOUR


class QueueState(Struct, frozen=True, kw_only=True):
    """The state of the queue."""

    waiting: int
    limit: Annotated[int, Meta(description="The number of waiting tasks above which uploads get 429 (QUEUE_LIMIT).")]
    running: int
    oldest_waiting_s: float | None
    paused_at: Annotated[Time, Meta(description="When the queue was paused; null if it is not.")] | None


class Counts(QueueState, frozen=True, kw_only=True):
    """The state of the queue, and the number of tasks."""

    tasks: Annotated[dict[Status, int], Meta(description="The number of tasks in each state.")]


class QueueSamples(Struct, frozen=True):
    """Mean values and maxima of the samples of the queue, of which there is one a minute."""

    waiting: float
    running: float
    oldest_waiting_s: float
    max_waiting: int
    max_oldest_waiting_s: float


class Quantiles(Struct, frozen=True):
    """Quantiles, each within 2 %, and the maximum."""

    p50: float
    p95: float
    p99: float
    max: float


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of a span of time; unknown values are null."""

    at: Annotated[Time, Meta(description="The start of the span; only in points.")] | UnsetType = UNSET
    ended: dict[Status, int]
    failure_rate: float | None
    per_second: float
    waiting_s: Quantiles | None
    running_s: Quantiles | None
    refused: int
    queue: QueueSamples | None


class Statistics(Struct, frozen=True):
    range: Range
    step_s: Annotated[int, Meta(description="The length of a point in seconds.")]
    now: Counts
    resamplers: Annotated[list[str], Meta(description="How the workers resample images: see `GET /workers`.")]
    total: Figures
    points: Annotated[list[Figures], Meta(description="The points, oldest first; the last one is still growing.")]


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
    span = MINUTES if query.range is Range.HOUR else QUARTERS
    present, chart = await snapshot(redis), await points(redis, span)
    body = Statistics(
        query.range,
        span.length_s,
        Counts(tasks=present.tasks, **structs.asdict(queue_state(present, request.state["settings"].queue_limit))),
        sorted({worker.beat.resampler for worker in await workers(redis) if worker.beat and not worker.is_gone}),
        _figures(combine(chart), UNSET),
        [_figures(point, rfc3339(point.at_ms)) for point in chart],
    )
    return json_response(body, headers=NO_STORE)


def queue_state(present: QueueSnapshot, limit: int) -> QueueState:
    return QueueState(
        waiting=present.tasks[Status.PENDING],
        limit=limit,
        running=present.tasks[Status.STARTED],
        oldest_waiting_s=_seconds(present.oldest_waiting_ms),
        paused_at=timestamp(present.paused_ms),
    )


def _figures(point: Point, at: str | UnsetType) -> Figures:
    ended = {status: point.counts.total(counters.TASKS, status) for status in sorted(FINAL_STATES)}
    total = sum(ended.values())
    return Figures(
        at=at,
        ended=ended,
        failure_rate=round(ended[Status.FAILURE] / total, 4) if total else None,
        per_second=round(total / point.length_s, 3),
        waiting_s=_quantiles(point.counts.sketch(counters.WAITING)),
        running_s=_quantiles(point.counts.sketch(counters.RUNNING)),
        refused=point.counts.total(counters.REFUSALS),
        queue=_queue(point),
    )


def _quantiles(sketch: Sketch) -> Quantiles | None:
    if not sketch.buckets:
        return None
    p50, p95, p99 = (round(sketch.quantile(share), 5) for share in (0.5, 0.95, 0.99))
    return Quantiles(p50, p95, p99, round(sketch.max_s, 5))


def _queue(point: Point) -> QueueSamples | None:
    """Return the mean values and maxima of the samples of the queue in a span of time."""
    looks = point.counts.total(counters.SAMPLES)
    if not looks:
        return None
    return QueueSamples(
        waiting=round(point.counts.total(counters.SAMPLED_WAITING) / looks, 2),
        running=round(point.counts.total(counters.SAMPLED_RUNNING) / looks, 2),
        oldest_waiting_s=round(point.counts.total(counters.SAMPLED_AGE_MS) / looks / 1000, 3),
        max_waiting=point.counts.total(counters.MAX_WAITING),
        max_oldest_waiting_s=point.counts.total(counters.MAX_AGE_MS) / 1000,
    )


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


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
