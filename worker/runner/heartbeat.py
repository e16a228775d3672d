"""The heartbeat of a worker in Redis, which also checks whether the process must be restarted.

The sorted set `workers` has the names of the workers of the last day, by last heartbeat (Unix ms). `worker:<name>` is
the last report of a worker (JSON), which expires an hour after it.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.pixels.resampling import RESAMPLER
from worker.runner.slots import Slots
from worker.settings import Settings
from worker.telemetry.clock import now_ms

logger = logging.getLogger(__name__)

BEAT_INTERVAL_S = 5
BEAT_TTL_MS = 15_000
"""Time after which a worker without a heartbeat counts as dead."""
RECORD_TTL_MS = 3_600_000
FORGOTTEN_MS = 86_400_000
"""Time for which a dead worker stays in the index."""
MOST_REMEMBERED = 1000
"""Maximum number of workers in the index, in case one crashes repeatedly."""


class Beat(msgspec.Struct, frozen=True):
    """The report of a worker."""

    name: str
    host: str
    pid: int
    version: str
    slots: int
    slots_lost: int
    running: list[str]
    """Ids of the running tasks."""
    done: int
    failed: int
    rss_bytes: int
    started_ms: int
    resampler: str = ""
    """The library that resamples images, and its instruction set; empty in reports of older versions."""


class Worker(msgspec.Struct, frozen=True):
    """A worker of the last day."""

    name: str
    last_beat_ms: int
    is_gone: bool
    """Whether the worker has no recent heartbeat and did not report its shutdown."""
    beat: Beat | None
    """The last report; None if it has expired or is of an incompatible version."""


class Activity(Protocol):
    """The figures for the heartbeat; `worker.runner.processor.Processor` provides them."""

    runs: Mapping[str, object]
    """The ids of the running tasks."""
    done: int
    failed: int


class Heartbeat:
    """Sends heartbeats until stopped; calls `on_worn` once when the process must be restarted (WORKER_MAX_*)."""

    def __init__(
        self, settings: Settings, redis: Redis, processor: Activity, slots: Slots, on_worn: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._processor = processor
        self._slots = slots
        self._on_worn: Callable[[], None] | None = on_worn
        self._process = psutil.Process()
        self._started_s = time.monotonic()
        self._task = asyncio.create_task(self._run())

    def beat(self) -> Beat:
        return Beat(
            name=worker_name(),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("darkroom"),
            slots=self._slots.count,
            slots_lost=self._slots.lost,
            running=list(self._processor.runs),
            done=self._processor.done,
            failed=self._processor.failed,
            rss_bytes=self._process.memory_info().rss,
            started_ms=now_ms() - round(1000 * (time.monotonic() - self._started_s)),
            resampler=RESAMPLER,
        )

    async def stop(self) -> None:
        """Stop the heartbeats and delete the report."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._remove_health_file()
        name = self.beat().name
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.delete(f"worker:{name}")
                pipe.zrem("workers", name)
                await pipe.execute()
        except (RedisError, OSError) as exc:
            logger.warning("could not delete the heartbeat, which expires: %s", exc)

    async def _run(self) -> None:
        while True:
            beat = self.beat()
            try:
                await self._send(beat)
            except (RedisError, OSError) as exc:
                logger.warning("could not send the heartbeat: %s", exc)
            self._check_recycle(beat)
            self._touch()
            await asyncio.sleep(BEAT_INTERVAL_S)

    def _remove_health_file(self) -> None:
        if self._settings.health_file is not None:
            with suppress(OSError):
                Path(self._settings.health_file).unlink()

    def _touch(self) -> None:
        if self._settings.health_file is not None:
            try:
                Path(self._settings.health_file).touch()
            except OSError as exc:
                logger.warning("HEALTH_FILE: %s", exc)

    async def _send(self, beat: Beat) -> None:
        at_ms = now_ms()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(f"worker:{beat.name}", msgspec.json.encode(beat), px=RECORD_TTL_MS)
            pipe.zadd("workers", {beat.name: at_ms})
            pipe.zremrangebyscore("workers", "-inf", at_ms - FORGOTTEN_MS)
            pipe.zremrangebyrank("workers", 0, -MOST_REMEMBERED - 1)
            await pipe.execute()

    def _check_recycle(self, beat: Beat) -> None:
        tasks, megabytes = beat.done + beat.failed, beat.rss_bytes / 1_000_000
        is_worn = 0 < self._settings.worker_max_tasks <= tasks or 0 < self._settings.worker_max_rss_mb <= megabytes
        if is_worn and self._on_worn is not None:
            logger.info("stopping for a restart after %d tasks, at %.0f MB", tasks, megabytes)
            self._on_worn()
            self._on_worn = None


async def any_worker_alive(redis: Redis) -> bool:
    """Return whether any worker is alive."""
    return bool(await redis.zcount("workers", now_ms() - BEAT_TTL_MS, "+inf"))


async def workers(redis: Redis) -> list[Worker]:
    """Return the workers that are alive, then those that are dead, each by name."""
    beats: list[tuple[bytes, float]] = await redis.zrange("workers", 0, -1, withscores=True)
    names = [name.decode() for name, _ in beats]
    records = await redis.mget([f"worker:{name}" for name in names]) if names else []
    alive_from_ms = now_ms() - BEAT_TTL_MS
    known = [
        Worker(name, int(at_ms), at_ms < alive_from_ms, _readable(record))
        for name, (_, at_ms), record in zip(names, beats, records, strict=True)
    ]
    return sorted(known, key=lambda worker: (worker.is_gone, worker.name))


def _readable(record: bytes | None) -> Beat | None:
    try:
        return None if record is None else msgspec.json.decode(record, type=Beat)
    except msgspec.DecodeError:
        return None


def worker_name() -> str:
    """Return the name of this worker process."""
    return f"{socket.gethostname()}:{os.getpid()}"
