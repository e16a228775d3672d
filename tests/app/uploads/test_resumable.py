"""Uploads that go on from where they broke (draft-ietf-httpbis-resumable-upload, interop version 8)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from arq.connections import ArqRedis
from httpx2 import Response
from PIL import Image

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, api_process, eventually, problem_fields, serving, working
from tests.support.callers import callers
from tests.support.pictures import decoded, encoded
from worker.runner.cleanup import sweep
from worker.runner.partial_uploads import MOST_OPEN, PART_BYTES, PartialUpload, PartialUploads, UploadNotFound
from worker.storage import Storage
from worker.tasks.store import Tasks

TARGET = "/process-image/?operation=resize&width=40"
VERSION = {"Upload-Draft-Interop-Version": "8"}
IMAGE = {"Content-Type": "image/jpeg"}


async def begin(api: Client, data: bytes = b"", target: str = TARGET, **headers: str) -> str:
    given = {
        **VERSION,
        **IMAGE,
        "Upload-Complete": "?0",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    answer = await api.post(target, content=data, headers=given)
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-offset"] == str(len(data))
    return str(answer.headers["location"])


async def add(api: Client, location: str, data: Any, offset: int, complete: str = "?1", **headers: str) -> Response:
    given = {
        **VERSION, "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset), "Upload-Complete": complete, **headers,
    }  # fmt: skip
    return await api.patch(location, content=data, headers=given)


async def state(api: Client, location: str) -> tuple[int, str]:
    answer = await api.head(location, headers=VERSION)
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"]), answer.headers["upload-complete"]


def noise_png(megabytes: int) -> bytes:
    side = int((megabytes * 1_000_000 / 3) ** 0.5)
    return encoded(Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)), "PNG", compress_level=0)


async def test_an_image_in_three_requests(service: Client, stored: Callable[[], list[str]]) -> None:
    location = await begin(service, PHOTO[:1000], Upload_Length=str(len(PHOTO)))
    answer = await add(service, location, PHOTO[1000:2000], 1000, "?0")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "2000")
    assert await state(service, location) == (2000, "?0")
    answer = await add(service, location, PHOTO[2000:], 2000)
    assert (answer.status_code, answer.headers["upload-complete"]) == (202, "?1")
    view = await service.ended(answer.json()["task_id"])
    assert decoded((await service.get("/" + view["result"])).content).width == 40
    assert await state(service, location) == (len(PHOTO), "?1")
    assert not [path for path in stored() if path.startswith("partial/")]

    again = await add(service, location, b"", len(PHOTO))  # the response was lost
    assert (again.status_code, again.json(), again.headers["upload-complete"]) == (202, answer.json(), "?1")
    assert (await add(service, location, b"x", 3)).status_code == 409
    lookup = await service.get(location)
    assert lookup.json()["task_id"] == view["task_id"]
    assert lookup.headers["location"] == f"/task-status/{view['task_id']}"


async def test_a_form_with_its_files_is_resumable_too(service: Client) -> None:
    request = service.build_request(
        "POST", "/process-image/", files={"file": ("a.jpg", PHOTO)}, data={"operation": "grayscale"}
    )
    body = await request.aread()
    location = await begin(service, body[:3000], "/process-image/", Content_Type=request.headers["content-type"])
    answer = await add(service, location, body[3000:], 3000)
    assert answer.status_code == 202
    assert (await service.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def test_an_upload_of_30_mb_goes_on_after_its_connection_broke(service: Client) -> None:
    data = noise_png(30)
    location = await begin(service, target="/process-image/?operation=inspect", Content_Type="image/png")
    half = len(data) // 2

    async def broken() -> Any:
        for first in range(0, half, 100_000):
            yield data[first : first + 100_000]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await add(service, location, broken(), 0)

    async def all_that_came_is_stored() -> bool:
        return (await state(service, location))[0] >= half

    await eventually(all_that_came_is_stored)
    offset, complete = await state(service, location)
    assert complete == "?0"
    answer = await add(service, location, data[offset:], offset)
    assert answer.status_code == 202
    view = (await service.get(f"/tasks/{answer.json()['task_id']}")).json()
    assert view["file"]["bytes"] == len(data)


async def test_an_upload_goes_on_after_the_api_was_killed(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    data, storage = noise_png(30), tmp_path / "storage"
    with api_process(settings.redis_url, storage) as (process, url):
        async with Client(base_url=url) as api:
            location = await begin(api, target="/process-image/?operation=inspect", Content_Type="image/png")

            async def hanging() -> Any:
                yield data[: 10 * PART_BYTES + 1000]
                await asyncio.Event().wait()

            sending = asyncio.create_task(add(api, location, hanging(), 0))

            async def parts_are_stored() -> bool:
                return (await state(api, location))[0] >= 10 * PART_BYTES

            await eventually(parts_are_stored)
            process.kill()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    with api_process(settings.redis_url, storage) as (_, url):
        async with Client(base_url=url) as api, working(settings):
            offset, _ = await state(api, location)
            assert 10 * PART_BYTES <= offset <= 10 * PART_BYTES + 1000
            answer = await add(api, location, data[offset:], offset)
            assert answer.status_code == 202
            assert (await api.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def test_bytes_that_do_not_follow_are_refused_with_the_right_offset(api: Client) -> None:
    location = await begin(api, PHOTO[:1000])
    for offset in (0, 999, 1001):
        answer = await add(api, location, PHOTO[offset:], offset)
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "1000")
        assert answer.json()["type"] == "/docs#offset-mismatch"
    assert await state(api, location) == (1000, "?0")


async def test_of_two_requests_at_once_each_byte_is_stored_once(api: Client) -> None:
    location = await begin(api)
    answers = await asyncio.gather(*(add(api, location, PHOTO, 0, "?0") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409, 409]
    assert (await add(api, location, b"", len(PHOTO))).status_code == 202


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Type": "image/jpeg"}, "Content-Type must be application/partial-upload"),
        ({"Upload-Offset": "x"}, "Upload-Offset must be a number of bytes; got 'x'"),
        ({"Upload-Offset": "-1"}, "Upload-Offset must be a number of bytes; got '-1'"),
        ({"Upload-Length": "5"}, f"Upload-Length must be {len(PHOTO)}, as before; got 5"),
    ],
)
async def test_headers_are_checked(api: Client, headers: Mapping[str, str], said: str) -> None:
    location = await begin(api, Upload_Length=str(len(PHOTO)))
    answer = await add(api, location, b"x", 0, **headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, said)


@pytest.mark.parametrize("value", ["1", "true", '"?0"', "?2", "", "?0x"])
async def test_upload_complete_is_a_boolean(api: Client, value: str) -> None:
    answer = await api.post(TARGET, content=PHOTO, headers={**IMAGE, "Upload-Complete": value})
    said = f"Upload-Complete must be ?0, or ?1 with the last bytes; got {value!r}"
    assert (answer.status_code, answer.json()["detail"]) == (400, said)
    location = await begin(api)
    assert (await add(api, location, PHOTO, 0, value)).status_code == 400
    assert await state(api, location) == (0, "?0")


async def test_parameters_of_upload_complete_are_ignored(api: Client) -> None:
    answer = await api.post(TARGET, content=PHOTO[:9], headers={**IMAGE, "Upload-Complete": "?0;a=b"})
    assert answer.status_code == 201
    assert (await add(api, answer.headers["location"], PHOTO[9:], 9, "?1 ;a")).status_code == 202


async def test_an_idempotency_key_is_refused_by_name(api: Client) -> None:
    answer = await api.post(TARGET, headers={**IMAGE, "Upload-Complete": "?0", "Idempotency-Key": "one"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Idempotency-Key: is not for resumable uploads")


async def test_the_length_may_come_later(api: Client) -> None:
    location = await begin(api, PHOTO[:9])
    answer = await add(api, location, PHOTO[9:99], 9, "?0", **{"Upload-Length": str(len(PHOTO))})
    assert answer.headers["upload-length"] == str(len(PHOTO))
    assert (await add(api, location, PHOTO[99:-1], 99)).status_code == 400
    assert (await add(api, location, PHOTO[-1:], len(PHOTO) - 1)).status_code == 202


async def test_a_part_of_an_upload_that_was_deleted_meanwhile_is_not_left(
    redis: ArqRedis, settings: Settings, stored: Callable[[], list[str]]
) -> None:
    uploads = PartialUploads(redis, Storage(settings.storage_url))
    upload = PartialUpload(id=str(uuid4()), party="", query="", content_type="image/jpeg")
    await uploads.create(upload)

    async def chunks() -> AsyncIterator[bytes]:
        await uploads.delete(upload.id)
        yield PHOTO

    with pytest.raises(UploadNotFound):
        await uploads.append(upload, chunks())
    assert stored() == []


async def test_an_upload_that_is_shorter_or_longer_than_it_says_is_refused(api: Client) -> None:
    location = await begin(api, PHOTO[:100], Upload_Length=str(len(PHOTO)))
    answer = await add(api, location, b"", 100)
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"100 bytes have arrived, not the {len(PHOTO)} of Upload-Length"
    location = await begin(api, Upload_Length="100")
    assert (await add(api, location, PHOTO, 0)).status_code == 400


async def test_the_limit_of_uploads_counts_over_all_requests(
    redis: ArqRedis, settings: Settings, stored: Callable[[], list[str]]
) -> None:
    small = msgspec.structs.replace(settings, max_upload_bytes=1000)
    async with serving(small) as url, Client(base_url=url) as api:
        location = await begin(api, PHOTO[:900])
        assert (await add(api, location, PHOTO[900:1100], 900)).status_code == 413
        answer = await api.post(TARGET, headers={**VERSION, **IMAGE, "Upload-Complete": "?0", "Upload-Length": "1001"})
        assert answer.status_code == 413
        assert (await api.delete(location)).status_code == 204
        assert (await api.head(location)).status_code == 404
        assert stored() == []


async def test_a_request_that_is_refused_at_its_end_leaves_nothing(
    api: Client, stored: Callable[[], list[str]]
) -> None:
    location = await begin(api, b"no image")
    assert (await add(api, location, b"", 8)).status_code == 415
    location = await begin(api, PHOTO, "/process-image/?operation=resize&width=0")
    assert problem_fields(await add(api, location, b"", len(PHOTO))).keys() == {"width"}
    answer = await add(api, location, b"", len(PHOTO))
    assert answer.json()["detail"] == "the upload is complete, and its request was refused; begin another"
    assert stored() == []


async def test_a_full_queue_does_not_lose_what_has_arrived(redis: ArqRedis, settings: Settings) -> None:
    small = msgspec.structs.replace(settings, queue_limit=1)
    async with serving(small) as url, Client(base_url=url) as api:
        location = await begin(api, PHOTO)
        task_id = await api.upload()
        assert (await add(api, location, b"", len(PHOTO))).status_code == 429
        assert await state(api, location) == (len(PHOTO), "?0")
        await api.post(f"/tasks/{task_id}/cancel")

        async def accepted() -> bool:
            return (await add(api, location, b"", len(PHOTO))).status_code == 202

        await eventually(accepted)


async def test_an_upload_belongs_to_its_key(redis: ArqRedis, settings: Settings) -> None:
    async with callers(settings) as by_name:
        location = await begin(by_name["ann"], PHOTO[:100])
        assert (await by_name["bob"].head(location)).status_code == 404
        assert (await add(by_name["bob"], location, PHOTO[100:], 100)).status_code == 404
        assert (await by_name["bob"].delete(location)).status_code == 404
        answer = await add(by_name["ann"], location, PHOTO[100:], 100)
        record = await by_name["ann"].get(f"/tasks/{answer.json()['task_id']}")
        assert record.json()["owner"] == "ann"


async def test_uploads_that_are_left_expire_with_their_parts(
    api: Client, redis: ArqRedis, tasks: Tasks, settings: Settings, stored: Callable[[], list[str]]
) -> None:
    location = await begin(api, PHOTO[:100])
    await sweep(tasks, Storage(settings.storage_url))
    assert len(stored()) == 1
    await redis.zadd("uploads:partial", {location.rpartition("/")[2]: 1})
    await sweep(tasks, Storage(settings.storage_url))
    assert stored() == []
    assert (await api.head(location)).status_code == 404
    assert await redis.keys("upload*") == []


async def test_a_client_has_a_limited_number_of_unfinished_uploads(api: Client) -> None:
    locations = [await begin(api) for _ in range(MOST_OPEN)]
    answer = await api.post(TARGET, headers={**VERSION, **IMAGE, "Upload-Complete": "?0"})
    assert (answer.status_code, answer.json()["type"]) == (429, "/docs#too-many-partial-uploads")
    await api.delete(locations[0])
    await begin(api)


async def test_an_unknown_upload_is_404(api: Client) -> None:
    for upload_id in (str(uuid4()), "nonsense"):
        assert (await api.head(f"/uploads/{upload_id}")).status_code == 404
        assert (await add(api, f"/uploads/{upload_id}", b"", 0)).status_code == 404
