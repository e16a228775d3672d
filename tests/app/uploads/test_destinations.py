"""Results where clients want them: presigned URLs, and stores that the operator lists."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from arq.connections import ArqRedis
from moto.server import ThreadedMotoServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import PHOTO, Client, eventually, problem_fields, serving, working
from tests.support.pictures import decoded
from tests.support.receiver import Answer, Receiver, receiving
from worker.runner.destinations import SENDS_PER_HOST

OK = Answer(200)
VARIANTS = '{"small": {"operations": [{"operation": "resize", "width": 20}]}, "same": {"format": "webp"}}'
TWO: dict[str, Any] = {"operation": "", "variants": VARIANTS}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    stores = (f"assets={tmp_path / 'assets'}", f"archive=file://{tmp_path / 'archive'}")
    return msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",), delivery_stores=stores)


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.runner.processor.LONGEST_DELAY_S", 0.01)


@pytest.fixture
async def host() -> AsyncIterator[Receiver]:
    async with receiving(OK) as receiver:
        yield receiver


@asynccontextmanager
async def service_with_host(settings: Settings, *answers: Answer) -> AsyncIterator[tuple[Client, Receiver]]:
    """Run the service, and a server for its results that gives these answers."""
    async with (
        receiving(*answers) as host,
        serving(settings) as url,
        working(settings),
        Client(base_url=url) as api,
    ):
        yield api, host


async def record(api: Client, task_id: str) -> dict[str, Any]:
    await api.ended(task_id)
    found: dict[str, Any] = (await api.get(f"/tasks/{task_id}")).json()
    return found


async def test_the_result_is_put_to_a_url_before_the_task_succeeds(service: Client, host: Receiver) -> None:
    task_id = await service.upload(output_url=f"{host.url}/bucket/photo.jpg?signature=secret")
    view = await record(service, task_id)
    assert view["status"] == "SUCCESS"
    [request] = host.received
    assert (request.method, request.target) == ("PUT", "/bucket/photo.jpg?signature=secret")
    assert request.headers["content-type"] == "image/jpeg"
    assert int(request.headers["content-length"]) == len(request.body)
    assert request.body == (await service.get("/" + view["result"])).content
    assert "secret" not in str(view)


async def test_each_variant_has_a_url_of_its_own(service: Client, host: Receiver) -> None:
    urls = f'{{"small": "{host.url}/s", "same": "{host.url}/w"}}'
    task_id = await service.upload(**TWO, output_url=urls)
    assert (await record(service, task_id))["status"] == "SUCCESS"
    assert {(request.target, decoded(request.body).size) for request in host.received} == {
        ("/s", (20, 15)),
        ("/w", (200, 150)),
    }


@pytest.mark.parametrize("answer", [Answer(503), Answer(429), Answer(408), Answer(0)])
async def test_a_host_that_fails_for_a_while_is_tried_again_without_processing_again(
    redis: ArqRedis, settings: Settings, answer: Answer
) -> None:
    async with service_with_host(settings, answer, answer, OK) as (api, host):
        view = await record(api, await api.upload(output_url=f"{host.url}/a"))
        assert view["status"] == "SUCCESS"
        assert len(host.received) == 3
        steps = (await api.get(f"/tasks/{view['task_id']}/timeline")).json()
        assert str(steps).count("grayscale") == 1
        assert view["progress"] == 1


@pytest.mark.parametrize(
    ("answer", "said"), [(Answer(403), "127.0.0.1 answered 403"), (Answer(404), "127.0.0.1 answered 404")]
)
async def test_a_refusal_fails_the_task_with_a_code_of_its_own(
    redis: ArqRedis, settings: Settings, answer: Answer, said: str
) -> None:
    async with service_with_host(settings, answer, OK) as (api, host):
        task_id = await api.upload(output_url=f"{host.url}/a?secret")
        view = await record(api, task_id)
        assert (view["status"], view["error_code"]) == ("FAILURE", "delivery")
        assert view["error"].startswith(f"the result was not delivered: {said}")
        assert (await api.post(f"/tasks/{task_id}/retry")).status_code == 202
        assert (await record(api, task_id))["status"] == "SUCCESS"


async def test_after_ten_tries_the_task_fails(redis: ArqRedis, settings: Settings) -> None:
    async with service_with_host(settings, Answer(503)) as (api, host):
        view = await record(api, await api.upload(output_url=f"{host.url}/a"))
        assert (view["status"], view["error_code"], len(host.received)) == ("FAILURE", "delivery", 10)


async def test_a_host_that_hangs_keeps_no_other_task_waiting(redis: ArqRedis, settings: Settings) -> None:
    async with service_with_host(settings, Answer(0, is_held=True)) as (api, host):
        sending = [await api.upload(output_url=f"{host.url}/{number}") for number in range(20)]

        async def as_many_are_sent_as_may_be() -> bool:
            return len(host.received) == SENDS_PER_HOST

        await eventually(as_many_are_sent_as_may_be)
        assert (await api.ended(await api.upload()))["status"] == "SUCCESS"
        for task_id in sending:
            await api.post(f"/tasks/{task_id}/cancel")
        host.break_off()
        for task_id in sending:
            assert (await api.ended(task_id))["status"] == "REVOKED"


async def test_results_are_copied_to_a_store(service: Client, tmp_path: Path) -> None:
    task_id = await service.upload(**TWO, output_prefix="assets/2026/shop")
    view = await record(service, task_id)
    assert view["status"] == "SUCCESS"
    for name in ("photo-small.jpg", "photo-same.webp"):
        kept = (tmp_path / "assets" / "2026" / "shop" / name).read_bytes()
        assert kept == (await service.get(f"/processed/{task_id}/{name}")).content


async def test_an_image_comes_from_a_store(service: Client, tmp_path: Path) -> None:
    (tmp_path / "archive" / "in").mkdir(parents=True)
    (tmp_path / "archive" / "in" / "cat photo.jpg").write_bytes(PHOTO)
    form = {"source": "archive/in/cat photo.jpg", "operation": "resize", "width": "40"}
    task_id = (await service.post("/process-image/", data=form)).json()["task_id"]
    view = await record(service, task_id)
    assert view["status"] == "SUCCESS"
    assert view["file"] == {"name": "cat photo.jpg", "format": "jpeg", "bytes": len(PHOTO), "width": 200, "height": 150}
    assert view["result"] == f"processed/{task_id}/cat_photo.jpg"

    for name, said in (
        ("none.jpg", "the store archive has no none.jpg"),
        ("text.jpg", "did not send a supported image"),
    ):
        (tmp_path / "archive" / "text.jpg").write_text("no image")
        form["source"] = f"archive/{name}"
        task_id = (await service.post("/process-image/", data=form)).json()["task_id"]
        view = await record(service, task_id)
        assert (view["status"], view["error_code"]) == ("FAILURE", "fetch")
        assert said in view["error"]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"output_prefix": "nowhere/x"}, "output_prefix", "must begin with the name of a store; got 'nowhere/x'"),
        ({"output_prefix": "assets/../x"}, "output_prefix", "must be a plain path"),
        ({"output_prefix": "assets//x"}, "output_prefix", "must be a plain path"),
        ({"output_prefix": "assets/a\\b"}, "output_prefix", "must be a plain path"),
        ({"output_prefix": "assets/" + "ü" * 128}, "output_prefix", "must have at most 255 bytes between two slashes"),
        ({"output_prefix": "assets/" + "x" * 900}, "output_prefix", "must have at most 900 characters"),
        ({"source": "assets/x"}, "source", "cannot be combined with file or url; send one of them"),
        ({"output_url": "ftp://a.example/"}, "output_url", "is not allowed: it must begin with http"),
        ({"output_url": "http://10.0.0.1/"}, "output_url", "which is not on the public Internet"),
        ({**TWO, "output_url": "http://127.0.0.1/"}, "output_url", "must be a JSON object"),
        ({**TWO, "output_url": '{"big": "http://127.0.0.1/"}'}, "output_url", "small, same"),
        ({**TWO, "output_url": '{"small": 5}'}, "output_url", "got 5"),
    ],
)  # fmt: skip
async def test_a_location_that_is_not_allowed_is_named(
    api: Client, fields: dict[str, str], field: str, said: str
) -> None:
    answer = await api.post("/process-image/", files={"file": PHOTO}, data={"operation": "grayscale", **fields})
    assert said in problem_fields(answer)[field]


async def test_without_stores_the_fields_are_not_available(redis: ArqRedis, settings: Settings) -> None:
    async with serving(msgspec.structs.replace(settings, delivery_stores=())) as url, Client(base_url=url) as api:
        answer = await api.post(
            "/process-image/", data={"operation": "grayscale", "source": "a/b", "output_prefix": "a"}
        )
        said = "is not available on this server, which has no DELIVERY_STORES; omit it"
        assert problem_fields(answer) == {"source": said, "output_prefix": said}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadedMotoServer(port=free_port())
    server.start()
    endpoint = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    variables = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="theirs")
    yield client
    server.stop()


async def test_a_presigned_url_of_s3_and_a_bucket_as_a_store(redis: ArqRedis, settings: Settings, bucket: Any) -> None:
    settings = msgspec.structs.replace(settings, delivery_stores=("mine=s3://theirs/deep",))
    signed = bucket.generate_presigned_url("put_object", Params={"Bucket": "theirs", "Key": "signed.jpg"})
    async with serving(settings) as url, working(settings), Client(base_url=url) as api:
        view = await record(api, await api.upload(output_url=signed, output_prefix="mine/out"))
        assert view["status"] == "SUCCESS"
        result = (await api.get("/" + view["result"])).content
    for key in ("signed.jpg", "deep/out/photo.jpg"):
        found = bucket.get_object(Bucket="theirs", Key=key)
        assert (found["Body"].read(), found["ContentType"]) == (result, "image/jpeg")


async def test_results_of_a_batch_do_not_replace_one_another(api: Client) -> None:
    files: list[Any] = [("file", ("same.jpg", PHOTO)), ("file", ("same.jpg", PHOTO))]
    form = {"operation": "grayscale", "output_prefix": "assets"}
    message = problem_fields(await api.post("/batches", data=form, files=files))["output_prefix"]
    assert message.startswith("gives several results the path 'assets/same.jpg'")
    form["each"] = '[{"output_prefix": "assets/1"}, {"output_prefix": "assets/2"}]'
    del form["output_prefix"]
    assert (await api.post("/batches", data=form, files=files)).status_code == 202


async def test_a_cancelled_task_is_no_longer_sent(redis: ArqRedis, settings: Settings) -> None:
    async with service_with_host(settings, Answer(0, is_held=True)) as (api, host):
        task_id = await api.upload(output_url=f"{host.url}/a")

        async def is_sent() -> bool:
            return len(host.received) == 1

        await eventually(is_sent)
        assert (await api.post(f"/tasks/{task_id}/cancel")).status_code == 202
        assert (await api.ended(task_id))["status"] == "REVOKED"
        assert (await api.delete(f"/tasks/{task_id}")).status_code == 204


async def test_a_store_that_hangs_fails_the_task_in_time(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings, upload_timeout_s=0.5)
    (tmp_path / "archive").mkdir()
    os.mkfifo(tmp_path / "archive" / "hangs.jpg")  # opening it waits for a writer
    async with serving(settings) as url, working(settings), Client(base_url=url) as api:
        form = {"operation": "grayscale", "source": "archive/hangs.jpg"}
        view = await record(api, (await api.post("/process-image/", data=form)).json()["task_id"])
    assert (view["status"], view["error"]) == ("FAILURE", "archive/hangs.jpg was not read within 0.5 s")
    os.close(os.open(tmp_path / "archive" / "hangs.jpg", os.O_RDWR))


async def test_errors_of_stores_do_not_show_where_they_are(service: Client, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "file").write_bytes(PHOTO)
    form = {"operation": "grayscale", "source": "assets/file/photo.jpg"}
    for task_id in (
        (await service.post("/process-image/", data=form)).json()["task_id"],
        await service.upload(output_prefix="assets/file/deep"),
    ):
        view = await record(service, task_id)
        assert view["status"] == "FAILURE"
        assert "the store assets" in view["error"]
        assert str(tmp_path) not in view["error"]
