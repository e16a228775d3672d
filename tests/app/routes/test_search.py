"""Tasks that are found: by tags, text, code and group of failures, and in another order than they came."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, cast

import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, problem_fields
from tests.support.callers import callers
from tests.support.pictures import drawing, encoded, jpeg
from worker.errors import ErrorCode
from worker.tasks.lists.listing import MOST_EXAMINED
from worker.tasks.status import Status
from worker.tasks.store import Tasks


async def ids(api: Client, query: str) -> list[str]:
    answer = await api.get(f"/tasks?{query}")
    assert answer.status_code == 200, answer.text
    return [task["task_id"] for task in answer.json()["tasks"]]


async def failed(tasks: Tasks, task_id: str, code: ErrorCode, error: str, operation: str = "") -> None:
    await tasks.move(task_id, Status.STARTED)
    fields = {"error": error, "error_code": code, "failed_operation": operation}
    await tasks.move(task_id, Status.FAILURE, fields=fields)


async def test_tags_are_in_the_record_in_lists_and_in_events(service: Client) -> None:
    tagged = await service.upload(tags="holiday, print:A4,holiday")
    plain = await service.upload()
    for task_id in (tagged, plain):
        await service.ended(task_id)
    record = (await service.get(f"/tasks/{tagged}")).json()
    assert record["tags"] == ["holiday", "print:A4"]
    assert "tags" not in (await service.get(f"/tasks/{plain}")).json()
    assert await ids(service, "tag=holiday") == await ids(service, "tag=print:A4") == [tagged]
    assert await ids(service, "tag=holi") == []
    assert await ids(service, "q=HOLI") == [tagged]
    async with service.stream("GET", f"/tasks/{tagged}/events", headers={"Last-Event-ID": "0-0"}) as stream:
        lines = [line async for line in stream.aiter_lines() if line.startswith("data: ") and '"status"' in line]
    assert len(lines) == 3
    assert all('"tags":["holiday","print:A4"]' in line for line in lines)


@pytest.mark.parametrize(
    "tags", ["a b", "ä", "x" * 33, ",".join(map(str, range(11))), "a,,b", "-a"], ids=lambda tags: tags[:12]
)
async def test_tags_that_are_no_short_words_are_refused(api: Client, tags: str) -> None:
    answer = await api.post("/process-image/", files={"file": PHOTO}, data={"operation": "flip", "tags": tags})
    assert problem_fields(answer)["tags"].startswith("must be 1 to 10 words, comma-separated, each of 1 to 32 letters")


async def test_a_retry_and_a_batch_keep_the_tags(service: Client) -> None:
    files = [("file", ("a.jpg", PHOTO)), ("file", ("b.jpg", PHOTO[:900]))]
    answer = await service.post("/batches", files=files, data={"operation": "grayscale", "tags": "set-7"})
    first, second = answer.json()["task_ids"]
    assert (await service.ended(second))["status"] == "FAILURE"
    await service.post(f"/tasks/{second}/retry")
    await service.ended(second)
    assert set(await ids(service, "tag=set-7")) == {first, second}


async def test_a_search_finds_names_errors_and_the_beginnings_of_ids(service: Client) -> None:
    boat = await service.upload(name="Ferien am Boot.jpg")
    damaged = await service.upload(jpeg((800, 600))[:3000], name="kaputt.jpg")
    for task_id in (boat, damaged):
        await service.ended(task_id)
    request_id = (await service.get(f"/tasks/{boat}")).json()["request_id"]
    for text, expected in {
        "am boot": [boat],
        "TRUNCATED": [damaged],
        request_id[:9]: [boat],
        boat[:8]: [boat],
        damaged.upper(): [damaged],
        "jpg": [damaged, boat],
        "nothing": [],
    }.items():
        answer = (await service.get("/tasks", params={"q": text})).json()
        assert [task["task_id"] for task in answer["tasks"]] == expected, text
        assert (answer["searched"]["tasks"], answer["searched"]["complete"], answer["next"]) == (2, True, None)
    assert await ids(service, "code=damaged") == [damaged]
    assert await ids(service, "format=jpeg") == [damaged, boat]
    assert await ids(service, "format=png") == []
    assert (await service.get("/tasks?format=png")).json()["searched"]["complete"] is True
    assert await ids(service, "code=timeout") == []


async def test_a_search_stops_after_2000_tasks_says_so_and_goes_on(tasks: Tasks, api: Client, redis: ArqRedis) -> None:
    """The only match is the oldest of 2,100 tasks, of which all but it are copies of one record."""
    oldest = await api.upload(name="needle.jpg")
    hay = await api.upload(name="hay.jpg")
    record = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(f"task:{hay}"))
    created_ms = (await tasks.get(hay)).created_ms
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(MOST_EXAMINED + 99):
            copy = f"{number:08x}-0000-4000-8000-000000000000"
            pipe.hset(f"task:{copy}", mapping=record)
            pipe.zadd("tasks:created", {copy: created_ms + 1 + number})
        await pipe.execute()
    first = (await api.get("/tasks?q=needle")).json()
    assert first["tasks"] == []
    assert (first["searched"]["tasks"], first["searched"]["complete"]) == (MOST_EXAMINED, False)
    at_ms = datetime.fromisoformat(first["searched"]["oldest"]).timestamp() * 1000
    assert round(at_ms) == created_ms + 100
    second = (await api.get(first["next"])).json()
    assert [task["task_id"] for task in second["tasks"]] == [oldest]
    assert (second["searched"]["complete"], second["next"]) == (True, None)
    by_size = (await api.get("/tasks?sort=bytes")).json()
    assert (by_size["searched"]["tasks"], by_size["searched"]["complete"]) == (MOST_EXAMINED, False)


async def test_tasks_are_sorted_by_what_they_took(service: Client) -> None:
    sides = random.Random(20).sample(range(20, 400), 12)
    files = [encoded(drawing((side, side)), "PNG") for side in sides]
    made = await asyncio.gather(*(service.upload(data, operation="blur", format="png") for data in files))
    for task_id in made:
        await service.ended(task_id)
    records = {task["task_id"]: task for task in (await service.get("/tasks")).json()["tasks"]}
    values: dict[str, Callable[[dict[str, Any]], Any]] = {
        "bytes": lambda task: task["outputs"][0]["bytes"],
        "ran": lambda task: task["ran_s"],
        "waited": lambda task: task["waited_s"],
        "created": lambda task: task["created_at"],
    }
    for sort, value_of in values.items():
        falling = [value_of(records[task_id]) for task_id in await ids(service, f"sort={sort}")]
        rising = [value_of(records[task_id]) for task_id in await ids(service, f"sort={sort}&order=asc")]
        assert len(falling) == 12
        assert falling == sorted(falling, reverse=True), sort
        assert rising == sorted(rising), sort
    three = (await service.get("/tasks?sort=bytes&limit=3&status=SUCCESS")).json()
    assert [task["outputs"][0]["bytes"] for task in three["tasks"]] == sorted(
        (values["bytes"](task) for task in records.values()), reverse=True
    )[:3]
    assert (three["next"], three["searched"]["complete"]) == (None, True)
    assert await ids(service, "order=asc") == await ids(service, "sort=created&order=asc")


async def test_a_sorted_list_puts_what_has_not_run_last(api: Client, tasks: Tasks) -> None:
    waiting, ran = await api.upload(), await api.upload()
    await tasks.move(ran, Status.STARTED)
    await tasks.move(ran, Status.SUCCESS)
    for order in ("asc", "desc"):
        assert await ids(api, f"sort=ran&order={order}") == [ran, waiting]


async def test_searches_that_cannot_be_are_refused(api: Client) -> None:
    found = problem_fields(await api.get("/tasks?q=&sort=name&order=up&tag=a,b&code=oops&failure=1"))
    assert set(found) == {"q", "sort", "order", "tag", "code", "failure"}
    assert found["sort"] == "must be one of created, waited, ran, bytes; got 'name'"
    assert found["tag"] == (
        "must be one tag of 1 to 32 letters, digits, _ . : and -, beginning with a letter or digit; got 'a,b'"
    )
    status = problem_fields(await api.get("/tasks?status=SUCCESS,failure"))["status"]
    assert status.endswith("; got 'SUCCESS,failure'; did you mean FAILURE?")


async def test_failures_are_grouped_by_code_message_and_operation(api: Client, tasks: Tasks) -> None:
    made = [await api.upload() for _ in range(9)]
    for number, task_id in enumerate(made[:4]):
        error = f"operation {number + 1}: {number}00 x 1,{number}00 pixels are too many"
        await failed(tasks, task_id, ErrorCode.TOO_LARGE, error, "resize")
    await failed(tasks, made[4], ErrorCode.TOO_LARGE, "operation 1: 5 x 5 pixels are too many", "pad")
    for task_id in made[5:7]:
        await failed(
            tasks, task_id, ErrorCode.TIMEOUT, f"processing took longer than 0.{int(task_id[0], 16)} s", "grayscale"
        )
    await tasks.cancel(made[7])
    body = (await api.get("/failures")).json()
    assert (body["count"], body["complete"], body["step_s"]) == (7, True, 60)
    facts = [
        (each["error_code"], each["message"], each["operation"], each["count"], each["retry_helps"])
        for each in body["groups"]
    ]
    resize, timeouts, pad = body["groups"]
    assert facts == [
        ("too_large", "operation #: # x # pixels are too many", "resize", 4, False),
        ("timeout", timeouts["message"], "grayscale", 2, True),
        ("too_large", "operation #: # x # pixels are too many", "pad", 1, False),
    ]
    records = [(await api.get(f"/tasks/{task_id}")).json() for task_id in made[:4]]
    newest = max(records, key=lambda record: (record["ended_at"], record["task_id"]))
    assert (resize["newest"], resize["example"]) == (newest["task_id"], newest["error"])
    assert (resize["first_at"], resize["last_at"]) == (records[0]["ended_at"], records[3]["ended_at"])
    assert sum(resize["history"]) == 4
    assert len(resize["history"]) == 60
    assert set(await ids(api, f"failure={resize['id']}")) == set(made[:4])
    assert await ids(api, f"failure={pad['id']}") == [made[4]]
    day = (await api.get("/failures?range=day")).json()
    assert [(each["id"], each["count"], len(each["history"])) for each in day["groups"]] == [
        (resize["id"], 4, 96),
        (timeouts["id"], 2, 96),
        (pad["id"], 1, 96),
    ]


async def test_a_group_is_retried_and_deleted_as_one(api: Client, tasks: Tasks) -> None:
    made = [await api.upload() for _ in range(30)]
    for number, task_id in enumerate(made[:25]):
        await failed(tasks, task_id, ErrorCode.TIMEOUT, f"processing took longer than {number} s")
    await failed(tasks, made[25], ErrorCode.DAMAGED, "the image data is damaged or truncated")
    groups = (await api.get("/failures")).json()["groups"]
    assert [group["count"] for group in groups] == [25, 1]
    path: str | None = f"/tasks/retry?status=FAILURE&failure={groups[0]['id']}&limit=10"
    retried = []
    while path is not None:
        body = (await api.post(path)).json()
        retried.append(body["retried"])
        path = body["next"]
    assert sum(retried) == 25
    assert [group["count"] for group in (await api.get("/failures")).json()["groups"]] == [1]
    body = (await api.post(f"/tasks/delete?status=FAILURE&failure={groups[1]['id']}")).json()
    assert body == {"deleted": 1, "moved_on": 0, "next": None}
    assert (await api.get(f"/tasks/{made[25]}")).status_code == 404
    assert (await api.get("/failures")).json()["groups"] == []
    assert len(await ids(api, "limit=200")) == 29


async def test_only_ended_tasks_are_deleted_together(api: Client) -> None:
    for status in ("PENDING", "STARTED", "SUCCESS,STARTED"):
        found = problem_fields(await api.post(f"/tasks/delete?status={status}"))
        assert found["status"].startswith("must be one or more of FAILURE, REVOKED, SUCCESS, comma-separated; got ")
    assert set(problem_fields(await api.post("/tasks/delete"))) == {"status"}


async def test_callers_see_find_and_delete_only_their_own(redis: ArqRedis, settings: Settings, tasks: Tasks) -> None:
    async with callers(settings) as clients:
        ann, bob, admin = (clients[name] for name in ("ann", "bob", "ops"))
        made = {client: await client.upload(tags="common") for client in (ann, bob)}
        for client, task_id in made.items():
            await failed(tasks, task_id, ErrorCode.TIMEOUT, "processing took longer than 3 s")
            assert await ids(client, "tag=common") == await ids(client, "q=common&sort=ran") == [task_id]
            [group] = (await client.get("/failures")).json()["groups"]
            assert (group["count"], group["newest"]) == (1, task_id)
        assert [group["count"] for group in (await admin.get("/failures")).json()["groups"]] == [2]
        body = (await ann.post(f"/tasks/delete?status=FAILURE&failure={group['id']}")).json()
        assert body["deleted"] == 1
        assert [group["count"] for group in (await bob.get("/failures")).json()["groups"]] == [1]
