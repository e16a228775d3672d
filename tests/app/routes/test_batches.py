"""Batches: many pictures in one request, watched and fetched as one."""

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, eventually, problem_fields, serving, working
from tests.support.callers import callers
from tests.support.pictures import decoded, jpeg
from tests.support.receiver import Answer, receiving
from tests.worker.webhooks.test_webhooks import delivering
from worker.tasks.store import Tasks

PICTURES = [jpeg((60, 40), hue) for hue in (0, 120, 240)]
BROKEN = PHOTO[: len(PHOTO) // 2]


async def post(client: Client, pictures: list[bytes], key: str | None = None, **fields: str) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    files = [("file", (f"photo {number}.jpg", data)) for number, data in enumerate(pictures)]
    data = {"operation": "resize", "width": "20", **fields}
    return await client.post("/batches", files=files, data=data, headers=headers)


async def created(client: Client, pictures: list[bytes], **fields: str) -> dict[str, Any]:
    answer = await post(client, pictures, **fields)
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/batches/{view['batch_id']}"
    return view


async def completed(client: Client, batch_id: str) -> dict[str, Any]:
    async def view() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/batches/{batch_id}")).json()
        return found if found["status"] == "completed" else None

    found: dict[str, Any] = await eventually(view)
    return found


async def test_each_picture_becomes_a_task_and_the_batch_says_how_they_are(service: Client) -> None:
    accepted = await created(service, [*PICTURES, BROKEN])
    view = await completed(service, accepted["batch_id"])
    assert [task["task_id"] for task in view["tasks"]] == accepted["task_ids"]
    assert [task["status"] for task in view["tasks"]] == ["SUCCESS"] * 3 + ["FAILURE"]
    assert view["counts"] == {"PENDING": 0, "STARTED": 0, "SUCCESS": 3, "FAILURE": 1, "REVOKED": 0}
    assert (view["total"], view["progress"]) == (4, 1)
    assert view["ended_at"] >= max(task["ended_at"] for task in view["tasks"])
    for task_id in accepted["task_ids"][:3]:
        result = (await service.get(f"/task-result/{task_id}")).json()["processed_image"]
        assert decoded((await service.get(f"/{result}")).content).size == (20, 13)


async def test_a_batch_is_paged_in_the_order_of_the_pictures(api: Client) -> None:
    accepted = await created(api, PICTURES * 3)
    path, seen = f"/batches/{accepted['batch_id']}?limit=4", []
    while path:
        page = (await api.get(path)).json()
        seen += [task["task_id"] for task in page["tasks"]]
        path = page["next"]
    assert seen == accepted["task_ids"]
    assert (page["status"], page["counts"]["PENDING"]) == ("running", 9)


async def test_tasks_are_listed_by_batch(api: Client) -> None:
    first, second = [await created(api, PICTURES) for _ in range(2)]
    for query, expected in (("", 3), ("&operation=resize", 3), ("&operation=blur", 0), ("&status=SUCCESS", 0)):
        page = (await api.get(f"/tasks?batch={first['batch_id']}{query}")).json()["tasks"]
        assert len(page) == expected
        assert {task["task_id"] for task in page} <= set(first["task_ids"])
        assert {task["batch_id"] for task in page} <= {first["batch_id"]}
    assert (await api.get("/tasks?batch=x")).status_code == 422
    await api.post(f"/batches/{second['batch_id']}/cancel")
    await api.delete(f"/batches/{second['batch_id']}")
    assert (await api.get(f"/tasks?batch={second['batch_id']}")).json()["tasks"] == []


async def test_pictures_by_url_as_json_with_fields_of_their_own(redis: ArqRedis, settings: Settings) -> None:
    local = msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",))
    async with (
        receiving(Answer(body=PICTURES[0])) as host,
        serving(local) as url,
        working(local),
        Client(base_url=url) as client,
    ):
        body = {"url": [host.url, host.url], "operation": "resize", "each": [{"width": 10}, {"width": 30}]}
        answer = await client.post("/batches", json=body)
        assert answer.status_code == 202, answer.text
        view = await completed(client, answer.json()["batch_id"])
    assert [task["outputs"][0]["width"] for task in view["tasks"]] == [10, 30]
    assert await redis.exists(f"batch:{view['batch_id']}") == 1


@pytest.mark.parametrize(
    ("pictures", "fields", "problems"),
    [
        ([], {}, ["file"]),
        (PICTURES, {"width": "-1"}, ["width"]),
        ([*PICTURES, b"no picture"], {}, ["file[3]"]),
        (PICTURES, {"each": '[{"width": 5}]'}, ["each"]),
        (PICTURES, {"each": '[{}, {"width": 0}, {}]'}, ["each[1].width"]),
        (
            PICTURES[:1],
            {"each": '[{"priority": "low", "tags": "a", "file": "b"}]'},
            ["each[0].priority", "each[0].tags"],
        ),
        (PICTURES[:1], {"each": '[{"color": "red"}]'}, ["each[0].color"]),
        (PICTURES, {"priority": "urgent", "callback_url": "https://example.com"}, ["priority", "callback_url"]),
        (PICTURES, {"queue_group": "no group"}, ["queue_group"]),
    ],
)
async def test_one_bad_picture_or_field_refuses_all_and_leaves_nothing(
    api: Client, redis: ArqRedis, tmp_path: Path, pictures: list[bytes], fields: dict[str, str], problems: list[str]
) -> None:
    answer = (
        await post(api, pictures or [], **fields) if pictures else await api.post("/batches", files={"x": (None, "")})
    )
    assert answer.status_code == 422, answer.text
    assert set(problems) <= set(problem_fields(answer))
    assert await redis.keys("task:*") + await redis.keys("batch:*") + await redis.keys("uploads") == []
    assert [path for path in (tmp_path / "storage").rglob("*") if path.is_file()] == []


async def test_more_pictures_than_the_queue_has_room_for_are_all_refused(redis: ArqRedis, settings: Settings) -> None:
    """A batch that is larger than the queue never fits, and one that does not fit now keeps no single image out."""
    small = msgspec.structs.replace(settings, queue_limit=3)
    async with serving(small) as url, Client(base_url=url) as client:
        assert problem_fields(await post(client, PICTURES * 2)) == {
            "file": "must be given at most 3 times, the limit of waiting tasks"
        }
        await client.upload()
        answer = await post(client, PICTURES)
        assert (answer.status_code, await redis.zcard("tasks:created")) == (429, 1)
        assert answer.json()["detail"].startswith("the queue has no room for 3 tasks beside 1 waiting tasks; ")
        assert int(answer.headers["retry-after"]) >= 1
        await client.upload()


async def test_more_pictures_than_max_batch_are_refused(settings: Settings, redis: ArqRedis) -> None:
    small = msgspec.structs.replace(settings, max_batch=2)
    async with serving(small) as url, Client(base_url=url) as client:
        answer = await post(client, PICTURES)
    assert problem_fields(answer) == {"file": "must be given at most 2 times"}
    assert await redis.zcard("tasks:created") == 0


async def test_a_repeated_request_gets_the_same_batch(api: Client, redis: ArqRedis) -> None:
    key = "one-batch"
    answers = [await post(api, PICTURES, key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await redis.zcard("tasks:created") == 3
    other = await post(api, PICTURES[:2], key)
    assert other.json()["type"].endswith("#key-reused")
    assert await redis.zcard("uploads") == 0
    path = f"/batches/{answers[0].json()['batch_id']}"
    await api.post(f"{path}/cancel")
    await api.delete(path)
    assert (await post(api, PICTURES, key)).status_code == 404


async def test_a_batch_belongs_to_its_key(settings: Settings, redis: ArqRedis) -> None:
    async with callers(settings) as by_name:
        batch_id = (await created(by_name["bob"], PICTURES))["batch_id"]
        for name, status in (("bob", 200), ("ops", 200), ("ann", 404)):
            assert (await by_name[name].get(f"/batches/{batch_id}")).status_code == status
            assert (await by_name[name].get(f"/batches/{batch_id}/result.zip?partial=true")).status_code == status
        assert (await by_name["ann"].post(f"/batches/{batch_id}/cancel")).status_code == 404
    assert await redis.zcard("tasks:PENDING") == 3


async def test_a_batch_is_cancelled_retried_and_deleted(api: Client, settings: Settings, tmp_path: Path) -> None:
    accepted = await created(api, [*PICTURES, BROKEN])
    path = f"/batches/{accepted['batch_id']}"
    assert (await api.delete(path)).status_code == 409
    view = (await api.post(f"{path}/cancel")).json()
    assert (view["status"], view["counts"]["REVOKED"]) == ("completed", 4)
    for task_id in accepted["task_ids"]:
        await api.post(f"/tasks/{task_id}/retry")
    assert (await api.get(path)).json()["status"] == "running"
    async with working(settings):
        assert (await completed(api, accepted["batch_id"]))["counts"]["FAILURE"] == 1
        retried = (await api.post(f"{path}/retry")).json()
        assert (retried["retried"], retried["upload_gone"]) == (1, 0)
        assert (await completed(api, accepted["batch_id"]))["counts"]["FAILURE"] == 1
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert [each for each in (tmp_path / "storage").rglob("*") if each.is_file()] == []


async def test_a_batch_is_gone_with_its_last_task(service: Client, tasks: Tasks, redis: ArqRedis) -> None:
    accepted = await created(service, PICTURES)
    await completed(service, accepted["batch_id"])
    for number, task_id in enumerate(accepted["task_ids"], start=1):
        assert (await service.get(f"/batches/{accepted['batch_id']}")).json()["counts"]["SUCCESS"] == 4 - number
        assert (await service.delete(f"/tasks/{task_id}")).status_code == 204
    assert (await service.get(f"/batches/{accepted['batch_id']}")).status_code == 404
    assert await redis.keys("batch:*") == []


async def test_one_webhook_is_sent_when_all_have_ended(redis: ArqRedis, settings: Settings) -> None:
    """And one for each task to another URL, if that is asked for."""
    secrets = msgspec.structs.replace(settings, webhook_secrets=("whsec_" + "A" * 32,), outbound_allow=("127.0.0.0/8",))
    async with (
        receiving() as receiver,
        serving(secrets) as url,
        working(secrets),
        delivering(secrets),
        Client(base_url=url) as client,
    ):
        callbacks = {"callback_url": f"{receiver.url}/batch", "task_callback_url": f"{receiver.url}/task"}
        accepted = await created(client, [*PICTURES, BROKEN], **callbacks)
        await eventually(lambda: is_true(len(receiver.received) == 5))
    events = [json.loads(each.body) for each in receiver.received]
    batch_events = [event for event in events if event["type"] == "batch.completed"]
    assert [event["data"] for event in batch_events] == [
        {"batch_id": accepted["batch_id"], "counts": {"SUCCESS": 3, "FAILURE": 1, "REVOKED": 0}}
    ]
    assert {event["data"]["task_id"] for event in events if event not in batch_events} == set(accepted["task_ids"])


async def test_events_of_all_tasks_come_in_one_stream_that_ends(api: Client, settings: Settings) -> None:
    accepted = await created(api, PICTURES)
    async with api.stream("GET", f"/batches/{accepted['batch_id']}/events") as answer, working(settings):
        text = (await answer.aread()).decode()
    names = [line.removeprefix("event: ") for line in text.replace("\r", "").split("\n") if line.startswith("event: ")]
    assert (names[0], names[-1]) == ("batch", "completed")
    assert names.count("started") == names.count("ended") == 3


async def test_the_archive_has_every_result_under_its_name_and_says_what_failed(
    service: Client, tmp_path: Path
) -> None:
    pictures = [
        ("file", ("boat.jpg", PICTURES[0])),
        ("file", ("BOAT.jpg", PICTURES[1])),
        ("file", ("boat.jpg", BROKEN)),
    ]
    pictures.append(("file", ("Ferien äöü.jpg", PICTURES[2])))
    fields = {"variants": '{"small": {"format": "webp"}, "auto": {"format": "auto", "accept": "png"}}'}
    answer = await service.post("/batches", files=pictures, data=fields)
    batch_id, ids = answer.json()["batch_id"], answer.json()["task_ids"]
    await completed(service, batch_id)
    answer = await service.get(f"/batches/{batch_id}/result.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    names = ["boat-small.webp", "boat-auto.png", "BOAT-small-2.webp", "BOAT-auto-2.png"]
    names += ["Ferien_äöü-small.webp", "Ferien_äöü-auto.png", "manifest.json"]
    assert sorted(archive.namelist()) == sorted(names)
    manifest = json.loads(archive.read("manifest.json"))
    assert [(task["task_id"], task["status"]) for task in manifest["tasks"]] == [
        (task_id, "FAILURE" if number == 2 else "SUCCESS") for number, task_id in enumerate(ids)
    ]
    assert manifest["tasks"][2]["error_code"] == "damaged"
    assert manifest["tasks"][1]["files"] == {"small": "BOAT-small-2.webp", "auto": "BOAT-auto-2.png"}
    record = (await service.get(f"/tasks/{ids[0]}")).json()
    assert archive.read("boat-small.webp") == (await service.get(f"/{record['result']['small']}")).content
    check_with_other_readers(answer.content, tmp_path)


def check_with_other_readers(data: bytes, directory: Path) -> None:
    path = directory / "batch.zip"
    path.write_bytes(data)
    for command in (["unzip", "-tq", str(path)], ["bsdtar", "-xOf", "-"], ["7z", "t", str(path)]):
        if shutil.which(command[0]) is not None:
            subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)


async def test_ranges_and_conditions_of_an_archive(service: Client) -> None:
    accepted = await created(service, PICTURES)
    await completed(service, accepted["batch_id"])
    path = f"/batches/{accepted['batch_id']}/result.zip"
    whole = await service.get(path)
    size, etag = len(whole.content), whole.headers["etag"]
    for first, last in ((0, 0), (0, 99), (29, 700), (size - 40, size - 1), (0, size - 1)):
        part = await service.get(path, headers={"Range": f"bytes={first}-{last}", "If-Range": etag})
        assert (part.status_code, part.content) == (206, whole.content[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    assert (await service.get(path, headers={"Range": f"bytes={size}-"})).status_code == 416
    assert (await service.get(path, headers={"If-None-Match": etag})).status_code == 304
    head = await service.head(path)
    assert (head.headers["content-length"], head.content) == (str(size), b"")


async def test_an_archive_of_unfinished_tasks_is_partial_if_asked_for(api: Client) -> None:
    accepted = await created(api, PICTURES)
    path = f"/batches/{accepted['batch_id']}/result.zip"
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (409, "3 tasks of the batch have not ended yet")
    archive = zipfile.ZipFile(io.BytesIO((await api.get(f"{path}?partial=true")).content))
    assert archive.namelist() == ["manifest.json"]
    assert {task["status"] for task in json.loads(archive.read("manifest.json"))["tasks"]} == {"PENDING"}


async def is_true(value: bool) -> bool:
    return value
