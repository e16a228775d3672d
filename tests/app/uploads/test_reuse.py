"""Equal tasks of one owner are processed once, with `reuse=true`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from httpx2 import Response

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, serving, working
from tests.support.callers import bearer, with_keys
from tests.support.pictures import jpeg
from tests.support.receiver import Answer, receiving
from worker.telemetry.clock import now_ms, rfc3339

RESIZE: dict[str, Any] = {"operation": "resize", "width": "40", "reuse": "true"}


async def record(api: Client, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/tasks/{task_id}")).json()
    return found


async def done(api: Client, **fields: Any) -> dict[str, Any]:
    view = await api.ended(await api.upload(**fields))
    assert view["status"] == "SUCCESS", view
    return await record(api, view["task_id"])


async def test_an_equal_task_gets_the_results_without_a_worker(api: Client, settings: Settings, tmp_path: Path) -> None:
    async with working(settings):
        first = await done(api, **RESIZE)
    second = await done(api, name="other name.jpeg", **RESIZE)  # no worker runs
    assert (first["reused_from"], second["reused_from"]) == (None, first["task_id"])
    assert second["attempts"] == 0
    assert second["result"] == f"processed/{second['task_id']}/other_name.jpg"
    assert [{**output, "path": ""} for output in second["outputs"]] == [{**first["outputs"][0], "path": ""}]
    files = [tmp_path / "storage" / each["result"] for each in (first, second)]
    assert files[0].stat().st_ino == files[1].stat().st_ino  # one file on the disk, with two names
    assert (await api.get("/" + second["result"])).content == files[0].read_bytes()

    assert (await api.delete(f"/tasks/{first['task_id']}")).status_code == 204
    assert (await api.get("/" + second["result"])).status_code == 200
    third = await done(api, **RESIZE)
    assert third["reused_from"] == second["task_id"]
    assert (await api.delete(f"/tasks/{second['task_id']}")).status_code == 204
    assert (await api.get("/" + third["result"])).status_code == 200


@pytest.mark.parametrize("changes", [{"width": "41"}, {"reuse": "false"}, {"format": "png"}, {"data": jpeg((90, 91))}])
async def test_a_task_that_is_not_equal_is_processed(service: Client, changes: dict[str, Any]) -> None:
    await done(service, **RESIZE)
    assert (await done(service, **{**RESIZE, **changes}))["reused_from"] is None


async def test_results_are_not_shared_between_keys(redis: ArqRedis, settings: Settings) -> None:
    async with serving(with_keys(settings)) as url, working(settings):
        results = []
        for name in ("ann", "bob", "ann"):
            async with Client(base_url=url, headers=bearer(name)) as client:
                results.append(await done(client, **RESIZE))
    first, second, third = results
    assert [each["reused_from"] for each in results] == [None, None, first["task_id"]]
    assert second["owner"] != first["owner"] == third["owner"]


async def test_fifty_equal_uploads_at_the_same_time_are_processed_once(
    service: Client, redis: ArqRedis, stored: Callable[[], list[str]], tmp_path: Path
) -> None:
    ids = await asyncio.gather(*(service.upload(**RESIZE) for _ in range(50)))
    for task_id in ids:
        assert (await service.ended(task_id))["status"] == "SUCCESS"
    records = [await record(service, task_id) for task_id in ids]
    [original] = [each for each in records if each["reused_from"] is None]
    assert [each["attempts"] for each in records if each is not original] == [0] * 49
    results = [tmp_path / "storage" / each["result"] for each in records]
    assert len({path.stat().st_ino for path in results}) == 1  # the bytes of one result on the disk
    assert results[0].stat().st_nlink == 50
    assert await redis.keys("reuse:of:*") == []


async def test_those_that_wait_for_a_task_which_fails_are_processed_once(api: Client, settings: Settings) -> None:
    ids = [await api.upload(**RESIZE) for _ in range(4)]
    cancelled = await api.post(f"/tasks/{ids[0]}/cancel")
    assert cancelled.json()["status"] == "REVOKED"
    others = [*ids[1:], await api.upload(**RESIZE)]
    async with working(settings):
        for task_id in others:
            assert (await api.ended(task_id))["status"] == "SUCCESS"
    attempts = [(await record(api, task_id))["attempts"] for task_id in others]
    assert sorted(attempts) == [0, 0, 0, 1]


async def test_what_nobody_settled_is_settled_when_it_is_started(
    redis: ArqRedis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.tasks.queue.REUSE_HOLD_MS", 100)
    monkeypatch.setattr("worker.runner.processor.REUSE_HOLD_MS", 100)
    async with serving(settings) as url, Client(base_url=url) as api:
        ids = [await api.upload(**RESIZE) for _ in range(3)]
        await api.post(f"/tasks/{ids[0]}/cancel")
        async with working(settings):
            for task_id in ids[1:]:
                assert (await api.ended(task_id))["status"] == "SUCCESS"
        reused = {(await record(api, task_id))["reused_from"] for task_id in ids[1:]}
        assert len(reused) == 2
        assert reused < {None, *ids[1:]}


async def test_results_that_are_deleted_meanwhile_are_made_again(
    api: Client, settings: Settings, tmp_path: Path
) -> None:
    async with working(settings):
        first = await done(api, **RESIZE)
    (tmp_path / "storage" / first["result"]).unlink()
    second = await api.upload(**RESIZE)
    assert (await record(api, second))["status"] == "PENDING"
    async with working(settings):
        assert (await api.ended(second))["status"] == "SUCCESS"
    assert (await record(api, second))["reused_from"] is None
    assert (await done(api, **RESIZE))["reused_from"] == second


async def test_fetched_images_count_by_their_bytes(redis: ArqRedis, settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",))
    async with receiving(Answer(body=PHOTO)) as host, serving(settings) as url, Client(base_url=url) as api:
        forms = [{**RESIZE, "url": f"{host.url}/{number}.jpg"} for number in range(3)]
        ids = [(await api.post("/process-image/", data=form)).json()["task_id"] for form in forms]
        async with working(settings):
            for task_id in ids:
                assert (await api.ended(task_id))["status"] == "SUCCESS"
        views = [await record(api, task_id) for task_id in ids]
        [original] = [view["task_id"] for view in views if view["reused_from"] is None]
        assert {view["reused_from"] for view in views} == {None, original}
        assert (await done(api, **RESIZE))["reused_from"] in ids  # an upload of the same bytes


async def test_a_batch_of_equal_pictures_is_processed_once(service: Client) -> None:
    files: list[Any] = [("file", (f"{number}.jpg", jpeg())) for number in range(5)]
    answer: Response = await service.post("/batches", data=RESIZE, files=files)
    ids = answer.json()["task_ids"]
    views = [await service.ended(task_id) for task_id in ids]
    assert {view["status"] for view in views} == {"SUCCESS"}
    reused = [(await record(service, task_id))["reused_from"] for task_id in ids]
    assert reused.count(None) == 1
    assert (await service.get(answer.headers["location"])).json()["counts"]["SUCCESS"] == 5


async def test_the_setting_makes_it_the_default(redis: ArqRedis, settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, reuse_results=True)
    async with serving(settings) as url, working(settings), Client(base_url=url) as api:
        first = await done(api, operation="grayscale")
        assert (await done(api, operation="grayscale"))["reused_from"] == first["task_id"]
        assert (await done(api, operation="grayscale", reuse="false"))["reused_from"] is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"start_at": "tomorrow"}, {}),
        ({"priority": "low"}, {"priority": "high"}),
        ({"priority": "normal"}, {"priority": "high"}),
        ({}, {"expires_in": "3600"}),
    ],
)
async def test_no_task_waits_for_one_that_may_start_later_than_itself(
    api: Client, first: dict[str, Any], second: dict[str, Any]
) -> None:
    if "start_at" in first:
        first = {"start_at": rfc3339(now_ms() + 86_400_000)}
    await api.upload(**RESIZE, **first)
    task_id = await api.upload(**RESIZE, **second)
    assert (await record(api, task_id))["position"] is not None


async def test_tasks_that_wait_for_one_that_is_cancelled_are_processed_at_once(api: Client) -> None:
    ids = [await api.upload(**RESIZE) for _ in range(3)]
    assert [(await record(api, task_id))["position"] for task_id in ids] == [1, None, None]
    await api.post(f"/tasks/{ids[0]}/cancel")
    positions = [(await record(api, task_id))["position"] for task_id in ids[1:]]
    assert sorted(positions, key=str) == [1, None]
