"""The images of a task besides its results: its upload as it came, and a thumbnail."""

import asyncio
import hashlib

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, serving, working
from tests.support.animations import animated
from tests.support.callers import callers
from tests.support.pictures import decoded, drawing, encoded, jpeg, mean_difference


async def made(service: Client, data: bytes, **fields: str) -> str:
    task_id = await service.upload(data, **fields)
    assert (await service.ended(task_id))["status"] == "SUCCESS"
    return task_id


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "gif"])
async def test_a_thumbnail_is_the_result_made_small(service: Client, kind: str) -> None:
    task_id = await made(service, jpeg((1200, 800)), operation="invert", format=kind)
    answer = await service.get(f"/tasks/{task_id}/thumbnail?v=1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.headers["cache-control"] == "private, max-age=86400"
    assert len(answer.content) < 4000
    image = decoded(answer.content)
    assert (image.format, image.size) == ("WEBP", (96, 64))
    result = decoded((await service.get((await service.get(f"/task-status/{task_id}")).json()["result"])).content)
    assert mean_difference(image, result.convert("RGB").resize((96, 64))) < 6
    again = await service.get(f"/tasks/{task_id}/thumbnail")
    assert (again.content, again.headers["cache-control"]) == (answer.content, "no-store")


async def test_a_small_result_is_not_enlarged(service: Client) -> None:
    task_id = await made(service, encoded(drawing((30, 20)), "PNG"), operation="grayscale")
    assert decoded((await service.get(f"/tasks/{task_id}/thumbnail")).content).size == (30, 20)


async def test_an_animation_has_a_thumbnail_that_does_not_move(service: Client) -> None:
    task_id = await made(service, animated("GIF"), operation="invert", format="webp")
    image = decoded((await service.get(f"/tasks/{task_id}/thumbnail")).content)
    assert getattr(image, "n_frames", 1) == 1


async def test_what_has_no_thumbnail_is_404(service: Client, api: Client) -> None:
    report = await made(service, PHOTO, operation="inspect")
    large = await made(service, jpeg((1000, 800)), operation="resize", width="6000", format="jpeg")
    other = await made(service, PHOTO, operation="grayscale", format="jpeg2000")
    failed = await service.upload(PHOTO[:900])
    await service.ended(failed)
    for task_id in (report, large, other, failed):
        answer = await service.get(f"/tasks/{task_id}/thumbnail")
        assert (answer.status_code, answer.json()["type"]) == (404, "/docs#result-not-found"), task_id


async def test_many_at_once_are_made_one_after_the_other_while_the_api_answers(service: Client) -> None:
    task_id = await made(service, jpeg((2000, 1500)), operation="invert", format="png")
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(service.get(f"/tasks/{task_id}/thumbnail")) for _ in range(20)]
        assert (await service.get("/livez")).status_code == 200
    assert {hashlib.sha256(each.result().content).hexdigest() for each in asked} == {
        hashlib.sha256(asked[0].result().content).hexdigest()
    }


async def test_an_upload_is_returned_as_it_came(service: Client) -> None:
    data = encoded(drawing((90, 60)), "TIFF")
    task_id = await made(service, data, operation="grayscale", format="png")
    answer = await service.get(f"/tasks/{task_id}/upload")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, data, "image/tiff")
    assert answer.headers["x-content-type-options"] == "nosniff"
    part = await service.get(f"/tasks/{task_id}/upload", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, data[2:6])
    same = await service.get(f"/tasks/{task_id}/upload", headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304


async def test_an_upload_that_is_not_kept_is_gone(redis: ArqRedis, settings: Settings) -> None:
    forgetful = msgspec.structs.replace(settings, keep_uploads=False)
    async with serving(forgetful) as url, working(forgetful), Client(base_url=url) as service:
        task_id = await made(service, PHOTO, operation="grayscale")
        answer = await service.get(f"/tasks/{task_id}/upload")
        assert (answer.status_code, answer.json()["type"]) == (410, "/docs#upload-gone")


async def test_the_thumbnail_of_somebody_else_is_not_found(redis: ArqRedis, settings: Settings) -> None:
    async with callers(settings) as clients, working(settings):
        task_id = await made(clients["ann"], PHOTO, operation="grayscale")
        for name, expected in (("ann", 200), ("ops", 200), ("bob", 404)):
            assert (await clients[name].get(f"/tasks/{task_id}/thumbnail")).status_code == expected, name
