"""Storage on a local directory and on an S3 server: the same promises."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
import msgspec
import pytest
from moto.server import ThreadedMotoServer

from app.api_settings import Settings
from tests.conftest import Client, serving, working
from tests.support.pictures import decoded, jpeg
from worker.storage import PART_BYTES, Storage, StorageUnavailable


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An S3 bucket's URL, with the variables in the environment that an operator would set."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{abs(hash(request.node.name))}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/darkroom"


@pytest.fixture(params=["file", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage((tmp_path / "s").as_uri() if request.param == "file" else request.getfixturevalue("s3"))


async def pieces(count: int, error: Exception | None = None) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 1_000_000
    if error is not None:
        raise error


@pytest.mark.parametrize("count", [0, 1, 14])
async def test_what_is_put_is_read_again(storage: Storage, count: int) -> None:
    await storage.put("uploads/x", pieces(count), head=b"head")
    expected = b"head" + b"".join(bytes([number]) * 1_000_000 for number in range(count))
    assert await storage.read("uploads/x") == expected
    assert (await storage.head("uploads/x"))["size"] == len(expected)


@pytest.mark.parametrize("count", [1, 14])
async def test_what_breaks_off_leaves_nothing(storage: Storage, count: int) -> None:
    assert count * 1_000_000 < PART_BYTES or count == 14
    with pytest.raises(ZeroDivisionError):
        await storage.put("uploads/x", pieces(count, ZeroDivisionError()))
    with pytest.raises(FileNotFoundError):
        await storage.read("uploads/x")


async def test_a_part_can_be_streamed(storage: Storage) -> None:
    await storage.put_bytes("processed/1/a.jpg", bytes(range(256)))
    stream = await storage.stream("processed/1/a.jpg", 10, 19)
    assert b"".join([bytes(chunk) async for chunk in stream]) == bytes(range(10, 20))


async def test_a_local_directory_does_without_a_media_type_and_signs_nothing(tmp_path: Path) -> None:
    storage = Storage(tmp_path.as_uri())
    await storage.put_bytes("processed/1/a.jpg", b"x", "image/jpeg")
    assert await storage.read("processed/1/a.jpg") == b"x"
    with pytest.raises(TypeError, match="cannot sign URLs"):
        await storage.signed_url("processed/1/a.jpg", 300)


async def test_deleting_is_thorough_and_may_be_repeated(storage: Storage) -> None:
    for path in ("processed/1/a.jpg", "processed/1/b.jpg", "processed/12/a.jpg"):
        await storage.put_bytes(path, b"x")
    for _ in range(2):
        await storage.delete_under("processed/1")
        await storage.delete("uploads/none")
    assert await storage.read("processed/12/a.jpg") == b"x"
    for name in ("a", "b"):
        with pytest.raises(FileNotFoundError):
            await storage.read(f"processed/1/{name}.jpg")


async def test_the_check_writes_and_leaves_nothing(tmp_path: Path) -> None:
    await Storage(tmp_path.as_uri()).check()
    assert not list(tmp_path.rglob("*"))


async def test_a_storage_that_is_away_is_told_from_a_missing_object(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "s").as_uri())
    (tmp_path / "s" / "uploads").write_text("a file where a directory should be")
    with pytest.raises(StorageUnavailable):
        await storage.put_bytes("uploads/x", b"x")


async def test_a_bucket_that_does_not_exist_is_503_and_named_by_readyz(
    redis: object, settings: Settings, s3: str
) -> None:
    nowhere = msgspec.structs.replace(settings, storage_url=s3.replace("bucket-", "nowhere-"))
    async with serving(nowhere) as url, Client(base_url=url, timeout=20) as client:
        answer = await client.post("/process-image/", files={"file": jpeg()}, data={"operation": "resize"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["detail"] == "storage is not available; try again later"
        assert (await client.get("/readyz")).json()["checks"]["storage"] == "not available"


async def test_the_whole_service_runs_on_s3(redis: object, settings: Settings, s3: str) -> None:
    on_s3 = msgspec.structs.replace(settings, storage_url=s3)
    async with serving(on_s3) as url, working(on_s3), Client(base_url=url, timeout=20) as client:
        assert (await client.get("/readyz")).status_code in (200, 503)
        view = await client.ended(await client.upload(jpeg(), operation="resize"))
        answer = await client.get("/" + view["result"], headers={"Range": "bytes=0-"})
        assert answer.status_code == 206
        assert decoded(answer.content).size == (100, 100)
        large = await client.upload(jpeg() + b"\0" * 12_000_000)
        assert (await client.ended(large))["status"] == "SUCCESS"
    keys = [entry["Key"] for entry in boto3.client("s3").list_objects(Bucket=s3.split("/")[2])["Contents"]]
    assert f"darkroom/{view['result']}" in keys
    assert f"darkroom/uploads/{view['task_id']}" in keys


@pytest.mark.parametrize("how", ["path", "accept"])
async def test_a_download_is_sent_on_to_the_object_store(redis: object, settings: Settings, s3: str, how: str) -> None:
    redirecting = msgspec.structs.replace(settings, storage_url=s3, redirect_downloads=True)
    async with serving(redirecting) as url, working(redirecting), Client(base_url=url, timeout=20) as client:
        view = await client.ended(await client.upload(name="ä b?.jpg", format="webp"))
        path = f"/{view['result']}" if how == "path" else f"/task-result/{view['task_id']}"
        headers = {} if how == "path" else {"Accept": "image/*"}

        sent_on = await client.get(path, headers=headers)
        assert (sent_on.status_code, sent_on.headers["cache-control"], sent_on.content) == (307, "no-store", b"")
        target = urlsplit(sent_on.headers["location"])
        assert f"http://{target.netloc}" == os.environ["AWS_ENDPOINT_URL"]
        assert parse_qs(target.query)["X-Amz-Expires"] == ["300"]

        answer = await client.get(path, headers=headers, follow_redirects=True)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert answer.content == await Storage(s3).read(view["result"])
        assert decoded(answer.content).format == "WEBP"
        part = await client.get(path, headers={**headers, "Range": "bytes=1-3"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, answer.content[1:4])


async def test_what_is_no_download_is_answered_by_the_api_itself(redis: object, settings: Settings, s3: str) -> None:
    redirecting = msgspec.structs.replace(settings, storage_url=s3, redirect_downloads=True)
    async with serving(redirecting) as url, Client(base_url=url, timeout=20) as client:
        picture = {"Accept": "image/*"}
        task_id = await client.upload()
        assert (await client.get(f"/task-result/{task_id}", headers=picture)).status_code == 409
        assert (await client.get(f"/processed/{task_id}/photo.jpg")).status_code == 404
        assert (await client.get(f"/task-result/{uuid4()}", headers=picture)).status_code == 404
        async with working(redirecting):
            view = await client.ended(task_id)
            failed = await client.ended(await client.upload(jpeg()[:-500]))
        assert failed["status"] == "FAILURE"
        assert (await client.get(f"/task-result/{failed['task_id']}", headers=picture)).status_code == 409
        named = await client.get(f"/task-result/{task_id}")
        assert (named.status_code, named.json()["processed_image"]) == (200, view["result"])
        # A signature holds for GET alone.
        head = await client.head(f"/{view['result']}")
        size = (await Storage(s3).head(view["result"]))["size"]
        assert (head.status_code, head.headers["content-length"]) == (200, str(size))


async def test_a_copy_outlives_its_original(storage: Storage) -> None:
    await storage.put_bytes("one/a.jpg", b"picture", "image/jpeg")
    await storage.copy("one/a.jpg", "two/b.jpg")
    await storage.delete("one/a.jpg")
    assert await storage.read("two/b.jpg") == b"picture"
    with pytest.raises(FileNotFoundError):
        await storage.copy("one/a.jpg", "two/c.jpg")
