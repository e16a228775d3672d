"""Pipelines, variants, overlays and reports, over HTTP."""

import hashlib
import json
import zlib
from typing import Any

import httpx2
import pytest

from tests.conftest import Client
from tests.support.pictures import decoded, drawing, encoded, jpeg, mean_difference


async def post(client: Client, files: dict[str, bytes], **fields: Any) -> httpx2.Response:
    """Send fields, those that are no text as JSON."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return await client.post("/process-image/", files=files, data=texts)


async def ended(client: Client, files: dict[str, bytes], **fields: Any) -> dict[str, Any]:
    answer = await post(client, files, **fields)
    assert answer.status_code == 202, answer.text
    return await client.ended(answer.json()["task_id"])


def problems(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


async def test_a_pipeline_is_carried_out_in_its_order(service: Client) -> None:
    steps = [
        {"operation": "crop", "left": 0, "top": 0, "width": 100, "height": 75},
        {"operation": "rotate", "angle": 90},
        {"operation": "grayscale"},
    ]
    view = await ended(service, {"file": jpeg()}, operations=steps, format="png")
    result = decoded((await service.get("/" + view["result"])).content)
    assert (result.format, result.mode, result.size) == ("PNG", "L", (75, 100))
    expected = drawing().crop((0, 0, 100, 75)).rotate(-90, expand=True).convert("L")
    assert mean_difference(result, expected) < 3


async def test_json_may_write_a_whole_number_with_a_fraction_of_nothing(service: Client) -> None:
    """JSON has one kind of number: JavaScript and Lua write what they like."""
    boxes = [{"left": 0.0, "top": 0.0, "width": 5e1, "height": 50.0}]
    steps = [{"operation": "resize", "width": 120.0}, {"operation": "redact", "boxes": boxes}]
    view = await ended(service, {"file": jpeg()}, operations=steps)
    assert decoded((await service.get("/" + view["result"])).content).size == (120, 90)
    fields = problems(await post(service, {"file": jpeg()}, operations=[{"operation": "resize", "width": 120.5}]))
    assert list(fields) == ["operations[0].width"]


async def test_a_pipeline_without_steps_changes_the_format_alone(service: Client) -> None:
    view = await ended(service, {"file": jpeg()}, operations=[], format="webp")
    assert decoded((await service.get("/" + view["result"])).content).format == "WEBP"


async def test_a_wrong_step_is_named(api: Client) -> None:
    steps = [
        {"operation": "sharpen", "radius": -1},
        {"operation": "resize", "width": "800"},
        {"operation": "squeeze"},
        {"width": 5},
        {"operation": "grayscale", "strength": 3},
        {"operation": "redact", "boxes": [{"left": 1, "top": 1, "width": 0}]},
        {"operation": "resize", "width": 50, "scale": 0.5},
    ]
    found = problems(await post(api, {"file": jpeg()}, operations=steps))
    assert found["operations[1].width"] == "must be a whole number from 1 to 16383; got '800'"
    assert found["operations[2].operation"].startswith("unknown operation 'squeeze'; must be one of ")
    assert found["operations[3].operation"].startswith("is missing; must be one of ")
    assert found["operations[4].strength"] == "is not a parameter of grayscale, which takes none"
    assert found["operations[5].boxes[0].height"] == "is missing; must be a whole number from 1 to 16383"
    assert set(found) == {
        "operations[0].radius",
        "operations[1].width",
        "operations[2].operation",
        "operations[3].operation",
        "operations[4].strength",
        "operations[5].boxes[0].width",
        "operations[5].boxes[0].height",
        "operations[6].width",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"operations": "resize"}, {"operations": "is not valid JSON: JSON is malformed: invalid character (byte 0)"}),
        ({"operations": "{}"}, {"operations": "must be a JSON array; got {}"}),
        ({"operations": "[5]"}, {"operations": 'must be a list like [{"operation": "grayscale"}]; got [5]'}),
        (
            {"operations": [{"operation": "grayscale"}] * 21},
            {"operations": "must have at most 20 entries; got 21"},
        ),
        (
            {"operations": [], "operation": "grayscale", "width": "5"},
            {
                "operation": "cannot be combined with operations; set the parameters in each operation",
                "width": "cannot be combined with operations; set the parameters in each operation",
            },
        ),
        (
            {"operations": [{"operation": "inspect"}, {"operation": "grayscale"}]},
            {"operations[0]": "does not return an image; it must be the last operation"},
        ),
        (
            {"operations": [{"operation": "inspect"}], "format": "png"},
            {"format": "does not apply to a JSON result; omit it"},
        ),
        ({"variants": "[]"}, {"variants": "must be a JSON object; got []"}),
        ({"variants": {}}, {"variants": "must have 1 to 20 entries; got 0"}),
        ({"variants": {str(number): {} for number in range(21)}}, {"variants": "must have 1 to 20 entries; got 21"}),
        (
            {"variants": {"Ä": {}}, "quality": "5"},
            {
                "quality": "cannot be combined with variants; set it in each variant",
                "variants.Ä": "is not a valid name; use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit",
            },
        ),
        (
            {"variants": {"a": {"operations": [{"operation": "blur", "sigma": 0}], "quality": "5", "size": 3}}},
            {
                "variants.a.operations[0].sigma": None,
                "variants.a.quality": "must be a whole number from 1 to 100; got '5'",
                "variants.a.size": None,
            },
        ),
        (
            {"variants": {"a": {"operations": None}}},
            {"variants.a.operations": 'must be a list like [{"operation": "grayscale"}]; got null'},
        ),
        ({"variants": {"a": {"format": "png", "quality": 5}}}, {"variants.a.quality": None}),
        (
            {"operation": "watermark"},
            {"overlay": "is missing; send the image to place over the first as a second file"},
        ),
        (
            {"operations": [{"operation": "resize", "scale": 1}, {"operation": "crop", "width": 201}]},
            {"operations[1]": "the crop box extends to 201 x 150 pixels, outside of the image, which has 200 x 150"},
        ),
        (
            {"variants": {"a": {"operations": [{"operation": "resize", "width": 16383, "height": 16383}]}}},
            {
                "variants.a.operations[0]": "16383 x 16383 pixels are too many; "
                "an image may have 64,000,000 pixels in total"
            },
        ),
    ],
)
async def test_a_wish_that_cannot_be_carried_out(
    api: Client, fields: dict[str, Any], expected: dict[str, str | None]
) -> None:
    found = problems(await post(api, {"file": jpeg()}, **fields))
    assert set(found) == set(expected)
    assert all(message is None or found[name] == message for name, message in expected.items()), found


async def test_variants_are_made_of_one_upload_and_named_in_the_status(service: Client) -> None:
    variants = {
        "thumb": {"operations": [{"operation": "resize", "width": 40, "height": 40, "fit": "cover"}], "format": "webp"},
        "hero": {"operations": [{"operation": "resize", "width": 160}], "quality": 60},
        "facts": {"operations": [{"operation": "inspect"}]},
        "same": {},
    }
    view = await ended(service, {"file": jpeg()}, variants=variants)
    task_id = view["task_id"]
    assert view["result"] == {
        "thumb": f"processed/{task_id}/upload-thumb.webp",
        "hero": f"processed/{task_id}/upload-hero.jpg",
        "facts": f"processed/{task_id}/upload-facts.json",
        "same": f"processed/{task_id}/upload-same.jpg",
    }
    answers = {name: await service.get(f"/{path}") for name, path in view["result"].items()}
    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == {
        "thumb": "image/webp",
        "hero": "image/jpeg",
        "facts": "application/json",
        "same": "image/jpeg",
    }
    assert decoded(answers["thumb"].content).size == (40, 40)
    assert mean_difference(decoded(answers["hero"].content), drawing((160, 120))) < 7
    assert answers["facts"].json()["width"] == 200
    assert mean_difference(decoded(answers["same"].content), decoded(jpeg())) < 2

    result = await service.get(f"/task-result/{task_id}")
    assert result.json() == {"task_id": task_id, "processed_image": view["result"]}
    several = await service.get(f"/task-result/{task_id}", headers={"Accept": "image/*"})
    assert several.status_code == 406
    assert view["result"]["hero"] in several.json()["detail"]
    assert (await service.get(f"/processed/{task_id}/upload.jpg")).status_code == 404

    record = (await service.get(f"/tasks/{task_id}")).json()
    assert record["status"] == "SUCCESS"
    for output in record["outputs"]:
        content = answers[output["variant"]].content
        assert output["path"] == view["result"][output["variant"]]
        assert (output["bytes"], output["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert record["outputs"][0] == {
        "variant": "thumb",
        "path": view["result"]["thumb"],
        "format": "webp",
        "bytes": len(answers["thumb"].content),
        "crc32": zlib.crc32(answers["thumb"].content),
        "sha256": hashlib.sha256(answers["thumb"].content).hexdigest(),
        "width": 40,
        "height": 40,
        "frames": 1,
    }


async def test_the_record_of_a_task_with_one_output(service: Client) -> None:
    view = await ended(service, {"file": jpeg()}, operation="grayscale")
    record = (await service.get(f"/tasks/{view['task_id']}")).json()
    [output] = record["outputs"]
    assert (output["path"], output["width"], output["height"]) == (view["result"], 200, 150)
    assert "variant" not in output


async def test_a_variant_that_fails_is_named(service: Client) -> None:
    variants = {"small": {"operations": [{"operation": "resize"}]}, "tiny": {"max_bytes": 10}}
    view = await ended(service, {"file": jpeg()}, variants=variants)
    assert view["status"] == "FAILURE"
    assert view["error"].startswith("tiny: the result must have at most ")
    assert (await service.get(f"/processed/{view['task_id']}/upload-small.jpg")).status_code == 404


async def test_a_second_picture_is_laid_over_the_first(service: Client) -> None:
    overlay = encoded(drawing((20, 20)).convert("RGB").point(lambda _: 255), "PNG")
    view = await ended(
        service,
        {"file": encoded(drawing((100, 100)).point(lambda _: 0), "PNG"), "overlay": overlay},
        operation="watermark",
        scale="0.5",
        opacity="1",
        position="northwest",
        margin="0",
    )
    assert view["status"] == "SUCCESS", view
    result = decoded((await service.get("/" + view["result"])).content).convert("RGB")
    assert result.getpixel((10, 10)) == (255, 255, 255)
    assert result.getpixel((90, 90)) == (0, 0, 0)


async def test_an_overlay_that_is_none(api: Client) -> None:
    assert problems(await post(api, {"file": jpeg(), "overlay": jpeg()}, operation="grayscale")) == {
        "overlay": "is not used by any operation; omit it, or add the operation watermark"
    }
    assert problems(await post(api, {"file": jpeg(), "overlay": b""}, operation="watermark")) == {
        "overlay": "must not be empty"
    }
    text = await post(api, {"file": jpeg()}, operation="watermark", overlay="logo.png")
    assert problems(text) == {"overlay": "must be a file, not text; with curl: -F file=@photo.jpg"}
    assert (await post(api, {"file": jpeg(), "overlay": b"text"}, operation="watermark")).status_code == 415


async def test_a_broken_overlay_fails_the_task_and_is_named(service: Client) -> None:
    view = await ended(service, {"file": jpeg(), "overlay": jpeg((300, 300))[:-2000]}, operation="watermark")
    assert (view["status"], view["error"]) == ("FAILURE", "overlay: the image data is damaged or truncated")


async def test_a_removed_task_takes_both_its_uploads_with_it(service: Client, stored: Any) -> None:
    view = await ended(service, {"file": jpeg(), "overlay": jpeg()}, operation="watermark")
    assert sorted(stored()) == sorted(
        [f"uploads/{view['task_id']}", f"uploads/{view['task_id']}.overlay", view["result"]]
    )
    assert (await service.delete(f"/tasks/{view['task_id']}")).status_code == 204
    assert stored() == []


async def test_a_background_is_meant_for_the_operation_and_the_output(service: Client) -> None:
    view = await ended(
        service,
        {"file": encoded(drawing((100, 60), "RGBA"), "PNG")},
        operation="pad",
        top="20",
        background="red",
        format="jpeg",
        quality="95",
    )
    result = decoded((await service.get("/" + view["result"])).content)
    for place in ((50, 5), (10, 30)):  # the padding, and the transparent quarter
        red, green, blue = result.getpixel(place)  # type: ignore[misc]
        assert red > 240
        assert green < 20
        assert blue < 20
