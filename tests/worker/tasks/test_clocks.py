"""Machines whose clocks differ from Redis's by hours: leases, time-outs and times go by Redis's clock alone."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, PATIENT, Client, api_process, environment, eventually, process
from worker.tasks.store import Tasks

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.fixture(autouse=True)
def faketime() -> None:
    """Skip where libfaketime is not installed, but never in CI."""
    if LIBRARY is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs Debian's package faketime")


def shifted(offset: str) -> dict[str, str]:
    """Return the environment of a process whose clock is ahead (+) or behind (-)."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def workers(settings: Settings, *offsets: str) -> Iterator[list[psutil.Popen]]:
    with ExitStack() as stack:
        env = environment(settings)
        yield [stack.enter_context(process("-m", "worker", **env, **shifted(offset))) for offset in offsets]


def test_the_clock_of_a_process_is_really_shifted() -> None:
    date = shutil.which("date")
    assert date is not None
    printed = subprocess.run([date, "+%s"], env=shifted("+2h"), capture_output=True, text=True, check=True).stdout
    assert abs(int(printed) - datetime.now().timestamp() - 7200) < 60


async def test_no_lease_is_taken_for_expired_and_no_time_is_negative(
    redis: ArqRedis, settings: Settings, tasks: Tasks, tmp_path: Path
) -> None:
    """A worker 30 s ahead took the leases of others for expired; an API 2 h behind made every task fail."""
    with ExitStack() as stack:
        stack.enter_context(workers(settings, "+1h", "-1h", "+30s"))
        apis = [
            stack.enter_context(api_process(settings.redis_url, tmp_path / "storage", **PATIENT, **shifted(offset)))[1]
            for offset in ("-2h", "+2h")
        ]
        for url in apis:
            async with Client(base_url=url) as client, asyncio.timeout(DEADLINE_S):

                async def all_have_started(client: Client = client) -> bool:
                    ready = (await client.get("/readyz")).status_code == 200
                    return ready and len((await client.get("/workers")).json()["workers"]) == 3

                await eventually(all_have_started)
                ids = [await client.upload() for _ in range(12)]
                for task_id in ids:
                    assert (await client.ended(task_id))["status"] == "SUCCESS"
                    record = (await client.get(f"/tasks/{task_id}")).json()
                    assert record["attempts"] == 1
                    assert 0 <= record["waited_s"] < DEADLINE_S
                    assert 0 <= record["ran_s"] < DEADLINE_S
                    times = [datetime.fromisoformat(record[f"{each}_at"]) for each in ("created", "started", "ended")]
                    assert times == sorted(times)
                    assert abs(times[0].timestamp() - datetime.now().timestamp()) < DEADLINE_S
                    events = (await client.get(f"/tasks/{task_id}/timeline")).json()["events"]
                    assert [each["event"] for each in events if "status" in each] == ["queued", "started", "ended"]


async def test_the_sweep_of_a_machine_with_a_wrong_clock_deletes_nothing_early(
    redis: ArqRedis, settings: Settings, tmp_path: Path
) -> None:
    with (
        workers(settings, "+30h"),  # TASK_TTL_S is a day
        api_process(settings.redis_url, tmp_path / "storage", **PATIENT) as (_, url),
    ):
        async with Client(base_url=url) as client, asyncio.timeout(DEADLINE_S):
            task_id = await client.upload()
            await client.ended(task_id)
            # The sweep runs at the full minute of the worker's clock, which is also ours.
            await eventually(lambda: redis.keys("cron:sweep_all:*"))
            assert (await client.get(f"/tasks/{task_id}")).status_code == 200
