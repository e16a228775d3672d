"""The statistics of a span of time for clients: figures, quantiles and groups."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from app.tasks.views import timestamp
from worker.tasks.queue_state import QueueSnapshot
from worker.tasks.status import FINAL_STATES, Status, Time
from worker.telemetry import counters
from worker.telemetry.history import Point, Sketch, combine


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
    """Means and maxima of the queue. It is sampled once a minute; without a sample, the means are null."""

    waiting: float | None
    running: float | None
    oldest_waiting_s: float | None
    max_waiting: Annotated[int, Meta(description="The longest queue, of the samples and when tasks were created.")]
    max_oldest_waiting_s: Annotated[float, Meta(description="The longest wait, of the samples and of started tasks.")]


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


class GroupView(Struct, frozen=True, kw_only=True):
    """An operation, a format or an API key, and the time that its work took."""

    name: str
    count: Annotated[
        int, Meta(description="The number of operations, including interrupted ones, or of tasks that ran.")
    ]
    failed: Annotated[
        int, Meta(description="The number of operations that were not possible or ran out of time, or of failed tasks.")
    ]
    total_s: Annotated[float, Meta(description="The sum of the durations.")]
    took_s: Quantiles | None
    history: Annotated[list[int], Meta(description="The count in each point, oldest first.")]


def queue_state(present: QueueSnapshot, limit: int) -> QueueState:
    return QueueState(
        waiting=present.tasks[Status.PENDING],
        limit=limit,
        running=present.tasks[Status.STARTED],
        oldest_waiting_s=_seconds(present.oldest_waiting_ms),
        paused_at=timestamp(present.paused_ms),
    )


def figures(point: Point, at: str | UnsetType) -> Figures:
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


def groups(chart: list[Point], name: str) -> list[GroupView]:
    by_point = [point.counts.groups(name) for point in chart]
    views = [
        GroupView(
            name=group,
            count=found.count,
            failed=found.failed,
            total_s=round(found.total_s, 3),
            took_s=_quantiles(found.sketch),
            history=[groups[group].count if group in groups else 0 for groups in by_point],
        )
        for group, found in combine(chart).counts.groups(name).items()
    ]
    return sorted(views, key=lambda view: view.total_s, reverse=True)


def _queue(point: Point) -> QueueSamples | None:
    """Return the mean values and maxima of the queue in a span of time; None if nothing is known."""
    counts = point.counts
    samples, max_waiting, max_age_ms = map(counts.total, (counters.SAMPLES, counters.MAX_WAITING, counters.MAX_AGE_MS))
    if not (samples or max_waiting or max_age_ms):
        return None

    def mean(name: str, digits: int, scale: int = 1) -> float | None:
        return round(counts.total(name) / samples / scale, digits) if samples else None

    return QueueSamples(
        waiting=mean(counters.SAMPLED_WAITING, 2),
        running=mean(counters.SAMPLED_RUNNING, 2),
        oldest_waiting_s=mean(counters.SAMPLED_AGE_MS, 3, scale=1000),
        max_waiting=max_waiting,
        max_oldest_waiting_s=max_age_ms / 1000,
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
