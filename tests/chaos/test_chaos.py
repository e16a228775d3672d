"""A 202 is a promise: whatever is killed, every accepted task comes to exactly one end, with the right picture."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from tests.chaos.system import System
from tests.conftest import eventually
from tests.support.pictures import jpeg
from tests.support.rendering import LIMITS
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import parse_plan
from worker.imaging.reading import Upload
from worker.imaging.render import render
from worker.runner.cleanup import sweep
from worker.storage import Storage
from worker.tasks.connection import connect
from worker.tasks.status import FINAL_STATES
from worker.tasks.store import Tasks

pytestmark = pytest.mark.chaos

RATE = 10
"""Uploads a second: half of what the workers can do, so that what is late is late by a fault."""

LONGEST_DRAIN_S = 120

PICTURES = {hue: jpeg((320, 240), hue) for hue in range(0, 360, 30)}
RECIPES: list[dict[str, str]] = [
    {"operation": "grayscale"},
    {"operation": "resize", "width": "64"},
    {"operation": "resize", "width": "200", "height": "100", "fit": "cover", "format": "webp"},
    {"operation": "resize", "width": "3000", "format": "avif"},  # a third of a second, for a fault to fall into
]

SCHEDULES: list[dict[str, str]] = [
    {},
    {"queue_group": "one"},
    {"queue_group": "two", "priority": "high"},
    {"queue_group": "two", "priority": "low"},
    {"queue_group": "one", "expires_in": "3600"},
    {"queue_group": "one", "reuse": "true"},
]


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path)
    system.start()
    await system.ready()
    yield system
    system.stop()


class Ledger:
    """Every upload that was answered with 202, and what was asked for."""

    def __init__(self) -> None:
        self.accepted: dict[str, tuple[int, dict[str, str]]] = {}
        self.refused: Counter[str] = Counter()

    async def upload(
        self, client: httpx2.AsyncClient, url: str, hue: int, recipe: dict[str, str], schedule: dict[str, str]
    ) -> None:
        files = {"file": (f"{hue}.jpg", PICTURES[hue])}
        try:
            answer = await client.post(f"{url}/process-image/", files=files, data={**recipe, **schedule})
        except httpx2.HTTPError as exc:
            self.refused[type(exc).__name__] += 1
            return
        if answer.status_code == 202:
            self.accepted[answer.json()["task_id"]] = (hue, recipe)
        else:
            assert answer.status_code == 503, answer.text
            assert "retry-after" in answer.headers
            self.refused["503"] += 1

    def expected(self, task_id: str) -> bytes:
        """Return what an undisturbed run gives."""
        hue, recipe = self.accepted[task_id]
        return undisturbed(hue, tuple(recipe.items()))


@cache
def undisturbed(hue: int, recipe: tuple[tuple[str, str], ...]) -> bytes:
    plan = parse_plan(dict(recipe), InputFormat.JPEG, 1)
    return render(Upload(PICTURES[hue], InputFormat.JPEG), plan, LIMITS)[""].data


async def load(system: System, ledger: Ledger, chance: random.Random, stop: asyncio.Event) -> None:
    async with httpx2.AsyncClient(timeout=10) as client:
        uploads = []
        while not stop.is_set():
            url = f"http://127.0.0.1:{chance.choice(system.api_ports)}"
            hue, recipe, schedule = chance.choice(list(PICTURES)), chance.choice(RECIPES), chance.choice(SCHEDULES)
            upload = ledger.upload(client, url, hue, recipe, schedule)
            uploads.append(asyncio.create_task(upload))
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*uploads)


async def test_every_accepted_task_has_one_end_and_the_right_picture(
    system: System, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = request.config.getoption("--chaos-seed") or random.randrange(10**6)
    seconds = request.config.getoption("--chaos-seconds")
    chance, ledger, stop = random.Random(seed), Ledger(), asyncio.Event()
    redis = connect(system.settings.redis_url)
    tasks, storage = Tasks(redis, system.settings), Storage(system.settings.storage_url)
    loading = asyncio.create_task(load(system, ledger, random.Random(seed), stop))
    strikes = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(2, 5))
        strikes.append(asyncio.create_task(system.strike(chance)))
        if system.faults and system.faults[-1].kind == "kill server":
            await strikes[-1]
    await asyncio.gather(*strikes)
    stop.set()
    await loading

    async def drained() -> bool:
        waiting = [await redis.zcard(f"tasks:{status}") for status in ("PENDING", "STARTED")]
        return not any(waiting)

    await eventually(drained, LONGEST_DRAIN_S)
    await hold_ends(tasks, ledger, storage)
    events = await events_of(tasks)
    hold_one_end_each(events, ledger)
    await hold_storage(tasks, storage, system.directory / "storage")
    left = [await redis.keys(f"turns:{name}") for name in ("main*", "background*", "timers")]
    assert left == [[], [], []]
    with capsys.disabled():
        print(f"\nchaos seed {seed}: {len(ledger.accepted)} accepted, refused {dict(ledger.refused)}")  # noqa: T201
        print(f"  faults {dict(Counter(fault.kind for fault in system.faults))}")  # noqa: T201
        print(f"  {report(events, system)}")  # noqa: T201
    await redis.aclose(close_connection_pool=True)


async def hold_ends(tasks: Tasks, ledger: Ledger, storage: Storage) -> None:
    """Each accepted task has ended; only three deaths excuse a failure; every picture is right to the byte."""
    for task_id in ledger.accepted:
        task = await tasks.get(task_id)
        if task.status.value == "FAILURE":
            assert task.error == "the worker died 3 times while processing this image", task
            continue
        assert task.status.value == "SUCCESS", task
        assert await storage.read(task.result_paths[""]) == ledger.expected(task_id), task


Events = dict[str, list[tuple[float, str, int]]]
"""Task id -> its events in order: Unix time in seconds, state, attempt."""


async def events_of(tasks: Tasks) -> Events:
    events: Events = defaultdict(list)
    for entry_id, entry in await tasks.redis.xrange("tasks:events"):
        if b"status" not in entry:  # progress
            continue
        task_id, status, attempt = (entry[name].decode() for name in (b"task_id", b"status", b"attempt"))
        events[task_id].append((int(entry_id.split(b"-")[0]) / 1000, status, int(attempt)))
    return events


def hold_one_end_each(events: Events, ledger: Ledger) -> None:
    """One end in the log for each task, those too whose 202 was lost with the API; nothing after it."""
    assert set(ledger.accepted) <= set(events)
    for task_id, log in events.items():
        ends = [status for _, status, _ in log if status in FINAL_STATES]
        assert len(ends) == 1, (task_id, log)
        assert log[-1][1] in FINAL_STATES, (task_id, log)
        attempts = [attempt for _, status, attempt in log if status == "STARTED"]
        assert attempts == list(range(1, len(attempts) + 1)), (task_id, log)


async def hold_storage(tasks: Tasks, storage: Storage, root: Path) -> None:
    """After a sweep there is no file that no task names, and no half-written one."""
    for upload in await tasks.redis.zrange("uploads", 0, -1):
        await tasks.redis.zadd("uploads", {upload: 1})
    await sweep(tasks, storage)
    known = {task_id.decode() for task_id in await tasks.redis.zrange("tasks:created", 0, -1)}
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert {path.parts[1].partition("#")[0] for path in files if path.parts[0] != "readiness"} <= known


def report(events: Events, system: System) -> str:
    """Say how long a task that a fault had stopped waited to be begun again."""
    faults = sorted(fault.at for fault in system.faults if fault.kind != "kill api")
    waits = []
    for log in events.values():
        for (before, _, _), (after, status, attempt) in pairwise(log):
            struck = [at for at in faults if before - 1 < at < after]
            if status == "STARTED" and struck and (attempt > 1 or after - before > 1):
                waits.append(after - max(before, struck[0]))
    again = sum(sum(status == "STARTED" for _, status, _ in log) > 1 for log in events.values())
    longest = max(waits, default=0.0)
    return f"{again} tasks begun again; after a fault the longest wait to be begun was {longest:.1f} s"
