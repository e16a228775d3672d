"""The routes and their JSON, as a client of the demo that Darkroom replaces knows them."""

from pathlib import Path
from uuid import UUID

import pytest

import worker.operations
from tests.conftest import Client
from tests.support.pictures import decoded, drawing, encoded, jpeg


async def test_an_upload_becomes_a_task_whose_result_can_be_fetched(service: Client) -> None:
    files = {"file": ("your-image-name.jpg", jpeg(), "image/jpeg")}
    answer = await service.post("/process-image/", files=files, data={"operation": "grayscale"})
    task_id = answer.json()["task_id"]
    assert answer.status_code == 202
    assert answer.json() == {"task_id": task_id, "message": "Image processing started"}
    assert answer.headers["location"] == f"/task-status/{task_id}"
    assert UUID(task_id).version == 4

    path = f"processed/{task_id}/your-image-name.jpg"
    assert await service.ended(task_id) == {"task_id": task_id, "status": "SUCCESS", "result": path}
    result = await service.get(f"/task-result/{task_id}")
    assert result.status_code == 200
    assert result.json() == {"task_id": task_id, "processed_image": path}
    picture = await service.get(f"/{path}")
    assert picture.headers["content-type"] == "image/jpeg"
    assert decoded(picture.content).mode == "L"


async def test_the_last_slash_may_be_left_out(service: Client) -> None:
    answer = await service.post("/process-image", files={"file": jpeg()}, data={"operation": "resize"})
    assert answer.status_code == 202
    assert (await service.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def test_resize_without_a_size_gives_100_x_100(service: Client) -> None:
    assert decoded(await service.picture(operation="resize")).size == (100, 100)


async def test_operation_may_come_after_the_file(service: Client) -> None:
    boundary = "b" * 20
    file = (
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' % boundary.encode()
        + jpeg()
        + b"\r\n"
    )
    field = b'--%b\r\nContent-Disposition: form-data; name="operation"\r\n\r\nresize\r\n' % boundary.encode()
    for parts in (file + field, field + file):
        answer = await service.post(
            "/process-image/",
            content=parts + b"--%b--\r\n" % boundary.encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        assert answer.status_code == 202, answer.text
        view = await service.ended(answer.json()["task_id"])
        assert view["status"] == "SUCCESS", view


async def test_a_waiting_task_is_pending_and_has_no_result(api: Client) -> None:
    task_id = await api.upload()
    assert (await api.get(f"/task-status/{task_id}")).json() == {"task_id": task_id, "status": "PENDING"}
    early = await api.get(f"/task-result/{task_id}")
    assert early.status_code == 409
    assert early.headers["retry-after"] == "1"
    assert early.json()["detail"] == "the task is PENDING; try again when it has ended"


async def test_a_failed_task_says_why(service: Client) -> None:
    task_id = await service.upload(jpeg((800, 600))[:3000])
    reason = "the image data is damaged or truncated"
    assert await service.ended(task_id) == {"task_id": task_id, "status": "FAILURE", "error": reason}
    result = await service.get(f"/task-result/{task_id}")
    assert result.status_code == 409
    assert "retry-after" not in result.headers
    assert reason in result.json()["detail"]


@pytest.mark.parametrize(
    "task_id", ["f8a5d96e-ff1f-4d9d-bc67-b1c6b9dbec1f", "not-a-uuid", "%00", "a" * 5000, "*", "..%2f..%2fetc"]
)
@pytest.mark.parametrize("route", ["/task-status/{}", "/task-result/{}", "/processed/{}/photo.jpg"])
async def test_an_unknown_task_is_404(api: Client, route: str, task_id: str) -> None:
    answer = await api.get(route.format(task_id))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404
    assert answer.json()["title"] == "Not Found"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("image/*", "image/jpeg"),
        ("image/jpeg", "image/jpeg"),
        ("image/*, application/json;q=0.5", "image/jpeg"),
        ("image/*;q=0.1, application/json", "application/json"),
        # What browsers send for a page, and for an <img>.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "application/json"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/jpeg"),
        ("image/*;q=nonsense", "application/json"),
    ],
)
async def test_task_result_sends_the_picture_to_who_wants_an_image(
    service: Client, accept: str, media_type: str
) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    answer = await service.get(f"/task-result/{task_id}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"


async def test_a_result_is_served_as_a_file_should_be(service: Client) -> None:
    view = await service.ended(await service.upload(operation="resize"))
    whole = await service.get("/" + view["result"])
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert int(whole.headers["content-length"]) == len(whole.content)
    head = await service.head("/" + view["result"])
    assert head.content == b""
    own = {"date": "", "x-request-id": ""}
    assert {**head.headers, **own} == {**whole.headers, **own}

    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for condition in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
    ):
        fresh = await service.get("/" + view["result"], headers=condition)
        assert fresh.status_code == 304, condition
        assert fresh.content == b""
        assert fresh.headers["etag"] == etag
    for condition in (
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"If-Modified-Since": "x"},
        {"If-Modified-Since": "Mon, 01 Jan 2020 00:00:00 +999999999999999999999"},
    ):
        assert (await service.get("/" + view["result"], headers=condition)).content == whole.content


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-50", slice(-50, None)),
        ("bytes=0-999999", slice(None)),
        ("bytes=-999999", slice(None)),
        # What a server may leave unheeded: the whole is sent.
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("pages=1-2", None),
        (f"bytes={'9' * 4400}-", None),
    ],
)
async def test_a_range_of_a_result_can_be_fetched(service: Client, value: str, span: slice | None) -> None:
    path = "/" + (await service.ended(await service.upload()))["result"]
    whole = await service.get(path)
    part = await service.get(path, headers={"Range": value})
    assert part.status_code == (200 if span is None else 206)
    assert part.content == (whole.content if span is None else whole.content[span])
    if span is not None:
        first, last, _ = span.indices(len(whole.content))
        assert part.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole.content)}"
        stale = await service.get(path, headers={"Range": value, "If-Range": '"older"'})
        assert stale.status_code == 200
        good = await service.get(path, headers={"Range": value, "If-Range": whole.headers["etag"]})
        assert good.content == part.content


@pytest.mark.parametrize("value", ["bytes=9999999-", "bytes=-0", f"bytes={10**17}-"])
async def test_a_range_past_the_end_is_416(service: Client, value: str) -> None:
    path = "/" + (await service.ended(await service.upload()))["result"]
    answer = await service.get(path, headers={"Range": value})
    assert answer.status_code == 416
    size = (await service.head(path)).headers["content-length"]
    assert answer.headers["content-range"] == f"bytes */{size}"


async def test_only_the_name_of_a_result_is_served(service: Client) -> None:
    view = await service.ended(await service.upload())
    for name in ("other.jpg", "..%2f..%2fuploads", "%2e%2e", "photo.jpg%00"):
        answer = await service.get(f"/processed/{view['task_id']}/{name}")
        assert answer.status_code == 404, name


async def test_an_upload_is_never_served(service: Client) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    assert (await service.get(f"/uploads/{task_id}")).status_code == 404


@pytest.mark.parametrize(
    ("image_format", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif")]
)
async def test_a_file_keeps_its_format_whatever_its_name_says(
    service: Client, image_format: str, extension: str
) -> None:
    view = await service.ended(await service.upload(encoded(drawing(), image_format), "misnamed.gif"))
    assert view["result"].endswith(f"/misnamed.{extension}")
    answer = await service.get("/" + view["result"])
    assert decoded(answer.content).format == image_format
    assert answer.headers["content-type"] == f"image/{image_format.lower()}"


async def test_format_and_quality_choose_the_output(service: Client) -> None:
    coarse = await service.picture(format="webp", quality="5")
    fine = await service.picture(format="webp", quality="95")
    assert decoded(coarse).format == decoded(fine).format == "WEBP"
    assert len(coarse) < len(fine)


async def test_the_catalog_names_every_operation_with_its_bounds(api: Client) -> None:
    catalog = (await api.get("/operations")).json()
    resize = next(entry for entry in catalog["operations"] if entry["operation"] == "resize")
    assert resize["parameters"]["width"] == {
        "description": "Width in pixels.",
        "type": "integer",
        "minimum": 1,
        "maximum": 16383,
    }
    assert resize["parameters"]["fit"]["default"] == "fill"
    modules = Path(worker.operations.__file__).parent.glob("*.py")
    names = {module.stem for module in modules} - {"__init__", "base"}
    assert {entry["operation"] for entry in catalog["operations"]} == names
    formats = ["jpeg", "png", "webp", "avif", "gif", "tiff"]
    assert set(catalog["output"]["format"]["enum"]) == {"auto", "keep", *formats, "jp2", "jxl"}
    assert catalog["input"] == [*formats, "bmp", "ico", "heic", "jp2", "jxl"]
    assert {entry["operation"] for entry in catalog["operations"] if entry["takes_overlay"]} == {"watermark"}


async def test_the_root_is_a_page_for_people(api: Client) -> None:
    page = await api.get("/")
    assert page.headers["content-type"].startswith("text/html")


async def test_a_wrong_method_or_path_is_a_problem_too(api: Client) -> None:
    wrong_method = await api.get("/process-image/")
    assert wrong_method.status_code == 405
    assert wrong_method.headers["allow"] == "POST"
    assert wrong_method.json()["title"] == "Method Not Allowed"
    assert (await api.put("/tasks/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e")).headers["allow"] == "DELETE, GET, HEAD"
    assert (await api.get("/tasks/retry")).headers["allow"] == "POST"
    assert (await api.get("/nowhere")).json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no route has this path; /docs lists all of them",
    }
