"""`source=<task_id>`: the upload of an earlier task instead of a file."""

from pathlib import Path

import msgspec
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, problem_fields, serving, working
from tests.support.callers import callers
from tests.support.pictures import decoded

FORM = {"operation": "resize", "width": "50"}


async def test_the_upload_of_an_earlier_task_is_used_and_outlives_it(service: Client, tmp_path: Path) -> None:
    first = await service.ended(await service.upload(name="cat.jpg"))
    answer = await service.post("/process-image/", data={**FORM, "source": first["task_id"]})
    assert answer.status_code == 202
    view = await service.ended(answer.json()["task_id"])
    assert view["result"].endswith("/cat.jpg")
    assert decoded((await service.get("/" + view["result"])).content).width == 50
    uploads = [tmp_path / "storage" / "uploads" / task for task in (first["task_id"], view["task_id"])]
    assert uploads[0].stat().st_ino == uploads[1].stat().st_ino  # not stored twice
    record = (await service.get(f"/tasks/{view['task_id']}")).json()
    assert record["file"] == {"name": "cat.jpg", "format": "jpeg", "bytes": len(PHOTO), "width": 200, "height": 150}
    assert (await service.delete(f"/tasks/{first['task_id']}")).status_code == 204
    answer = await service.post("/process-image/", data={**FORM, "source": view["task_id"], "width": "60"})
    assert (await service.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def test_fields_are_checked_for_the_earlier_upload(api: Client) -> None:
    source = await api.upload()
    answer = await api.post("/process-image/", data={"operation": "crop", "width": "900", "source": source})
    assert problem_fields(answer).keys() == {"operation"}
    answer = await api.post("/process-image/", data={**FORM, "source": source}, files={"file": PHOTO})
    assert problem_fields(answer) == {"source": "cannot be combined with file or url; send one of them"}


async def test_a_task_of_another_key_and_an_unknown_one_are_404(redis: ArqRedis, settings: Settings) -> None:
    async with callers(settings) as by_name:
        source = await by_name["ann"].upload()
        for name, status in (("ann", 202), ("bob", 404), ("ops", 202)):
            answer = await by_name[name].post("/process-image/", data={**FORM, "source": source})
            assert answer.status_code == status
        assert (await by_name["ann"].post("/process-image/", data={**FORM, "source": "no-id"})).status_code == 404


async def test_an_upload_that_was_deleted_is_410(redis: ArqRedis, settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, keep_uploads=False)
    async with serving(settings) as url, working(settings), Client(base_url=url) as api:
        first = await api.ended(await api.upload())
        answer = await api.post("/process-image/", data={**FORM, "source": first["task_id"]})
        assert (answer.status_code, answer.json()["type"]) == (410, "/docs#upload-gone")


async def test_a_retried_request_with_a_key_gets_the_same_task(service: Client) -> None:
    source = await service.upload()
    form, key = {**FORM, "source": source}, {"Idempotency-Key": "one"}
    answers = [await service.post("/process-image/", data=form, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()


async def test_an_earlier_upload_is_equal_to_a_file_of_its_bytes(service: Client) -> None:
    first = await service.ended(await service.upload(operation="resize", width="50", reuse="true"))
    answer = await service.post("/process-image/", data={**FORM, "source": first["task_id"], "reuse": "true"})
    view = await service.ended(answer.json()["task_id"])
    record = (await service.get(f"/tasks/{view['task_id']}")).json()
    assert record["reused_from"] == first["task_id"]


async def test_a_batch_has_no_source(api: Client) -> None:
    source = await api.upload()
    answer = await api.post("/batches", data={**FORM, "source": source}, files={"file": PHOTO})
    assert problem_fields(answer) == {"source": "is not for batches; use file or url"}
