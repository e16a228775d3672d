"""What a task costs besides its pixels, in numbers that do not depend on the machine: they creep up unnoticed."""

import asyncio
import cProfile
from types import CodeType

from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, Client, working

COUNTED = ("/app/", "/worker/", "/redis/", "/starlette/", "/uvicorn/", "/python_multipart/", "/arq/", "/obstore/")
"""Parts of the paths of our files and of the libraries on a task's way; the client of the test is not among them."""

TASKS = 20


def calls_per_task(profile: cProfile.Profile) -> float:
    """Return the calls of Python functions on the event loop; a coroutine counts each time that it goes on."""
    counted = 0
    for entry in profile.getstats():
        path = entry.code.co_filename if isinstance(entry.code, CodeType) else ""
        if "/tests/" not in path and any(part in path for part in COUNTED):
            counted += entry.callcount
    return counted / TASKS


async def test_function_calls_of_an_upload(api: Client) -> None:
    for _ in range(3):
        await api.upload()  # what is computed once
    with cProfile.Profile() as profile:
        for _ in range(TASKS):
            await api.upload()
    assert 400 < calls_per_task(profile) <= 700


async def test_function_calls_of_a_worker(api: Client, settings: Settings) -> None:
    async with working(settings) as worker:
        await api.ended(await api.upload())
    for _ in range(TASKS):
        await api.upload()
    async with working(settings) as worker, asyncio.timeout(DEADLINE_S):
        with cProfile.Profile() as profile:
            while worker.jobs_complete < TASKS:  # noqa: ASYNC110 - arq only counts them
                await asyncio.sleep(0.01)
    assert 150 < calls_per_task(profile) <= 285  # 250 to 271 were measured; the turns of an idle worker count too


async def test_a_task_takes_five_round_trips_to_redis(service: Client, redis: ArqRedis) -> None:
    """Note the upload, create, begin, end, look for the next: the number that creeps."""
    await service.ended(await service.upload())
    tasks, polls = 20, 0

    async def reads() -> int:
        return int((await redis.info("stats"))["total_reads_processed"])

    before = await reads()
    for _ in range(tasks):
        task_id = await service.upload()
        status = "PENDING"
        while status != "SUCCESS":
            status = (await service.get(f"/task-status/{task_id}")).json()["status"]
            polls += 1
    # Heartbeats and the polls of an idle worker come by the second; a trip more for each task would be 20 more.
    assert 4 * tasks <= await reads() - before - polls <= 5 * tasks + tasks // 2
