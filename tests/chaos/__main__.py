"""`python -m tests.chaos --kills 1000 --seed 1` kills workers, APIs and Valkey under load, and checks what came of it.

The same seed makes the same faults at the same times. `--history FILE` keeps what happened, `--check FILE` checks it
again. The process exits with 1 if anything was lost, failed, doubled or not delivered.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

import httpx2
import msgspec
from redis.exceptions import RedisError

from tests.chaos.history import Change, History, check, table
from tests.chaos.system import System
from tests.conftest import eventually
from tests.support.pictures import jpeg
from tests.support.receiver import Answer, Receiver, receiving
from worker.tasks.connection import connect

SECRET = "whsec_" + "A" * 32

KINDS = ("kill worker", "kill worker", "kill api", "kill server")
PAUSES_S = (0.4, 1.6)
RATE = 4
"""Uploads a second."""

PHOTO = jpeg((640, 480))
REQUESTS = (
    {"operation": "grayscale"},
    {"operation": "resize", "width": "300", "format": "webp"},
    {"operation": "resize", "width": "1600", "format": "avif"},  # long enough for a fault to fall into
)


async def run(seed: int, kills: int) -> History:
    """Strike `kills` times under load, wait until everything has ended, and return what happened."""
    chance, accepted, refused, stop = random.Random(seed), list[str](), Counter[str](), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder))
        system.settings = msgspec.structs.replace(
            system.settings, max_attempts=100, webhook_secrets=(SECRET,), outbound_allow=("127.0.0.0/8",)
        )
        async with receiving(Answer(204)) as receiver:
            system.start()
            try:
                await system.ready()
                began = time.monotonic()
                loading = asyncio.create_task(load(system, receiver.url, accepted, refused, stop))
                await strike(system, chance, kills)
                stop.set()
                await loading
                took_s = time.monotonic() - began
                changes = await changes_at_the_end(system)
                with suppress(AssertionError):  # `check` counts those that are missing
                    await eventually(lambda: all_delivered(receiver, changes), 120)
            finally:
                system.stop()
            faults = [(fault.kind, fault.at) for fault in system.faults]
            return History(seed, took_s, faults, accepted, dict(refused), changes, webhooks_of(receiver))


async def strike(system: System, chance: random.Random, kills: int) -> None:
    strikes: list[asyncio.Task[None]] = []
    for number in range(kills):
        await asyncio.sleep(chance.uniform(*PAUSES_S))
        kind = chance.choice(KINDS)
        strikes.append(asyncio.create_task(system.strike(chance, kind)))
        if kind == "kill server":
            await strikes[-1]
        if number % 100 == 99:
            print(f"{number + 1} faults", file=sys.stderr, flush=True)  # noqa: T201
    await asyncio.gather(*strikes)


async def load(system: System, hook: str, accepted: list[str], refused: Counter[str], stop: asyncio.Event) -> None:
    async with httpx2.AsyncClient(timeout=30) as client:

        async def upload(number: int) -> None:
            url = f"http://127.0.0.1:{system.api_ports[number % 2]}/process-image/"
            data = {**REQUESTS[number % len(REQUESTS)], "callback_url": hook}
            try:
                answer = await client.post(url, files={"file": ("a.jpg", PHOTO)}, data=data)
            except httpx2.HTTPError as exc:
                refused[type(exc).__name__] += 1
                return
            if answer.status_code == 202:
                accepted.append(answer.json()["task_id"])
            else:
                refused[str(answer.status_code)] += 1

        uploads, number = [], 0
        while not stop.is_set():
            uploads.append(asyncio.create_task(upload(number)))
            number += 1
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*uploads)


async def changes_at_the_end(system: System) -> dict[str, list[Change]]:
    """Wait until no task waits or runs; return the changes of all."""
    redis = connect(system.settings.redis_url)

    async def has_drained() -> bool:
        with suppress(RedisError):
            return not sum([await redis.zcard(f"tasks:{state}") for state in ("PENDING", "STARTED")])
        return False

    await eventually(has_drained, 300)
    changes: dict[str, list[Change]] = defaultdict(list)
    for entry_id, entry in await redis.xrange("tasks:events"):
        if b"status" in entry:
            at_s = int(entry_id.split(b"-")[0]) / 1000
            change = Change(at_s, entry[b"status"].decode(), int(entry[b"attempt"]))
            changes[entry[b"task_id"].decode()].append(change)
    await redis.aclose(close_connection_pool=True)
    return changes


def webhooks_of(receiver: Receiver) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for request in receiver.received:
        found[msgspec.json.decode(request.body)["data"]["task_id"]].append(request.headers["webhook-id"])
    return found


async def all_delivered(receiver: Receiver, changes: dict[str, list[Change]]) -> bool:
    return set(changes) <= set(webhooks_of(receiver))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--history", type=Path, help="file to keep the history in (JSON)")
    parser.add_argument("--check", type=Path, help="file with a history to check again, instead of a run")
    options = parser.parse_args()
    if options.check is not None:
        history = msgspec.json.decode(options.check.read_bytes(), type=History)
    else:
        history = asyncio.run(run(options.seed, options.kills))
    if options.history is not None:
        options.history.write_bytes(msgspec.json.encode(history))
    verdict = check(history)
    print(table(history, verdict))  # noqa: T201
    sys.exit(not verdict.is_good)


if __name__ == "__main__":
    main()
