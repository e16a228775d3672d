"""The full record of a task, and lists of tasks, over HTTP."""

import asyncio
import re
from datetime import datetime

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import Client, problem_fields
from tests.support.pictures import jpeg
from tests.support.rendering import one
from tests.worker.tasks.test_tasks import created
from worker.imaging.formats import InputFormat
from worker.operations.blur import Blur
from worker.operations.resize import Resize
from worker.runner.heartbeat import worker_name
from worker.tasks.lists.indices import CREATED, with_operation
from worker.tasks.lists.listing import MOST_EXAMINED, Selection, page
from worker.tasks.model import Spec, new_task_id
from worker.tasks.status import Status
from worker.tasks.store import Tasks


async def test_the_record_says_all_there_is_to_know(service: Client) -> None:
    task_id = await service.upload(jpeg((320, 240)), "Ferien 2026.jpeg", operation="resize", width="80", format="png")
    view = await service.ended(task_id)
    record = (await service.get(f"/tasks/{task_id}")).json()
    times = [datetime.fromisoformat(record.pop(f"{name}_at")) for name in ("created", "queued", "started", "ended")]
    assert times == sorted(times)
    assert record.pop("waited_s") == pytest.approx((times[2] - times[1]).total_seconds())
    assert record.pop("ran_s") == pytest.approx((times[3] - times[2]).total_seconds())
    assert re.fullmatch(r"[0-9a-f]{32}", record.pop("request_id"))
    assert record.pop("phases")["decoding_s"] > 0
    [output] = record.pop("outputs")
    assert (output["path"], output["width"], output["height"]) == (view["result"], 80, 60)
    [operation] = record.pop("operations")
    assert operation.items() >= {"operation": "resize", "width": 80, "height": None, "fit": "fill"}.items()
    assert record.pop("output").items() >= {"format": "png", "quality": None, "metadata": "strip"}.items()
    assert record == {
        **view,
        "error_code": None,
        "owner": None,
        "expires_at": None,
        "priority": "normal",
        "queue_group": None,
        "batch_id": None,
        "reused_from": None,
        "file": {
            "name": "Ferien 2026.jpeg",
            "format": "jpeg",
            "bytes": len(jpeg((320, 240))),
            "width": 320,
            "height": 240,
        },
        "attempts": 1,
        "worker": worker_name(),
        "progress": 1,
        "position": None,
    }


async def test_a_waiting_task_has_a_place_in_the_queue(api: Client) -> None:
    ids = [await api.upload() for _ in range(3)]
    records = [(await api.get(f"/tasks/{task_id}")).json() for task_id in ids]
    assert [record["position"] for record in records] == [1, 2, 3]
    assert {(record["started_at"], record["worker"], record["ran_s"], record["progress"]) for record in records} == {
        (None, None, None, 0)
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", records[0]["created_at"])


async def test_a_failure_has_a_code_for_programs(service: Client, tasks: Tasks) -> None:
    task_id = await service.upload(jpeg((800, 600))[:3000])
    await service.ended(task_id)
    record = (await service.get(f"/tasks/{task_id}")).json()
    assert (record["error_code"], record["error"]) == ("damaged", "the image data is damaged or truncated")


async def listed(client: Client, path: str = "/tasks") -> list[str]:
    """Follow a list to its end."""
    found: list[str] = []
    following: str | None = path
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += [task["task_id"] for task in body["tasks"]]
        following = body["next"]
        assert answer.headers.get("link") == (None if following is None else f'<{following}>; rel="next"')
    return found


async def test_tasks_are_listed_newest_first_page_by_page(api: Client, tasks: Tasks) -> None:
    """Also those of one millisecond, of which many are created here, each once."""
    ids = [await created(tasks) for _ in range(150)]
    entries = [(task.created_ms, task.id) for task in [await tasks.get(task_id) for task_id in ids]]
    expected = [task_id for _, task_id in sorted(entries, reverse=True)]
    for limit in (1, 7, 50, 150, 200):
        assert await listed(api, f"/tasks?limit={limit}") == expected
    assert await listed(api, "/tasks?status=PENDING") == expected
    assert await listed(api) == expected
    assert len((await api.get("/tasks")).json()["tasks"]) == 50


async def test_tasks_are_found_by_state_time_and_operation(api: Client, tasks: Tasks, redis: ArqRedis) -> None:
    blur = Spec(one([Resize(width=5), Blur()]), InputFormat.JPEG, "photo")
    blurred, resized = [], []
    for number in range(6):
        blurred.append(new_task_id())
        await tasks.create(blurred[-1], blur)
        resized.append(await created(tasks))
        await redis.zadd(CREATED, {blurred[-1]: 1000 * number, resized[-1]: 1000 * number + 500})
        for name in ("resize", "blur"):
            await redis.zadd(with_operation(name), {blurred[-1]: 1000 * number}, xx=True)
            await redis.zadd(with_operation(name), {resized[-1]: 1000 * number + 500}, xx=True)
    for task_id in (blurred[0], resized[0], blurred[5]):
        await tasks.move(task_id, Status.REVOKED)
    assert await listed(api, "/tasks?operation=blur") == blurred[::-1]
    assert len(await listed(api, "/tasks?operation=resize&limit=5")) == 12
    assert await listed(api, "/tasks?operation=crop") == []
    assert await listed(api, "/tasks?operation=blur&status=REVOKED") == [blurred[5], blurred[0]]
    assert await listed(api, "/tasks?status=REVOKED,FAILURE&limit=1") == [blurred[5], resized[0], blurred[0]]
    between = "since=1970-01-01T00:00:01Z&before=1970-01-01T01:00:02%2B01:00"
    assert await listed(api, f"/tasks?{between}") == [resized[1], blurred[1]]
    assert await listed(api, f"/tasks?{between}&operation=blur&limit=1") == [blurred[1]]


async def test_a_removed_task_is_in_no_list(service: Client, redis: ArqRedis) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    assert await listed(service, "/tasks?operation=grayscale") == [task_id]
    assert (await service.delete(f"/tasks/{task_id}")).status_code == 204
    for query in ("", "?status=SUCCESS", "?operation=grayscale"):
        assert await listed(service, f"/tasks{query}") == []
    assert {key.split(b":")[1] for key in await redis.keys("tasks:*")} <= {b"events", b"begun"}


async def test_a_list_that_cannot_be_is_refused(api: Client) -> None:
    query = "status=DONE&operation=squeeze&since=yesterday&before=2026-01-01T00:00:00&limit=0&cursor=5&page=3"
    found = problem_fields(await api.get(f"/tasks?{query}"))
    assert set(found) == {"status", "operation", "since", "before", "limit", "cursor", "page"}
    assert found["since"] == "must be a time like 2026-03-01T12:00:00Z (RFC 3339); got 'yesterday'"
    assert found["limit"] == "must be a whole number from 1 to 200; got '0'"
    assert set(problem_fields(await api.get("/tasks?limit=5&limit=6"))) == {"limit"}


async def test_a_page_costs_the_same_however_many_tasks_there_are(redis: ArqRedis, settings: Settings) -> None:
    """Counted in what Redis is asked for and sends, not in time."""
    tasks, costs = Tasks(redis, msgspec.structs.replace(settings, queue_limit=10_000)), []
    for count in (60, 3000):
        while await redis.zcard(CREATED) < count:
            await asyncio.gather(*(created(tasks) for _ in range(60)))
        await page(redis, Selection(), 50)  # connected
        before = await redis.info("stats")
        assert len((await page(redis, Selection(), 50)).tasks) == 50
        after = await redis.info("stats")
        costs.append(after["total_commands_processed"] - before["total_commands_processed"])
    assert costs[0] == costs[1] <= 55
    rare = Selection(statuses=(Status.SUCCESS, Status.FAILURE))
    first = await page(redis, rare, 50)
    assert (first.tasks, first.next_cursor is None) == ([], False), f"stops after {MOST_EXAMINED}, and says where"
    last = await page(redis, rare, 50, first.next_cursor)
    assert (first.examined, last.examined, last.tasks, last.next_cursor) == (MOST_EXAMINED, 1000, [], None)
