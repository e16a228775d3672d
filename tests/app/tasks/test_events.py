"""What clients hear of their tasks: waiting instead of asking, and server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.http.negotiation import wait_s
from app.tasks.event_hub import MAX_UNREAD_EVENTS, EventHub, Subscriber, wait_for_end
from tests.conftest import DEADLINE_S, PHOTO, Client, api_process, eventually, problem_fields, working
from tests.support.pictures import decoded, jpeg
from tests.worker.tasks.test_tasks import created
from worker.tasks.connection import connect
from worker.tasks.events import Event
from worker.tasks.status import Status
from worker.tasks.store import Tasks

Message = tuple[str, dict[str, Any], str | None]
"""Name, data and id of an event."""


async def messages(client: Client, path: str, **headers: str) -> AsyncGenerator[Message]:
    """Yield events as they come, as a browser reads them."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line and name:  # without a name it is a comment
                fields[name] = value
            elif not line and "data" in fields:
                yield fields["event"], json.loads(fields["data"]), fields.get("id")
                fields = {}


async def all_messages(client: Client, path: str, **headers: str) -> list[Message]:
    async with asyncio.timeout(DEADLINE_S):
        return [message async for message in messages(client, path, **headers)]


FORM: dict[str, Any] = {"files": {"file": ("photo.jpg", PHOTO)}, "data": {"operation": "grayscale"}}


async def test_a_post_that_waits_is_answered_with_the_end(service: Client) -> None:
    answer = await service.post("/process-image/", **FORM, headers={"Prefer": "wait=20"})
    task_id = answer.json()["task_id"]
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"] == f"/task-status/{task_id}"
    assert answer.json() == {"task_id": task_id, "status": "SUCCESS", "result": f"processed/{task_id}/photo.jpg"}


async def test_one_request_gives_the_picture_to_who_wants_an_image(service: Client) -> None:
    headers = {"Prefer": "wait=20", "Accept": "image/*", "Range": "bytes=0-9"}
    answer = await service.post("/process-image/", **FORM, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert decoded(answer.content).mode == "L"
    assert (await service.get(answer.headers["content-location"])).content == answer.content


async def test_what_failed_is_said_to_who_waits(service: Client) -> None:
    broken: dict[str, Any] = {"files": {"file": jpeg((800, 600))[:3000]}, "data": {"operation": "grayscale"}}
    answer = await service.post("/process-image/", **broken, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.json()["status"]) == (200, "FAILURE")
    answer = await service.post("/process-image/", **broken, headers={"Prefer": "wait=20", "Accept": "image/*"})
    assert answer.status_code == 409
    assert "damaged or truncated" in answer.json()["detail"]


async def test_several_results_are_not_one_picture(service: Client) -> None:
    wish: dict[str, Any] = {"files": {"file": PHOTO}, "data": {"variants": '{"a": {}, "b": {}}'}}
    answer = await service.post("/process-image/", **wish, headers={"Prefer": "wait=20", "Accept": "image/*"})
    assert answer.status_code == 406
    assert answer.json()["detail"] == "the task has 2 results; request one of them, or JSON: a, b"
    assert (await service.get("/tasks")).json()["tasks"] == []  # it was known before any work


async def test_who_waits_in_vain_gets_the_usual_answer(api: Client) -> None:
    answer = await api.post("/process-image/", **FORM, headers={"Prefer": "wait=0", "Accept": "image/*"})
    task_id = answer.json()["task_id"]
    assert answer.status_code == 202
    assert answer.json() == {"task_id": task_id, "message": "Image processing started"}
    assert answer.headers["preference-applied"] == "wait=0"
    status = await api.get(f"/task-status/{task_id}", headers={"Prefer": "wait=0"})
    assert status.json() == {"task_id": task_id, "status": "PENDING"}
    assert (await api.get(f"/task-result/{task_id}", headers={"Prefer": "wait=0"})).status_code == 409


async def test_an_id_is_waited_for_and_cancelled_however_its_letters_are_written(api: Client) -> None:
    task_id = await api.upload()
    waiting = asyncio.create_task(api.get(f"/task-status/{task_id.upper()}", headers={"Prefer": "wait=60"}))
    assert (await api.post(f"/tasks/{task_id.upper()}/cancel")).json()["status"] == "REVOKED"
    async with asyncio.timeout(DEADLINE_S):
        assert (await waiting).json() == {"task_id": task_id, "status": "REVOKED"}


async def test_without_a_preference_nothing_is_waited_for_or_said(service: Client) -> None:
    for headers in ({}, {"Prefer": "respond-async"}, {"Prefer": "wait=soon"}, {"Accept": "image/*"}):
        answer = await service.post("/process-image/", **FORM, headers=headers)
        assert answer.status_code == 202
        assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("wait=10", 10), ("Wait = 10", 10), ('wait="10"', 10), ("respond-async, wait=10", 10), ("wait=10; x=y, z", 10),
        ("wait=100", 60), ("wait=0", 0), ("wait=10, wait=20", 10), ('foo="a, wait=3", wait=5', 5),
        ("", None), ("wait", None), ("wait=", None), ("wait=-1", None), ("wait=1.5", None), ("waiting=3", None),
    ],
)  # fmt: skip
def test_a_preference_is_read_as_its_standard_says(header: str, expected: int | None) -> None:
    assert wait_s({"prefer": header}) == expected


async def test_waiting_asks_redis_for_nothing(api: Client, redis: ArqRedis) -> None:
    """A question each 5 ms, to be as fast by polling, would be 200; counts are sent once a second."""
    task_id = await api.upload()

    async def commands() -> int:
        return int((await redis.info("stats"))["total_commands_processed"])

    before = await commands()
    await api.get(f"/task-status/{task_id}", headers={"Prefer": "wait=1"})
    assert await commands() - before < 40


async def test_a_thousand_waiting_clients_cost_one_connection(redis: ArqRedis, settings: Settings) -> None:
    tasks, client = Tasks(redis, settings), connect(settings.redis_url)
    events = EventHub(client)
    before = len(await redis.client_list())
    ids = [await created(tasks) for _ in range(1000)]
    waiting = [asyncio.create_task(wait_for_end(task_id, tasks, events, DEADLINE_S)) for task_id in ids]

    async def all_listen() -> bool:
        return sum(len(each) for each in events._subscribers.values()) == 1000

    await eventually(all_listen)
    assert len(await redis.client_list()) <= before + 101  # that many at most for the 1000 questions at the start
    await eventually(lambda: reads(redis))
    assert await reads(redis) == 1
    for task_id in ids:
        await tasks.move(task_id, Status.REVOKED)
    assert {task.status for task in await asyncio.gather(*waiting)} == {Status.REVOKED}
    assert events._reader is None
    await client.aclose(close_connection_pool=True)


async def test_a_tasks_events_tell_each_step_and_close_with_its_end(api: Client, settings: Settings) -> None:
    variants = {"a": {"operations": [{"operation": "resize"}, {"operation": "blur"}]}, "b": {"format": "png"}}
    answer = await api.post(
        "/process-image/", files={"file": ("p.jpg", PHOTO)}, data={"variants": json.dumps(variants)}
    )
    task_id = answer.json()["task_id"]
    heard: list[Message] = []
    async with aclosing(messages(api, f"/tasks/{task_id}/events")) as stream, asyncio.timeout(DEADLINE_S):
        heard.append(await anext(stream))
        async with working(settings):
            heard += [message async for message in stream]
    paths = {name: f"processed/{task_id}/p-{name}.{kind}" for name, kind in (("a", "jpg"), ("b", "png"))}
    assert [(name, data) for name, data, _ in heard] == [
        ("queued", {"task_id": task_id, "status": "PENDING", "attempt": 0}),
        ("started", {"task_id": task_id, "status": "STARTED", "attempt": 1}),
        ("operation", {"task_id": task_id, "progress": 0.25, "operation": "resize", "variant": "a"}),
        ("operation", {"task_id": task_id, "progress": 0.5, "operation": "blur", "variant": "a"}),
        ("output", {"task_id": task_id, "progress": 0.75, "path": paths["a"], "variant": "a"}),
        ("output", {"task_id": task_id, "progress": 1.0, "path": paths["b"], "variant": "b"}),
        ("ended", {"task_id": task_id, "status": "SUCCESS", "attempt": 1, "result": paths}),
    ]
    again = await all_messages(api, f"/tasks/{task_id}/events")
    assert [(name, data) for name, data, _ in again] == [("ended", heard[-1][1])]


async def test_a_long_task_tells_its_steps_while_it_runs(redis: ArqRedis, service: Client) -> None:
    steps = [{"operation": "resize", "width": 3000}] + [{"operation": "blur"}] * 8
    answer = await service.post("/process-image/", files={"file": PHOTO}, data={"operations": json.dumps(steps)})
    heard = await all_messages(service, f"/tasks/{answer.json()['task_id']}/events")
    [first] = [data for name, data, _ in heard if name == "operation"][:1]
    assert first["operation"] == "resize"
    entries = await redis.xrange("tasks:events")
    assert any(b"status" not in entry for _, entry in entries), "an entry of its own, before the end"


async def test_who_comes_back_hears_what_was_missed_and_nothing_twice(api: Client, settings: Settings) -> None:
    task_id, other_id = await api.upload(), await api.upload()
    [(_, _, queued)] = [message async for message in first(api, f"/tasks/{task_id}/events", 1)]
    async with working(settings):
        await api.ended(task_id)
        await api.ended(other_id)
    heard = await all_messages(api, f"/tasks/{task_id}/events", **{"Last-Event-ID": str(queued)})
    assert {data["task_id"] for _, data, _ in heard} == {task_id}
    assert [name for name, _, _ in heard] == ["started", "operation", "output", "ended"]
    last = heard[-1][2]
    nothing = await api.get(f"/tasks/{task_id}/events", headers={"Last-Event-ID": str(last)})
    assert nothing.status_code == 204, "by which a browser knows that it need not come back"

    everything = [message async for message in first(api, "/events", 7, **{"Last-Event-ID": "0"})]
    assert [name for name, _, _ in everything[:2]] == ["queued", "queued"]
    assert [data["position"] for _, data, _ in everything[:2]] == [1, 2]
    ids = [event_id for _, _, event_id in everything if event_id]
    assert len(set(ids)) == len(ids)


async def first(client: Client, path: str, count: int, **headers: str) -> AsyncGenerator[Message]:
    async with aclosing(messages(client, path, **headers)) as stream, asyncio.timeout(DEADLINE_S):
        for _ in range(count):
            yield await anext(stream)


async def test_all_events_can_be_narrowed_to_states(service: Client) -> None:
    failed = await service.upload(jpeg((800, 600))[:3000])
    await service.ended(failed)
    await service.ended(await service.upload())
    await service.ended(await service.upload(jpeg((800, 600))[:3000]))
    ends = [message async for message in first(service, "/events?status=FAILURE,REVOKED", 2, **{"Last-Event-ID": "0"})]
    assert [(name, data["status"]) for name, data, _ in ends] == [("ended", "FAILURE")] * 2
    assert ends[0][1]["task_id"] == failed


async def test_a_stream_that_cannot_be_is_refused(api: Client) -> None:
    task_id = await api.upload()
    wrong = await api.get("/events?status=DONE&since=3", headers={"Last-Event-ID": "x"})
    assert problem_fields(wrong) == {
        "Last-Event-ID": "must be the id of an event; send that of the last event received"
    }
    wrong = await api.get("/events?status=DONE&since=3")
    assert set(problem_fields(wrong)) == {"status", "since"}
    assert problem_fields(await api.get(f"/tasks/{task_id}/events", headers={"Last-Event-ID": "1-2-3"}))
    for path in ("no-task", "f8a5d96e-ff1f-4d9d-bc67-b1c6b9dbec1f"):
        assert (await api.get(f"/tasks/{path}/events")).status_code == 404


async def test_a_slow_listener_is_dropped_and_slows_nobody() -> None:
    slow, quick = Subscriber(), Subscriber()
    event = Event("1-0", "id", None, 1, Status.STARTED, None, [])
    for _ in range(MAX_UNREAD_EVENTS + 1):
        slow.push(event)
        quick.push(event)
        assert await quick.next() is event
    assert slow.is_dropped
    assert await slow.next() is None
    assert not quick.is_dropped


async def test_events_go_on_after_redis_was_away(redis: ArqRedis, api: Client, tasks: Tasks) -> None:
    """Whatever breaks the reader's connection; what happened meanwhile is heard too."""
    task_id = await api.upload()
    async with aclosing(messages(api, f"/tasks/{task_id}/events")) as stream, asyncio.timeout(DEADLINE_S):
        assert (await anext(stream))[0] == "queued"
        await redis.client_kill_filter(_type="normal", skipme=True)
        await tasks.move(task_id, Status.REVOKED)
        name, data, _ = await anext(stream)
        assert (name, data["status"]) == ("ended", "REVOKED")


async def test_a_server_that_stops_lets_go_of_those_who_listen_and_wait(
    redis: ArqRedis, settings: Settings, tmp_path: Any
) -> None:
    with api_process(settings.redis_url, tmp_path / "storage") as (process, url):
        async with Client(base_url=url) as client:
            task_id = await client.upload()
            waiting = asyncio.create_task(client.get(f"/task-status/{task_id}", headers={"Prefer": "wait=60"}))
            async with aclosing(messages(client, "/events", **{"Last-Event-ID": "0"})) as stream:
                assert (await anext(stream))[0] == "queued"
                await eventually(lambda: reads(redis))
                process.terminate()
                assert [message async for message in stream] == []
            assert (await waiting).json()["status"] == "PENDING"
            assert await asyncio.to_thread(process.wait, DEADLINE_S) in (0, -15)


async def reads(redis: ArqRedis) -> int:
    """Count the connections that wait for events."""
    return [each["cmd"] for each in await redis.client_list()].count("xread")
