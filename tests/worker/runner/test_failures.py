"""What the record of a failed task says: the code of the cause, the operation, and where the time went."""

from io import BytesIO
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from PIL import Image

from app.api_settings import Settings
from tests.conftest import PHOTO, Client, eventually, serving, working
from tests.support.pictures import drawing, encoded, jpeg
from worker.errors import CAUSES, ErrorCode


def tiff_of_floats() -> bytes:
    return encoded(Image.linear_gradient("L").convert("F"), "TIFF")


def animation(frames: int) -> bytes:
    images = [Image.new("L", (2, 2), number % 256) for number in range(frames)]
    file = BytesIO()
    images[0].save(file, "PNG", save_all=True, append_images=images[1:])
    return file.getvalue()


def with_large_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    return encoded(drawing(), "PNG", exif=exif)


FAILURES: dict[str, tuple[bytes, dict[str, str], str | None]] = {
    "damaged": (jpeg((800, 600))[:3000], {}, None),
    "too_large": (animation(300), {"format": "webp"}, None),
    "unsupported": (tiff_of_floats(), {"format": "png"}, None),
    "impossible": (jpeg((16, 16)), {"operation": "watermark", "text": "a long line of text"}, "watermark"),
    "max_bytes": (jpeg((800, 600)), {"format": "jpeg", "max_bytes": "300"}, None),
    "metadata": (with_large_exif(), {"format": "jpeg", "metadata": "keep"}, None),
}
"""Error code -> a file, the fields of the form, and the operation that fails."""


@pytest.mark.parametrize("code", FAILURES)
async def test_a_failure_names_its_cause(service: Client, code: str) -> None:
    data, fields, operation = FAILURES[code]
    task_id = await service.upload(data, **fields)
    assert (await service.ended(task_id))["status"] == "FAILURE"
    record = (await service.get(f"/tasks/{task_id}")).json()
    assert (record["error_code"], record.get("failed_operation")) == (code, operation), record["error"]
    described = (await service.get("/operations")).json()["error_codes"][code]
    assert described["retry_helps"] is False
    page, _, anchor = described["docs"].partition("#")
    assert f'id="{anchor}"' in (await service.get(page)).text


async def test_variants_and_overlays_keep_the_code_and_the_operation(service: Client) -> None:
    variants = '{"a": {"operations": []}, "b": {"operations": [{"operation": "grayscale"}, {"operation": "watermark", '
    variants += '"text": "a long line of text"}]}}'
    files = {"file": ("a.jpg", jpeg((16, 16)))}
    answer = await service.post("/process-image/", files=files, data={"variants": variants})
    await service.ended(task_id := answer.json()["task_id"])
    record = (await service.get(f"/tasks/{task_id}")).json()
    assert (record["error_code"], record["failed_operation"]) == ("impossible", "watermark")
    assert record["error"].startswith("b: operation 2: ")

    overlaid = {"file": ("a.jpg", PHOTO), "overlay": ("b.jpg", jpeg((800, 600))[:3000])}
    answer = await service.post("/process-image/", files=overlaid, data={"operation": "watermark"})
    await service.ended(task_id := answer.json()["task_id"])
    record = (await service.get(f"/tasks/{task_id}")).json()
    assert (record["error_code"], record["error"]) == ("damaged", "overlay: the image data is damaged or truncated")


async def test_a_retry_clears_what_the_failure_left(service: Client, api: Client) -> None:
    data, fields, _ = FAILURES["impossible"]
    task_id = await service.upload(data, **fields)
    await service.ended(task_id)
    await service.post("/queue/pause")
    await service.post(f"/tasks/{task_id}/retry")
    record = (await api.get(f"/tasks/{task_id}")).json()
    assert (record["status"], record["error_code"], record["phases"]) == ("PENDING", None, None)
    assert "failed_operation" not in record


def test_each_code_is_described() -> None:
    assert set(CAUSES) == set(ErrorCode)
    for cause in CAUSES.values():
        assert cause.meaning.endswith(".")


async def test_the_phases_tell_where_the_time_of_a_task_went(service: Client) -> None:
    """A large upload that becomes a small AVIF: decoding, the operation and encoding each take measurable time."""
    large = encoded(drawing((3000, 2000)), "PNG")
    task_id = await service.upload(large, operation="median", size="5", format="avif")
    await service.ended(task_id)
    record = (await service.get(f"/tasks/{task_id}")).json()
    phases = record["phases"]
    assert set(phases) == {"reading_s", "decoding_s", "operations_s", "encoding_s", "storing_s"}
    assert all(took_s > 0 for took_s in phases.values())
    assert sum(phases.values()) <= record["ran_s"] + 0.002
    assert sum(phases.values()) > 0.4 * record["ran_s"]

    plain = await service.upload(large, operation="invert", format="png")
    await service.ended(plain)
    other = (await service.get(f"/tasks/{plain}")).json()["phases"]
    assert other["operations_s"] < phases["operations_s"] / 2  # inverting is simpler than a median


async def test_a_task_that_runs_out_of_time_says_where(redis: ArqRedis, settings: Settings) -> None:
    """Its time counts for the phase and the operation that were cut off."""
    hasty = msgspec.structs.replace(settings, task_timeout_s=1)
    noise = encoded(Image.effect_noise((2000, 1500), 90).convert("RGB"), "JPEG")
    slow = {
        "median": ({"operation": "median", "size": "9"}, "operations", "applying operations"),
        None: ({"operation": "invert", "format": "avif", "effort": "9"}, "encoding", "encoding the result"),
    }
    async with serving(hasty) as url, working(hasty) as worker, Client(base_url=url) as service:

        async def all_slots_are_back() -> bool:
            return bool(worker.ctx["slots"].lost == 0)

        for operation, (fields, phase, doing) in slow.items():
            task_id = await service.upload(noise, **fields)
            await service.ended(task_id)
            record = (await service.get(f"/tasks/{task_id}")).json()
            assert record["error"] == f"processing took longer than 1 s; it was {doing}"
            assert record.get("failed_operation") == operation
            phases = record["phases"]
            assert max(phases, key=lambda name: phases[name]) == f"{phase}_s"
            assert sum(phases.values()) > 0.9
            await eventually(all_slots_are_back)

        async def failed_medians() -> dict[str, Any] | None:
            groups = (await service.get("/stats?by=operation")).json()["groups"]
            return next((group for group in groups if group["name"] == "median" and group["failed"]), None)

        group = await eventually(failed_medians)
        assert (group["count"], group["failed"]) == (1, 1)
        assert group["total_s"] > 0.1
        kinds = {group["operation"] for group in (await service.get("/failures")).json()["groups"]}
        assert kinds == {"median", None}


async def test_operations_of_the_phases_are_those_of_the_statistics(service: Client) -> None:
    """The sum over the operations of a pipeline with variants is what `/stats?by=operation` counts."""
    variants = '{"a": {"operations": [{"operation": "blur"}]}, "b": {"operations": [{"operation": "median"}]}}'
    files = {"file": ("a.png", encoded(drawing((1200, 900)), "PNG"))}
    answer = await service.post("/process-image/", files=files, data={"variants": variants})
    await service.ended(task_id := answer.json()["task_id"])
    record = (await service.get(f"/tasks/{task_id}")).json()

    async def groups() -> dict[str, float]:
        found = (await service.get("/stats?by=operation")).json()["groups"]
        return {group["name"]: group["total_s"] for group in found}

    async def both() -> dict[str, float] | None:
        found = await groups()
        return found if len(found) == 2 else None

    totals = await eventually(both)
    assert sum(totals.values()) == pytest.approx(record["phases"]["operations_s"], rel=0.02, abs=0.002)


async def test_a_running_and_a_waiting_task_have_no_phases(api: Client) -> None:
    record = (await api.get(f"/tasks/{await api.upload()}")).json()
    assert record["phases"] is None
