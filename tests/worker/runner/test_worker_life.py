"""Around the worker: its settings, its signs of life, how it is started, replaced and looked at."""

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest
import yaml
from arq.connections import ArqRedis
from arq.worker import Worker

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, Client, environment, eventually, process, working
from tests.support.pictures import jpeg
from worker.main import worker_settings
from worker.pixels.resampling import RESAMPLER
from worker.runner.heartbeat import RECORD_TTL_MS, Beat
from worker.tasks.queue import LEASES, NEVER_TRIES

ROOT = Path(__file__).parents[3]


async def test_every_setting_is_one_that_arq_knows(settings: Settings) -> None:
    """It drops what it does not know without a word."""
    given = worker_settings(settings)
    assert set(given) <= set(inspect.signature(Worker).parameters)
    assert given["max_tries"] == NEVER_TRIES > settings.max_attempts
    await given["redis_pool"].aclose(close_connection_pool=True)


async def test_arqs_own_command_line_works_too(api: Client, settings: Settings) -> None:
    with process("-m", "arq", "worker.main.WorkerSettings", **environment(settings)) as worker:
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0


async def check(settings: Settings) -> int:
    command = [sys.executable, "-m", "arq", "--check", "worker.main.WorkerSettings"]
    return (await asyncio.to_thread(subprocess.run, command, env={**environment(settings)}, check=False)).returncode


async def test_arq_check_tells_within_seconds_whether_a_worker_lives(
    redis: ArqRedis, settings: Settings, api: Client
) -> None:
    assert await check(settings) == 1
    assert (await api.get("/readyz")).json()["checks"] == {
        "redis": "ok",
        "storage": "ok",
        "worker": "no worker has reported recently",
    }
    with process("-m", "worker", **environment(settings)) as worker:
        await eventually(lambda: is_checked(settings, 0), 10)
        await eventually(lambda: is_ready(api))
        ready = (await api.get("/readyz")).json()
        assert ready == {"status": "ready", "checks": {"redis": "ok", "storage": "ok", "worker": "ok"}}
        worker.kill()
        worker.wait()
    await eventually(lambda: is_checked(settings, 1), 15)


async def is_ready(api: Client) -> bool:
    return (await api.get("/readyz")).status_code == 200


async def is_checked(settings: Settings, code: int) -> bool:
    return await check(settings) == code


async def test_each_worker_says_how_it_is(api: Client, settings: Settings, redis: ArqRedis) -> None:
    with process("-m", "worker", **environment(settings)) as worker:
        name = f"worker:{socket.gethostname()}:{worker.pid}"
        raw = await eventually(lambda: redis.get(name))
        beat = msgspec.json.decode(raw, type=Beat)
        assert (beat.pid, beat.slots, beat.slots_lost, beat.running, beat.done) == (worker.pid, 2, 0, [], 0)
        assert (beat.version, beat.resampler) == (version("darkroom"), RESAMPLER)
        assert beat.rss_bytes > 10_000_000
        assert 0 < await redis.pttl(name) <= RECORD_TTL_MS
        assert await redis.zcard("workers") == 1
        worker.terminate()
        await asyncio.to_thread(worker.wait, DEADLINE_S)
        assert await redis.get(name) is None
        assert await redis.zcard("workers") == 0


@pytest.mark.parametrize("wear", [{"worker_max_tasks": 3}, {"worker_max_rss_mb": 10}])
async def test_a_worn_worker_ends_in_peace(api: Client, settings: Settings, wear: dict[str, int]) -> None:
    """And what runs and waits then loses nothing: the next worker does it."""
    worn = msgspec.structs.replace(settings, **wear)
    tasks = [await api.upload() for _ in range(3)]
    with process("-m", "worker", **environment(worn)) as worker:
        tasks += [await api.upload(jpeg((1500, 1000)), operation="resize", width="1400") for _ in range(5)]
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0
    async with working(settings):
        for task_id in tasks:
            assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_worker_that_leaves_does_not_make_the_others_look_dead(redis: ArqRedis, settings: Settings) -> None:
    async with working(settings):
        async with working(settings):
            await eventually(lambda: is_alive(redis))
        assert await is_alive(redis)


async def test_a_worker_that_stops_while_it_begins_a_task_leaves_none_behind(
    api: Client, settings: Settings, redis: ArqRedis
) -> None:
    """Begun in Redis, with the reply still on its way, a task would wait for its lease to lapse."""
    task_id = await api.upload()
    before = {client["id"] for client in await redis.client_list()}
    await redis.client_pause(500, all=False)
    async with working(settings):

        async def is_beginning() -> bool:
            return any(each["cmd"] == "evalsha" and each["id"] not in before for each in await redis.client_list())

        await eventually(is_beginning)
    view = (await api.get(f"/task-status/{task_id}")).json()
    assert view["status"] == "SUCCESS"
    assert await redis.zcard(LEASES) == 0


async def is_alive(redis: ArqRedis) -> bool:
    return bool(await redis.exists("arq:queue:health-check"))


async def test_the_health_check_of_compose_sees_a_worker_live_and_die(
    settings: Settings, redis: ArqRedis, tmp_path: Path
) -> None:
    """The command as it stands in compose.yaml, on another file."""
    health = tmp_path / "health"
    watched = msgspec.structs.replace(settings, health_file=str(health))
    [_, command] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["worker"]["healthcheck"]["test"]
    command = command.replace("$$", "$").replace("/tmp/worker-health", str(health))

    async def is_healthy() -> bool:
        run = await asyncio.create_subprocess_exec("sh", "-c", command, stderr=asyncio.subprocess.DEVNULL)
        return await run.wait() == 0

    assert not await is_healthy()
    with process("-m", "worker", **environment(watched)) as worker:
        await eventually(is_healthy)
        os.utime(health, (0, 0))
        assert not await is_healthy()
        await eventually(is_healthy)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0
    assert not health.exists()
    assert await redis.ping()


async def test_a_wrong_setting_is_one_line_that_names_it(settings: Settings) -> None:
    environ = {**environment(settings), "WORKER_THREADS": "many", "STORAGE_URL": "ftp://x"}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "worker"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "darkroom: STORAGE_URL: must be the path of a directory, or a URL that begins with file://, s3://, gs:// or "
        "az://; got 'ftp://x'; "
        "WORKER_THREADS: must be a whole number from 1 to 256; got 'many'\n"
    )
