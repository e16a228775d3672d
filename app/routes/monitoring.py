"""`GET /metrics`, `GET /stats` and `GET /workers`: how the service is and was, of all its processes, from any API."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.negotiation import list_header, prefers
from app.http.parameters import read_query
from app.http.problem_types import REASONS
from app.http.responses import json_response
from app.openapi.examples import TASK_ID
from app.state import Request
from app.tasks.metrics import Snapshot
from app.tasks.views import Time, timestamp
from worker.runner.heartbeat import Worker, workers
from worker.tasks.model import FINAL_STATES, Status
from worker.tasks.queue_state import Now, now
from worker.telemetry import counters
from worker.telemetry.clock import rfc3339
from worker.telemetry.counters import MINUTES, QUARTERS
from worker.telemetry.history import Histogram, Point, combined, points, totals

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
    """Answer Prometheus, in its text format or as OpenMetrics, whichever it accepts."""
    redis = request.state["redis"]
    snapshot = Snapshot(await totals(redis), await now(redis), await workers(redis), REASONS)
    registry = CollectorRegistry()
    registry.register(snapshot)
    # The library's own choice by the header breaks on versions that are no numbers, and gives back what it was sent.
    if prefers(list_header(request.headers, "accept"), "application/openmetrics-text", "text/plain"):
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return Response(text, headers=NO_STORE, media_type=openmetrics.CONTENT_TYPE_LATEST)
    text = exposition.generate_latest(registry)
    return Response(text, headers=NO_STORE, media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)


class Range(StrEnum):
    HOUR = "hour"
    DAY = "day"


class StatsQuery(msgspec.Struct, frozen=True):
    range: Annotated[Range, Meta(description="The last hour by the minute, or the last day by the quarter.")] = (
        Range.HOUR
    )


class QueueState(Struct, frozen=True, kw_only=True):
    """The queue as it is."""

    waiting: int
    running: int
    oldest_waiting_s: float | None
    paused_at: Annotated[Time, Meta(description="Since when the workers begin nothing new, if they do not.")] | None


class Counts(QueueState, frozen=True, kw_only=True):
    """The queue as it is, and how many tasks there are."""

    tasks: Annotated[dict[Status, int], Meta(description="How many there are in each state.")]


class QueueMeans(Struct, frozen=True):
    """Means of the looks at the queue, one a minute."""

    waiting: float
    running: float
    oldest_waiting_s: float


class Quantiles(Struct, frozen=True):
    p50: float
    p95: float
    p99: float


class Figures(Struct, frozen=True, kw_only=True):
    """What happened in a span of time; what is not known is null."""

    at: Annotated[Time, Meta(description="When a point begins.")] | UnsetType = UNSET
    ended: dict[Status, int]
    failure_rate: float | None
    per_second: float
    waiting_s: Quantiles | None
    running_s: Quantiles | None
    refused: int
    queue: QueueMeans | None


class Statistics(Struct, frozen=True):
    range: Range
    step_s: Annotated[int, Meta(description="What a point covers.")]
    now: Counts
    total: Figures
    points: Annotated[list[Figures], Meta(description="The oldest first; the last goes on.")]


class ShownWorker(Struct, frozen=True, kw_only=True):
    """A worker of the last day; what was forgotten of one that is gone is null."""

    name: str
    gone: Annotated[bool, Meta(description="Whether it died without a word.")]
    last_beat_at: Time
    started_at: Time | None
    version: str | None
    host: str | None
    pid: int | None
    slots: Annotated[int, Meta(description="Pictures that it processes at once.")] | None
    slots_lost: Annotated[int, Meta(description="Those of them that hang.")] | None
    running: Annotated[list[str], Meta(description="Ids of the tasks that it works on.")] | None
    done: int | None
    failed: int | None
    rss_bytes: int | None


class WorkerList(Struct, frozen=True):
    workers: list[ShownWorker]


_FIGURES = Figures(
    at=UNSET,
    ended={Status.FAILURE: 2, Status.REVOKED: 0, Status.SUCCESS: 358},
    failure_rate=0.0056,
    per_second=0.1,
    waiting_s=Quantiles(0.0051, 0.021, 0.04),
    running_s=Quantiles(0.046, 0.11, 0.3),
    refused=4,
    queue=QueueMeans(1.5, 2, 0.02),
)


@describe(
    "Monitoring",
    Answer(
        200,
        "The figures.",
        Statistics,
        {
            "hour": Statistics(
                Range.HOUR,
                60,
                Counts(
                    tasks={Status.PENDING: 3, Status.STARTED: 2},
                    waiting=3,
                    running=2,
                    oldest_waiting_s=0.04,
                    paused_at=None,
                ),
                _FIGURES,
                [msgspec.structs.replace(_FIGURES, at="2026-03-01T12:00:00.000Z")],
            )
        },
    ),
    query=StatsQuery,
)
async def statistics(request: Request) -> Response:
    """Show how the queue is now, and what happened in the last hour or day; what is not known is null."""
    query, redis = read_query(request, StatsQuery), request.state["redis"]
    span = MINUTES if query.range is Range.HOUR else QUARTERS
    at_present, found = await now(redis), await points(redis, span)
    body = Statistics(
        query.range,
        span.length_s,
        Counts(tasks=at_present.tasks, **structs.asdict(queue_state(at_present))),
        _figures(combined(found), UNSET),
        [_figures(point, rfc3339(point.at_ms)) for point in found],
    )
    return json_response(body, headers=NO_STORE)


def queue_state(at_present: Now) -> QueueState:
    return QueueState(
        waiting=at_present.tasks[Status.PENDING],
        running=at_present.tasks[Status.STARTED],
        oldest_waiting_s=_seconds(at_present.oldest_waiting_ms),
        paused_at=timestamp(at_present.paused_ms),
    )


def _figures(point: Point, at: str | UnsetType) -> Figures:
    ended = {status: point.counts.total(counters.TASKS, status) for status in sorted(FINAL_STATES)}
    total = sum(ended.values())
    return Figures(
        at=at,
        ended=ended,
        failure_rate=round(ended[Status.FAILURE] / total, 4) if total else None,
        per_second=round(total / point.length_s, 3),
        waiting_s=_quantiles(point.counts.histogram(counters.WAITING)),
        running_s=_quantiles(point.counts.histogram(counters.RUNNING)),
        refused=point.counts.total(counters.REFUSALS),
        queue=_queue(point),
    )


def _quantiles(histogram: Histogram) -> Quantiles | None:
    found = [histogram.quantile(share) for share in (0.5, 0.95, 0.99)]
    known = [round(value, 4) for value in found if value is not None]
    return Quantiles(*known) if known else None


def _queue(point: Point) -> QueueMeans | None:
    """Return the means of the looks at the queue that were taken in this time."""
    looks = point.counts.total(counters.SAMPLES)
    if not looks:
        return None
    return QueueMeans(
        waiting=round(point.counts.total(counters.SAMPLED_WAITING) / looks, 2),
        running=round(point.counts.total(counters.SAMPLED_RUNNING) / looks, 2),
        oldest_waiting_s=round(point.counts.total(counters.SAMPLED_AGE_MS) / looks / 1000, 3),
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
                    ShownWorker(
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
                    )
                ]
            )
        },
    ),
)
async def list_workers(request: Request) -> Response:
    """List the workers of the last day: those that live, then those that died without a word."""
    found = await workers(request.state["redis"])
    return json_response(WorkerList([_worker(worker) for worker in found]), headers=NO_STORE)


def _worker(worker: Worker) -> ShownWorker:
    beat = worker.beat
    return ShownWorker(
        name=worker.name,
        gone=worker.is_gone,
        last_beat_at=rfc3339(worker.last_beat_ms),
        started_at=rfc3339(beat.started_ms) if beat else None,
        **{name: getattr(beat, name, None) for name in BEAT_FIELDS},
    )


BEAT_FIELDS = ("version", "host", "pid", "slots", "slots_lost", "running", "done", "failed", "rss_bytes")


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
