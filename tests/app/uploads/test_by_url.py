"""`url` instead of `file`: the worker fetches the picture, with an upload's limits, and holds nobody up meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, PHOTO, Client, environment, eventually, problem_fields, process, serving, working
from tests.support.pictures import decoded, drawing, encoded, jpeg
from tests.support.receiver import Answer, Receiver, receiving
from tests.support.rendering import one
from worker.errors import ErrorCode
from worker.operations.resize import Resize
from worker.outbound.client import outbound_client
from worker.runner.cleanup import requeue_orphaned
from worker.runner.destinations import Destinations
from worker.runner.fetch import Fetcher
from worker.runner.processor import Processor
from worker.runner.slots import Slots
from worker.runner.task_renderer import TaskRenderer
from worker.storage import Storage
from worker.tasks.model import Spec, new_task_id
from worker.tasks.queue import FETCH_QUEUE, FETCHES_PER_HOST, LEASE_S, LEASES
from worker.tasks.status import Status
from worker.tasks.store import Tasks

MB = 1_000_000
HELD = Answer(body=[PHOTO[:100]], is_held=True)
"""The beginning of a picture, and then nothing more."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",))


@pytest.fixture
async def host() -> AsyncIterator[Receiver]:
    """Where the picture lies."""
    async with receiving(Answer(body=PHOTO)) as receiver:
        yield receiver


async def by_url(client: Client, url: str, **fields: str) -> str:
    """Queue a task for the picture at `url` and return its id."""
    form = {
        "url": (None, url),
        "operation": (None, "grayscale"),
        **{name: (None, text) for name, text in fields.items()},
    }
    answer = await client.post("/process-image/", files=form)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def failed(client: Client, url: str, **fields: str) -> str:
    """Return why the task failed."""
    view = await client.ended(await by_url(client, url, **fields))
    assert view["status"] == "FAILURE", view
    return str(view["error"])


async def refused(client: Client, **fields: str) -> dict[str, str]:
    form = {name: (None, text) for name, text in {"operation": "grayscale", **fields}.items()}
    return dict(problem_fields(await client.post("/process-image/", files=form)))


async def test_a_picture_by_url_becomes_what_the_same_upload_does(
    service: Client, host: Receiver, stored: Callable[[], list[str]]
) -> None:
    view = await service.ended(await by_url(service, f"{host.url}/albums/Am%20See.jpg?size=large"))
    assert view["result"] == f"processed/{view['task_id']}/Am_See.jpg"
    result = await service.get("/" + view["result"])
    assert result.headers["content-type"] == "image/jpeg"
    assert result.content == await service.picture(PHOTO)
    assert f"uploads/{view['task_id']}" in stored()
    [request] = host.received
    assert (request.method, request.target) == ("GET", "/albums/Am%20See.jpg?size=large")
    shown = await service.get(f"/task-result/{view['task_id']}", headers={"Accept": "image/*"})
    assert shown.content == result.content


async def test_the_record_says_what_came_once_it_is_there(api: Client, settings: Settings, host: Receiver) -> None:
    url = f"{host.url}/photo.jpg"
    task_id = await by_url(api, url)
    record = (await api.get(f"/tasks/{task_id}")).json()
    unknown = {"format": None, "bytes": None, "width": None, "height": None}
    assert record["file"] == {"name": "photo.jpg", "url": url, **unknown}
    assert (record["position"], record["outputs"]) == (1, [])
    assert (await api.get(f"/processed/{task_id}/photo.jpg")).status_code == 404
    async with working(settings):
        await api.ended(task_id)
    record = (await api.get(f"/tasks/{task_id}")).json()
    known = {"format": "jpeg", "bytes": len(PHOTO), "width": 200, "height": 150}
    assert record["file"] == {"name": "photo.jpg", "url": url, **known}
    host.answers = [Answer(404)]
    async with working(settings):
        failure = await by_url(api, url)
        await api.ended(failure)
    assert (await api.get(f"/tasks/{failure}")).json()["error_code"] == "fetch"


@pytest.mark.parametrize(("name", "extension"), [("PNG", "png"), ("WEBP", "webp"), ("BMP", "png")])
async def test_what_comes_keeps_its_format_whatever_its_name_says(service: Client, name: str, extension: str) -> None:
    async with receiving(Answer(headers={"Content-Type": "text/html"}, body=encoded(drawing(), name))) as host:
        view = await service.ended(await by_url(service, f"{host.url}/photo.jpg"))
    assert view["result"].endswith(f"/photo.{extension}")
    assert decoded((await service.get("/" + view["result"])).content).size == (200, 150)


async def test_a_url_goes_with_variants_and_an_overlay(service: Client, host: Receiver) -> None:
    form: dict[str, Any] = {
        "url": (None, host.url),
        "overlay": ("mark.png", encoded(drawing((20, 20), "RGBA"), "PNG")),
        "variants": (None, '{"a": {"operations": [{"operation": "watermark"}]}, "b": {"format": "png"}}'),
    }
    answer = await service.post("/process-image/", files=form)
    view = await service.ended(answer.json()["task_id"])
    assert view["result"] == {
        "a": f"processed/{view['task_id']}/image-a.jpg",
        "b": f"processed/{view['task_id']}/image-b.png",
    }


async def test_one_who_waits_gets_the_picture_or_why_there_is_none(service: Client, host: Receiver) -> None:
    host.answers = [Answer(404), Answer(404), Answer(body=PHOTO)]
    form = {"url": (None, host.url), "operation": (None, "grayscale")}
    wait = {"Prefer": "wait=10"}
    told = await service.post("/process-image/", files=form, headers=wait)
    assert (told.status_code, told.json()["status"]) == (200, "FAILURE")
    for status in (409, 200):
        answer = await service.post("/process-image/", files=form, headers={**wait, "Accept": "image/*"})
        assert answer.status_code == status
    assert decoded(answer.content).mode == "L"
    waiting = await by_url(service, host.url)
    assert (await service.get(f"/task-result/{waiting}", headers={**wait, "Accept": "image/*"})).status_code == 200


async def test_a_redirect_is_followed(service: Client, host: Receiver) -> None:
    async with receiving(Answer(302, {"Location": f"{host.url}/b.jpg"})) as first:
        view = await service.ended(await by_url(service, f"{first.url}/a.jpg"))
    assert view["result"].endswith("/a.jpg")


async def test_a_form_has_a_file_or_a_url(api: Client, stored: Callable[[], list[str]]) -> None:
    assert (await refused(api))["file"] == (
        "is missing; send the image in the form field 'file', or its address in 'url'"
    )
    both: dict[str, Any] = {
        "file": ("a.jpg", PHOTO),
        "url": (None, "http://example.com/a.jpg"),
        "operation": (None, "grayscale"),
    }
    fields = problem_fields(await api.post("/process-image/", files=both))
    assert fields == {"url": "cannot be combined with file or url; send one of them"}
    assert stored() == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/a.jpg", "it must begin with http:// or https://"),
        ("http://user:secret@example.com/", "it must not contain a user name or password"),
        ("http://example.com/" + "a" * 2030, "it must have at most 2,048 characters; got 2,049"),
        ("http://10.0.0.1/a.jpg", "it leads to 10.0.0.1, which is not on the public Internet"),
        ("http://[::1]/a.jpg", "it leads to ::1, which is not on the public Internet"),
    ],
)
async def test_a_url_that_cannot_be_is_refused_at_once(api: Client, redis: ArqRedis, url: str, reason: str) -> None:
    fields = await refused(api, url=url, width="0")
    assert reason in fields["url"]
    assert "width" in fields  # one answer names every problem
    assert await redis.zcard(FETCH_QUEUE) == 0


async def test_a_wish_that_no_picture_can_fulfil_is_refused_at_once(api: Client, host: Receiver) -> None:
    assert await refused(api, url=host.url, format="png", quality="5") == {
        "quality": "is not supported by png; omit it or choose another format"
    }


async def test_a_wish_that_does_not_go_with_what_came_fails(service: Client) -> None:
    async with receiving(Answer(body=encoded(drawing(), "PNG"))) as host:
        error = await failed(service, host.url, quality="5")
    assert error == "quality: is not supported by png; omit it or choose another format"


FORMATS = "jpeg, png, webp, avif, gif, tiff, bmp, ico, heic, jp2, jxl"


async def test_what_cannot_be_fetched_fails_with_the_reason(service: Client, settings: Settings) -> None:
    reasons: dict[str, Answer] = {
        "127.0.0.1 answered 404 Not Found instead of an image": Answer(404, body=PHOTO),
        "127.0.0.1 answered 500 Internal Server Error instead of an image": Answer(500),
        "127.0.0.1 answered 304 Not Modified instead of an image": Answer(304),
        f"127.0.0.1 did not send a supported image but a web page; supported formats: {FORMATS}": Answer(
            body=b"<html>"
        ),
        "the image could not be fetched from 127.0.0.1: Exceeded maximum allowed redirects.": Answer(
            302, {"Location": "/"}
        ),
        "the image is too large; the limit is 33,554,432 bytes": Answer(headers={"Content-Length": "33554433"}),
    }
    for reason, answer in reasons.items():
        async with receiving(answer) as host:
            assert await failed(service, host.url) == reason
    async with receiving(Answer(headers={"Content-Length": "1000000"}, body=[PHOTO])) as host:
        assert "the image could not be fetched from 127.0.0.1: " in await failed(service, host.url)
    assert "the image could not be fetched from 127.0.0.1: " in await failed(service, host.url)  # it is gone now


@pytest.mark.parametrize("location", ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "//0xa.1/"])
async def test_a_redirect_into_the_network_fails(
    service: Client, location: str, stored: Callable[[], list[str]]
) -> None:
    async with receiving(Answer(302, {"Location": location})) as host:
        error = await failed(service, host.url)
    assert error.startswith("the image was not fetched: its URL, or a redirect, leads to ")
    assert stored() == []


async def test_a_name_for_this_machine_fails_unless_it_is_opened(redis: ArqRedis, settings: Settings) -> None:
    closed = msgspec.structs.replace(settings, outbound_allow=())
    async with receiving(Answer(body=PHOTO)) as host, serving(closed) as url, Client(base_url=url) as client:
        async with working(closed):
            error = await failed(client, f"http://localhost:{host.port}/")
        assert error.endswith("leads to localhost, which is not on the public Internet (OUTBOUND_ALLOW opens more)")
        assert host.received == []


async def test_a_picture_without_end_is_broken_off_at_the_limit(
    service: Client, stored: Callable[[], list[str]]
) -> None:
    async with receiving(Answer(body=[jpeg(), *[b"\0" * MB] * 200])) as host:
        error = await failed(service, host.url)
        assert error == "the image is too large; the limit is 33,554,432 bytes"
        assert 33 * MB < host.sent_bytes < 60 * MB
    assert stored() == []


async def test_a_picture_with_too_many_pixels_is_broken_off_by_its_header(redis: ArqRedis, settings: Settings) -> None:
    small = msgspec.structs.replace(settings, max_pixels=1000)
    async with receiving(Answer(body=[PHOTO + b"\0" * MB, *[b"\0" * MB] * 30])) as host:
        async with serving(settings) as url, Client(base_url=url) as client, working(small):
            assert (
                await failed(client, host.url)
                == "200 x 150 pixels are too many; an image may have 1,000 pixels in total"
            )
        assert host.sent_bytes < 20 * MB


async def test_a_large_picture_is_streamed_whole(service: Client, tmp_path: Path) -> None:
    async with receiving(Answer(body=[jpeg(), *[b"\0" * MB] * 20])) as host:
        view = await service.ended(await by_url(service, host.url))
    assert view["status"] == "SUCCESS"
    assert (tmp_path / "storage" / "uploads" / view["task_id"]).stat().st_size == 20 * MB + len(jpeg())


async def test_a_server_that_takes_too_long_fails_the_task(redis: ArqRedis, settings: Settings) -> None:
    hasty = msgspec.structs.replace(settings, upload_timeout_s=0.3)
    async with receiving(HELD) as host, serving(hasty) as url, Client(base_url=url) as client, working(hasty):
        assert await failed(client, host.url) == "127.0.0.1 did not send the image within 0.3 s"
        await eventually(lambda: is_let_go(host))


async def is_let_go(host: Receiver) -> bool:
    return host.connections == 0


async def is_asked(host: Receiver, times: int = 1) -> bool:
    return len(host.received) == times


async def test_servers_that_hang_hold_no_other_task_up(redis: ArqRedis, settings: Settings, host: Receiver) -> None:
    """More of them than a worker fetches from one host: the rest waits, uploads and other hosts do not."""
    patient = msgspec.structs.replace(settings, upload_min_bytes_s=0)
    async with (
        serving(patient) as url,
        Client(base_url=url) as client,
        working(patient),
        receiving(HELD) as hanging,
    ):
        waiting = [await by_url(client, hanging.url) for _ in range(FETCHES_PER_HOST + 4)]
        await eventually(lambda: is_asked(hanging, FETCHES_PER_HOST))
        for _ in range(5):
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"
            other = await by_url(client, f"http://localhost:{host.port}/")
            assert (await client.ended(other))["status"] == "SUCCESS"
        assert len(hanging.received) == FETCHES_PER_HOST
        assert await redis.zcard(FETCH_QUEUE) == 4
        hanging.answers = [Answer(body=PHOTO)]
        hanging.break_off()
        views = [await client.ended(task_id) for task_id in waiting]
    assert [view["status"] for view in views] == ["FAILURE"] * FETCHES_PER_HOST + ["SUCCESS"] * 4


async def test_a_server_that_trickles_or_does_not_answer_fails_the_task_soon(service: Client) -> None:
    """32 of them held up all others for a minute."""
    async with receiving(HELD) as trickling, receiving(Answer(status=0, is_held=True)) as silent:
        slow, mute = [await by_url(service, each.url) for each in (trickling, silent)]
        assert (await service.ended(slow))["error"] == "127.0.0.1 did not send the image at 4,000 bytes per second"
        assert (await service.ended(mute))["error"] == "the image could not be fetched: no answer within 10 s"


async def test_an_error_quotes_little_of_what_a_server_sends(service: Client) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    answers = [b"HTTP/1.1 200 OK\r\n\xff" * 500, b"nonsense\r\n\r\n", b"HTTP/1.1 404 " + b"x" * 5000 + b"\r\n\r\n"]
    async with await asyncio.start_server(odd, "127.0.0.1", 0) as server:
        place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        errors = [await failed(service, place) for _ in list(answers)]
    invalid = "the image could not be fetched from 127.0.0.1: its answer is not valid HTTP"
    assert errors == [invalid, invalid, f"127.0.0.1 answered 404 {'x' * 200} instead of an image"]


async def test_a_task_is_cancelled_while_its_picture_is_fetched(
    service: Client, stored: Callable[[], list[str]], redis: ArqRedis
) -> None:
    async with receiving(HELD) as host:
        task_id = await by_url(service, host.url)
        await eventually(lambda: is_asked(host))
        assert (await service.post(f"/tasks/{task_id}/cancel")).status_code == 202
        assert (await service.ended(task_id))["status"] == "REVOKED"
        await eventually(lambda: is_let_go(host))
    assert stored() == []
    assert await redis.zcard(LEASES) == 0


async def test_a_task_is_cancelled_before_its_picture_is_fetched(api: Client, redis: ArqRedis, host: Receiver) -> None:
    task_id = await by_url(api, host.url)
    assert (await api.post(f"/tasks/{task_id}/cancel")).json()["status"] == "REVOKED"
    assert await redis.zcard(FETCH_QUEUE) == 0
    assert (await api.delete(f"/tasks/{task_id}")).status_code == 204


async def test_a_retry_fetches_again_only_what_is_not_there(
    service: Client, tasks: Tasks, tmp_path: Path, host: Receiver
) -> None:
    host.answers = [Answer(503), Answer(body=PHOTO)]
    task_id = await by_url(service, host.url)
    assert (await service.ended(task_id))["status"] == "FAILURE"
    assert (await service.post(f"/tasks/{task_id}/retry")).status_code == 202  # nothing had come
    assert (await service.ended(task_id))["status"] == "SUCCESS"
    assert len(host.received) == 2

    over = {"operation": "resize", "width": "9000", "height": "9000"}
    task_id = await by_url(service, host.url, **over)
    assert "are too many" in (await service.ended(task_id))["error"]
    await service.post(f"/tasks/{task_id}/retry")  # the picture is there
    assert "are too many" in (await service.ended(task_id))["error"]
    assert len(host.received) == 3
    (tmp_path / "storage" / "uploads" / task_id).unlink()
    await service.post(f"/tasks/{task_id}/retry")
    assert "are too many" in (await service.ended(task_id))["error"]
    assert len(host.received) == 4


async def test_a_retry_after_an_unfitting_format_looks_again(service: Client, host: Receiver) -> None:
    host.answers = [Answer(body=encoded(drawing(), "PNG")), Answer(body=PHOTO)]
    task_id = await by_url(service, host.url, quality="50")
    assert (await service.ended(task_id))["error"].startswith("quality: is not supported by png")
    await service.post(f"/tasks/{task_id}/retry")
    assert (await service.ended(task_id))["status"] == "SUCCESS"


async def test_a_killed_workers_fetch_is_taken_over(api: Client, settings: Settings, host: Receiver) -> None:
    host.answers = [HELD, Answer(body=PHOTO)]
    with process("-m", "worker", **environment(settings)) as worker:
        task_id = await by_url(api, host.url)
        await eventually(lambda: is_asked(host))
        worker.kill()
        worker.wait()
    async with working(settings):
        await eventually(lambda: is_asked(host, 2), LEASE_S * 3)
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_stopping_worker_hands_back_what_it_fetches(
    api: Client, settings: Settings, tasks: Tasks, host: Receiver
) -> None:
    host.answers = [HELD, Answer(body=PHOTO)]
    rushed = msgspec.structs.replace(settings, shutdown_grace_s=0.1)
    with process("-m", "worker", **environment(rushed)) as worker:
        task_id = await by_url(api, host.url)
        await eventually(lambda: is_asked(host))
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0
    task = await tasks.get(task_id)
    assert (task.status, task.fetch, task.deaths) == (Status.PENDING, True, 0)
    async with working(settings):
        assert (await api.ended(task_id))["status"] == "SUCCESS"


async def test_a_fetch_waits_for_storage_that_is_away(
    service: Client, tasks: Tasks, tmp_path: Path, host: Receiver
) -> None:
    blocker = tmp_path / "storage" / "uploads"
    blocker.parent.mkdir(exist_ok=True)
    blocker.write_text("a file where a directory should be")
    task_id = await by_url(service, host.url)

    async def handed_back() -> bool:
        return (await tasks.get(task_id)).handed_back > 0

    await eventually(handed_back)
    blocker.unlink()
    assert (await service.ended(task_id))["status"] == "SUCCESS"


async def test_what_waits_to_be_fetched_is_not_taken_for_lost(
    api: Client, tasks: Tasks, redis: ArqRedis, host: Receiver
) -> None:
    held, lost = [await by_url(api, host.url) for _ in range(2)]
    await redis.zrem(FETCH_QUEUE, lost)
    await redis.zadd("tasks:PENDING", {held: 1, lost: 1})
    await requeue_orphaned(tasks)
    assert await redis.zscore(FETCH_QUEUE, lost) is not None
    assert await redis.zcard("arq:queue") == 0


async def test_in_arqs_own_loop_the_fetches_have_a_worker_of_their_own(
    api: Client, settings: Settings, host: Receiver, redis: ArqRedis
) -> None:
    with process("-m", "arq", "worker.main.FetchSettings", **environment(settings)) as worker:
        assert (await api.ended(await by_url(api, host.url)))["status"] == "SUCCESS"

        async def is_settled() -> Any:
            return not await redis.zcard(FETCH_QUEUE) and not await redis.keys("arq:job:*")

        await eventually(is_settled)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, DEADLINE_S) == 0


@pytest.mark.parametrize("place", ["/caf\xe9.jpg", "/caf\xc3\xa9.jpg", "/\xff\xfe?\x80=\xbf", "caf\xe9.jpg#\xe9"])
async def test_a_redirect_may_have_bytes_that_are_not_ascii(service: Client, host: Receiver, place: str) -> None:
    host.answers = [Answer(status=302, headers={"Location": place}), Answer(body=PHOTO)]
    view = await service.ended(await by_url(service, f"{host.url}/photo.jpg"))
    assert view["status"] == "SUCCESS", view
    assert host.received[1].target.isascii()


@pytest.mark.parametrize(
    "place",
    ["http://\x80/", "//\xff.example/", "http://[::1", "http://xn--\xe9/", "/\x01", "http://a:99999/", "\xe9:x", ""],
)
async def test_a_redirect_that_leads_nowhere_fails_the_task_at_once(
    service: Client, host: Receiver, place: str
) -> None:
    host.answers = [Answer(status=302, headers={"Location": place})]
    task_id = await by_url(service, f"{host.url}/photo.jpg")
    view = await service.ended(task_id)
    assert view["status"] == "FAILURE"
    record = (await service.get(f"/tasks/{task_id}")).json()
    assert (record["error_code"], record["attempts"]) == ("fetch", 1)


async def test_an_unforeseen_error_while_fetching_ends_the_task_at_once(
    redis: ArqRedis, tasks: Tasks, settings: Settings, storage: Storage
) -> None:
    """The resolver raises what none should. Left to its lease, the task would take 46 s and blame the worker."""

    async def resolve(host: str, port: int) -> list[str]:
        raise ZeroDivisionError(host, port)

    task_id = new_task_id()
    await tasks.create(task_id, Spec(one([Resize(width=5)]), None, "photo", url="http://images.example/photo.jpg"))
    slots = Slots(1, lambda: None)
    async with outbound_client((), resolve) as outbound:
        fetcher, destinations = Fetcher(settings, storage, outbound, {}), Destinations({}, storage, outbound)
        render = TaskRenderer(settings, storage, slots).outputs
        processor = Processor(settings, tasks, storage, render, fetcher, destinations)
        [task] = await tasks.begin(0, fetches=1)
        await processor.process(task)
    slots.close()
    ended = await tasks.get(task_id)
    assert (ended.status, ended.error_code) == (Status.FAILURE, ErrorCode.INTERNAL)
    assert ended.error == "an unexpected error stopped the processing (ZeroDivisionError)"
    assert await redis.zcard(LEASES) == 0
