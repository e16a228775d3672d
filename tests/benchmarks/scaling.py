"""What more of something costs: tasks that wait, clients that submit, workers."""

import asyncio
import logging
import statistics
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.benchmarks.cases import FIT_AVIF, HEAVY, RESIZE, TINY_RESIZE
from tests.benchmarks.load import PATIENT, Connection, form, run, submit, wait
from tests.benchmarks.parts import Parts
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import parse_plan
from worker.settings import Settings
from worker.tasks.connection import connect
from worker.tasks.model import Spec, new_task_id
from worker.tasks.schedule import Owner
from worker.tasks.status import Status
from worker.tasks.store import Tasks

logger = logging.getLogger(__name__)

SPEC = Spec(
    parse_plan(FIT_AVIF.fields, InputFormat.JPEG, 1), InputFormat.JPEG, "holiday-2026-0815", request_id=uuid4().hex
)
FILLING_AT_ONCE = 64

OWNERS = 1000
"""API keys whose tasks wait."""


async def full_queue(directory: Path, pictures: dict[str, bytes], waiting: int, samples: int) -> dict[str, list[float]]:
    """Submit and pick up with `waiting` tasks of 1,000 owners in the queue and with none, in turn, on two servers.

    Returns submit and pick_up, ratios of the medians of each tenth of the samples, and bytes_per_task.
    """
    full, empty = Parts(directory / "full"), Parts(directory / "empty")
    try:
        bytes_per_task = await _fill(full, waiting)
        connections = Connection(full.port), Connection(empty.port)
        request = form(TINY_RESIZE.picture, pictures[TINY_RESIZE.picture], TINY_RESIZE.fields)
        stores = _tasks(full), _tasks(empty)
        submits: tuple[list[float], list[float]] = [], []
        pick_ups: tuple[list[float], list[float]] = [], []
        for number in range(samples):
            for which in (0, 1) if number % 2 else (1, 0):
                start = time.perf_counter()
                submit(connections[which], request)
                submits[which].append(time.perf_counter() - start)
                start = time.perf_counter()
                [task] = await stores[which].begin(1)
                pick_ups[which].append(time.perf_counter() - start)
                await stores[which].move(task.id, Status.SUCCESS)
        return {
            "submit": _ratios(*submits),
            "pick_up": _ratios(*pick_ups),
            "bytes_per_task": [bytes_per_task],
        }
    finally:
        full.stop()
        empty.stop()


async def fair_turns(directory: Path, pictures: dict[str, bytes], samples: int) -> dict[str, list[float]]:
    """Let one group flood the queue of a worker of one thread, and another submit one task after the other.

    Returns how long those wait in the queue, by how long they take, and the 95th percentile of that.
    """
    parts, waits = Parts(directory / "fair"), []
    store = _tasks(parts)
    flood, own = (
        form(RESIZE.picture, pictures[RESIZE.picture], {**RESIZE.fields, "queue_group": group})
        for group in ("flood", "own")
    )
    try:
        connection = Connection(parts.port)
        for _ in range(5 * samples):
            submit(connection, flood)
        parts.start_workers(1, threads=1)
        for _ in range(samples):
            task_id = submit(connection, own)
            wait(connection, task_id, PATIENT)
            task = await store.get(task_id)
            waits.append(task.waited_ms / max(1, task.ran_ms or 1))
    finally:
        parts.stop()
    return {"waits": waits, "p95": [statistics.quantiles(waits, n=20)[-1]]}


async def _fill(parts: Parts, count: int) -> float:
    """Create `count` waiting tasks of `OWNERS` owners; return the bytes of Redis memory that each takes."""
    tasks, redis = _tasks(parts), connect(parts.url)
    names = [Owner(f"owner-{number}") for number in range(OWNERS)]
    before = (await redis.info("memory"))["used_memory"]
    left = iter(range(count))

    async def fill() -> None:
        for number in left:
            await tasks.create(new_task_id(), SPEC, None, None, names[number % len(names)])

    await asyncio.gather(*(fill() for _ in range(FILLING_AT_ONCE)))
    used = (await redis.info("memory"))["used_memory"] - before
    await redis.aclose(close_connection_pool=True)
    return float(used / count)


def _tasks(parts: Parts) -> Tasks:
    return Tasks(connect(parts.url), Settings(redis_url=parts.url, queue_limit=10_000_000))


def _ratios(one: list[float], other: list[float]) -> list[float]:
    tenth = max(1, len(one) // 10)
    return [
        statistics.median(one[first : first + tenth]) / statistics.median(other[first : first + tenth])
        for first in range(0, len(one), tenth)
    ]


def two_workers(directory: Path, pictures: dict[str, bytes], rounds: int, seconds: float) -> list[float]:
    """Return tasks/s of two workers of one thread by those of one, round by round."""
    parts = Parts(directory / "workers")
    request = form(HEAVY.picture, pictures[HEAVY.picture], HEAVY.fields)

    def job(connection: Connection) -> list[bytes]:
        return [wait(connection, submit(connection, request), PATIENT)]

    ratios = []
    try:
        for _ in range(rounds):
            rates = []
            for count in (1, 2):
                parts.start_workers(count, threads=1)
                run(job, parts.port, 8, 0, []).check("warm-up")
                rates.append(run(job, parts.port, 8, seconds, []).check("workers").figures["per_s"])
                parts.stop_workers()
            ratios.append(rates[1] / rates[0])
            logger.info("one worker %.1f/s, two %.1f/s", *rates)
    finally:
        parts.stop()
    return ratios


def api_alone(directory: Path, pictures: dict[str, bytes], clients: int, seconds: float) -> dict[str, Any]:
    """Let `clients` submit 2 MP pictures to an API without a worker; return its latencies, memory and errors."""
    parts = Parts(directory / "api")
    request = form(RESIZE.picture, pictures[RESIZE.picture], RESIZE.fields)

    def job(connection: Connection) -> list[bytes]:
        return [submit(connection, request).encode()]

    try:
        run(job, parts.port, clients, seconds / 4, []).check("warm-up")
        early = parts.api.memory_info().rss
        measured = run(job, parts.port, clients, seconds, [])
        late = parts.api.memory_info().rss
    finally:
        parts.stop()
    figures = measured.figures
    return {
        **figures,
        "p99_to_p50": figures["p99_ms"] / figures["p50_ms"],
        "rss_mb": late / 1e6,
        "rss_growth": late / early,
        "errors": len(measured.errors),
    }
