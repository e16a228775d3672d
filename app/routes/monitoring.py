"""`GET /metrics`, `GET /stats` and `GET /workers`: how the service is and was, of all its processes, from any API."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.responses import Response

from app.errors import REASONS
from app.metrics import Snapshot
from app.negotiation import prefers
from app.query import read_query
from app.responses import json_response
from app.state import Request
from app.views import timestamp
from worker import stats
from worker.counts import Histogram, totals
from worker.heartbeat import Worker, workers
from worker.history import Now, Point, combined, now, points
from worker.states import ENDS, Status
from worker.stats import MINUTES, QUARTERS

NO_STORE = {"Cache-Control": "no-store"}


async def metrics(request: Request) -> Response:
    """Answer Prometheus, in its text format or as OpenMetrics, whichever it accepts."""
    redis = request.state["redis"]
    snapshot = Snapshot(await totals(redis), await now(redis), await workers(redis), REASONS)
    registry = CollectorRegistry()
    registry.register(snapshot)
    # The library's own choice by the header breaks on versions that are no numbers, and gives back what it was sent.
    if prefers(request.headers.get("accept", ""), "application/openmetrics-text", "text/plain"):
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


async def statistics(request: Request) -> Response:
    """Show how the queue is now, and what happened in the last hour or day; what is not known is null."""
    query, redis = read_query(request, StatsQuery), request.state["redis"]
    span = MINUTES if query.range is Range.HOUR else QUARTERS
    at_present, found = await now(redis), await points(redis, span)
    body = {
        "range": query.range,
        "step_s": span.length_s,
        "now": {"tasks": at_present.tasks, **queue_view(at_present)},
        "total": _figures(combined(found)),
        "points": [{"at": timestamp(point.at_ms), **_figures(point)} for point in found],
    }
    return json_response(body, headers=NO_STORE)


def queue_view(at_present: Now) -> dict[str, Any]:
    return {
        "waiting": at_present.tasks[Status.PENDING],
        "running": at_present.tasks[Status.STARTED],
        "oldest_waiting_s": _seconds(at_present.oldest_waiting_ms),
        "paused_at": timestamp(at_present.paused_ms),
    }


def _figures(point: Point) -> dict[str, Any]:
    ended = {status.value: point.counts.total(stats.TASKS, status) for status in sorted(ENDS)}
    total = sum(ended.values())
    return {
        "ended": ended,
        "failure_rate": round(ended[Status.FAILURE] / total, 4) if total else None,
        "per_second": round(total / point.length_s, 3),
        "waiting_s": _quantiles(point.counts.histogram(stats.WAITING)),
        "running_s": _quantiles(point.counts.histogram(stats.RUNNING)),
        "refused": point.counts.total(stats.REFUSALS),
        "queue": _queue(point),
    }


def _quantiles(histogram: Histogram) -> dict[str, float] | None:
    found = {name: histogram.quantile(share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    return {name: round(value, 4) for name, value in found.items() if value is not None} or None


def _queue(point: Point) -> dict[str, float] | None:
    """Return the means of the looks at the queue that were taken in this time."""
    looks = point.counts.total(stats.SAMPLES)
    if not looks:
        return None
    return {
        "waiting": round(point.counts.total(stats.SAMPLED_WAITING) / looks, 2),
        "running": round(point.counts.total(stats.SAMPLED_RUNNING) / looks, 2),
        "oldest_waiting_s": round(point.counts.total(stats.SAMPLED_AGE_MS) / looks / 1000, 3),
    }


async def list_workers(request: Request) -> Response:
    """List the workers of the last day: those that live, then those that died without a word."""
    found = await workers(request.state["redis"])
    return json_response({"workers": [_worker(worker) for worker in found]}, headers=NO_STORE)


def _worker(worker: Worker) -> dict[str, Any]:
    beat = worker.beat
    return {
        "name": worker.name,
        "gone": worker.is_gone,
        "last_beat_at": timestamp(worker.last_beat_ms),
        "started_at": timestamp(beat.started_ms) if beat else None,
        **{name: getattr(beat, name, None) for name in BEAT_FIELDS},
    }


BEAT_FIELDS = ("version", "host", "pid", "slots", "slots_lost", "running", "done", "failed", "rss_bytes")


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
