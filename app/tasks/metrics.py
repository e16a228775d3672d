"""Prometheus metrics: the counters in Redis for all processes, and the current state.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

import math
from collections.abc import Iterable, Iterator

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.errors import ErrorCode
from worker.runner.heartbeat import Worker
from worker.tasks.queue_state import QueueSnapshot
from worker.tasks.status import FINAL_STATES, Status
from worker.telemetry import counters
from worker.telemetry.history import Counts, Labels
from worker.webhooks import messages

EVERY_END: list[Labels] = [
    *((status, "") for status in sorted(FINAL_STATES - {Status.FAILURE})),
    *((Status.FAILURE, code) for code in ErrorCode),
]

STATES: list[Labels] = [(state,) for state in messages.State]


class Metrics(Collector):
    """The metrics of one scrape; nothing is stored between scrapes."""

    def __init__(
        self, totals: Counts, queue: QueueSnapshot, workers: list[Worker], refusals: list[str], queue_limit: int
    ) -> None:
        """`refusals` are all problem types, so that each has a series from the start."""
        self._totals = totals
        self._queue = queue
        self._workers = workers
        self._refusals = refusals
        self._queue_limit = queue_limit

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        yield from self._queue_gauges()
        yield from self._worker_gauges()
        rss = psutil.Process().memory_info().rss
        yield GaugeMetricFamily(
            "darkroom_api_resident_memory_bytes", "Resident memory of the API process that answers the scrape.", rss
        )

    def _counters(self) -> Iterator[Metric]:
        yield self._counter("tasks", "Ended tasks by state.", counters.TASKS, ("status", "error_code"), EVERY_END)
        reasons: list[Labels] = [(reason,) for reason in self._refusals]
        yield self._counter("refusals", "Requests answered with an error.", counters.REFUSALS, ("reason",), reasons)
        yield self._counter(
            "webhooks", "Attempts to deliver webhooks, by outcome.", counters.WEBHOOKS, ("result",), STATES
        )
        yield self._counter(
            "upload_bytes", "Bytes of uploads, received or fetched by URL.", counters.BYTES_IN, (), [()]
        )
        yield self._counter("result_bytes", "Bytes of results.", counters.BYTES_OUT, (), [()])

    def _counter(
        self, name: str, help_text: str, field: str, names: Labels, known: list[Labels] | None = None
    ) -> Metric:
        family = CounterMetricFamily(f"darkroom_{name}", help_text, labels=names)
        values = {
            (*labels, *[""] * (len(names) - len(labels))): by for labels, by in self._totals.by_labels(field).items()
        }
        for labels, value in (dict.fromkeys(known or [], 0) | values).items():
            family.add_metric(labels, value)
        return family

    def _histograms(self) -> Iterator[Metric]:
        yield self._histogram("waiting", "Waiting time of ended tasks.", counters.WAITING, [()])
        yield self._histogram("running", "Running time of ended tasks.", counters.RUNNING, [()])
        done = sorted({labels[:1] for labels in self._totals.by_labels(counters.OPERATION)})
        yield self._histogram("operation", "Duration of operations.", counters.OPERATION, done, ("operation",))

    def _histogram(self, name: str, help_text: str, field: str, series: Iterable[Labels], names: Labels = ()) -> Metric:
        family = HistogramMetricFamily(f"darkroom_{name}_seconds", help_text, labels=names)
        for labels in series:
            histogram = self._totals.histogram(field, *labels)
            buckets = [(_le(bound), upto) for bound, upto in histogram.cumulative()]
            family.add_metric(labels, buckets, histogram.sum_s)
        return family

    def _queue_gauges(self) -> Iterator[Metric]:
        tasks, age_ms = self._queue.tasks, self._queue.oldest_waiting_ms or 0
        yield GaugeMetricFamily("darkroom_waiting_tasks", "Waiting tasks.", tasks[Status.PENDING])
        yield GaugeMetricFamily("darkroom_queue_limit", "Waiting tasks at which uploads get 429.", self._queue_limit)
        yield GaugeMetricFamily("darkroom_running_tasks", "Running tasks.", tasks[Status.STARTED])
        yield GaugeMetricFamily("darkroom_oldest_waiting_seconds", "Age of the oldest waiting task.", age_ms / 1000)
        is_paused = self._queue.paused_ms is not None
        yield GaugeMetricFamily("darkroom_queue_paused", "1 while the queue is paused, else 0.", int(is_paused))

    def _worker_gauges(self) -> Iterator[Metric]:
        """Yield the metrics of the workers that are alive; others have no series."""
        alive = [worker for worker in self._workers if not worker.is_gone]
        yield GaugeMetricFamily("darkroom_workers", "Workers that are alive.", len(alive))
        slots = GaugeMetricFamily(
            "darkroom_worker_slots", "Images that the worker processes at the same time.", labels=["worker"]
        )
        running = GaugeMetricFamily("darkroom_worker_running_tasks", "Running tasks of the worker.", labels=["worker"])
        memory = GaugeMetricFamily(
            "darkroom_worker_resident_memory_bytes", "Resident memory of the worker.", labels=["worker"]
        )
        for worker in alive:
            if worker.beat is not None:
                slots.add_metric([worker.name], worker.beat.slots)
                running.add_metric([worker.name], len(worker.beat.running))
                memory.add_metric([worker.name], worker.beat.rss_bytes)
        yield from (slots, running, memory)


def _le(bound: float) -> str:
    """Format the bound of a bucket as in OpenMetrics."""
    return "+Inf" if bound == math.inf else str(float(bound))
