"""The studio's recipe, and what the service says of it."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Watch
from tests.browser.studio import CAT, COFFEE, Studio
from tests.conftest import Client
from tests.support.pictures import decoded
from worker.operations import OPERATIONS


async def test_a_picture_goes_from_the_upload_to_the_downloaded_result(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    step = await studio.add("resize")
    await step.get_by_label("Width", exact=True).fill("200")
    await studio.add("grayscale")
    await studio.page.get_by_label("Format", exact=True).select_option("png")
    await studio.result()
    await expect(studio.slider).to_be_visible()
    measures = await studio.page.locator(".measures").inner_text()
    assert re.search(r"490 \W 400\s+\W\s+200 \W 163", measures), measures
    assert re.search(r"Waited\s+\d+ ms\s+Worked\s+[\d.]+ m?s", measures), measures
    picture = decoded(await studio.download())
    assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (200, 163))


async def test_pictures_can_be_dropped_and_pasted(api: Client, studio: Studio) -> None:
    send = """([type, key]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["no picture"], `${type}.jpg`, {type: "image/jpeg"}));
        document.dispatchEvent(Object.assign(new Event(type, {cancelable: true}), {[key]: transfer}));
    }"""
    await studio.page.evaluate(send, ["drop", "dataTransfer"])
    await studio.page.evaluate(send, ["paste", "clipboardData"])
    for name in ("drop.jpg", "paste.jpg"):
        await expect(studio.page.get_by_role("button", name=f"{name}, ready")).to_be_visible()


async def test_a_pipeline_is_built_by_adding_moving_dragging_and_removing(api: Client, studio: Studio) -> None:
    for operation in ("blur", "sepia", "invert"):
        await studio.add(operation)
    assert await studio.names() == ["Blur", "Sepia", "Invert"]
    await studio.page.get_by_role("button", name="Move up step 3, Invert").press("Enter")
    assert await studio.names() == ["Blur", "Invert", "Sepia"]
    await expect(studio.page.get_by_role("button", name="Move up step 2, Invert")).to_be_focused()
    await studio.page.keyboard.press("Enter")
    assert await studio.names() == ["Invert", "Blur", "Sepia"]
    await expect(studio.page.locator("#live")).to_have_text("Invert is step 1 of 3 now")
    await studio.steps.nth(2).locator(".grip").drag_to(studio.steps.nth(0), target_position={"x": 20, "y": 2})
    assert await studio.names() == ["Sepia", "Invert", "Blur"]
    await studio.page.get_by_role("button", name="Remove step 2, Invert").click()
    assert await studio.names() == ["Sepia", "Blur"]
    await studio.page.get_by_role("button", name="Clear").click()
    assert await studio.names() == []


async def test_operations_are_found_by_what_they_do(api: Client, studio: Studio) -> None:
    await studio.page.get_by_role("button", name="Add an operation").click()
    options = studio.page.get_by_role("dialog").locator("li:visible button")
    assert await options.count() == len(OPERATIONS)
    await studio.page.get_by_role("searchbox").fill("mosaic")
    await expect(options).to_have_count(1)
    await studio.page.keyboard.press("ArrowDown")
    await studio.page.keyboard.press("Enter")
    assert await studio.names() == ["Pixelate"]


async def draw_a_box(studio: Studio, step: Locator) -> None:
    await step.get_by_role("button", name="Draw on the picture").click()
    box = await studio.page.locator(".viewer").bounding_box()
    assert box is not None
    await studio.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await studio.page.mouse.down()
    await studio.page.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2 + 40)
    await studio.page.mouse.up()
    await studio.page.keyboard.press("Escape")
    await expect(step.locator("tbody tr")).to_have_count(1)


async def give_an_aspect_ratio(_: Studio, step: Locator) -> None:
    await step.get_by_label("Aspect ratio", exact=True).fill("1:1")


async def give_an_overlay(studio: Studio, _: Locator) -> None:
    await studio.page.get_by_label("Overlay", exact=True).set_input_files(CAT)


REQUIRED: dict[str, Callable[[Studio, Locator], Awaitable[None]]] = {
    "crop": give_an_aspect_ratio,
    "redact": draw_a_box,
    "watermark": give_an_overlay,
}


async def test_the_form_of_every_operation_submits(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    for operation, kind in OPERATIONS.items():
        step = await studio.add(operation)
        fields = await step.locator("[data-field]").evaluate_all("all => all.map((each) => each.dataset.field)")
        assert sorted(fields) == sorted(kind.__struct_fields__)
        if operation in REQUIRED:
            await REQUIRED[operation](studio, step)
        await studio.result()
        await expect(studio.page.locator(".entry .soft").first).to_have_text(operation.replace("_", " "))
        await studio.page.get_by_role("button", name="Clear").first.click()


async def test_only_what_was_changed_is_sent_and_can_be_taken_back(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    step = await studio.add("blur")
    field, slider = step.get_by_label("Sigma", exact=True), step.get_by_label("Sigma, slider")
    await slider.press("End")
    await expect(field).to_have_value("1000")
    await slider.press("Home")
    await expect(field).to_have_value("0.1")
    await step.get_by_role("button", name="Reset Sigma").click()
    await expect(field).to_have_value("2")
    await step.get_by_label("Sigma", exact=True).fill("3")
    await studio.develop.click()
    await expect(studio.page.locator(".entry")).to_have_count(1)
    [entry] = json.loads(await studio.page.evaluate("localStorage.getItem('darkroom-tasks')"))
    assert entry["fields"] == [["operation", "blur"], ["sigma", "3"]]


@pytest.mark.parametrize("steps", [["resize"], ["resize", "sepia"]])
async def test_an_error_is_told_at_its_field(service: Client, studio: Studio, watch: Watch, steps: list[str]) -> None:
    watch.allowed.append("422")
    await studio.take(CAT, COFFEE)
    for operation in steps:
        await studio.add(operation)
    if len(steps) > 1:
        await studio.steps.first.locator(".title").click()
    field = studio.steps.first.get_by_label("Width", exact=True)
    await field.fill("99999")
    if len(steps) > 1:
        await studio.steps.last.locator(".title").click()  # closes the step that is wrong
    await studio.develop.click()
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("aria-invalid", "true")
    message = "must be a whole number from 1 to 16383; got 99999"
    await expect(studio.steps.first.locator('[data-field="width"] .error')).to_have_text(message)
    names = {task["file"]["name"] for task in (await service.get("/tasks")).json()["tasks"]}
    assert COFFEE.name not in names  # nor was the second picture sent in vain
    await field.fill("90")
    await expect(field).not_to_have_attribute("aria-invalid", "true")
    await studio.result()


@pytest.mark.parametrize("missing", ["overlay", "boxes"])
async def test_what_is_missing_is_told_where_it_is_given(
    service: Client, studio: Studio, watch: Watch, missing: str
) -> None:
    watch.allowed.append("422")
    await studio.take(CAT)
    await studio.add({"overlay": "watermark", "boxes": "redact"}[missing])
    await studio.develop.click()
    at = studio.page.locator(".overlay" if missing == "overlay" else '[data-field="boxes"]')
    await expect(at.locator(".error")).to_contain_text("is missing")
    assert await at.evaluate("element => element.contains(document.activeElement)")


async def test_a_file_that_is_no_picture_is_told_at_it(
    service: Client, studio: Studio, watch: Watch, tmp_path: Path
) -> None:
    watch.allowed.append("415")
    (tmp_path / "notes.jpg").write_text("no picture")
    await studio.take(tmp_path / "notes.jpg")
    await expect(studio.page.get_by_text("This browser cannot show this format")).to_be_visible()
    await studio.develop.click()
    banner = studio.page.get_by_role("alert")
    await expect(banner).to_contain_text("is not a supported image, whatever its name")
    await expect(banner).to_be_focused()
