"""Boxes on the picture, the live preview, and what the viewer does with wheel and fingers."""

import json
import re
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from PIL import Image
from playwright.async_api import Browser, Locator, expect

from app.api_settings import Settings
from tests.browser.studio import CAT, COFFEE, Studio
from tests.conftest import DEADLINE_S, Client, serving, working
from tests.support.pictures import decoded


async def drag(studio: Studio, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the picture, from and to shares of its width and height."""
    image = await studio.page.locator(".pane.before img").bounding_box()
    assert image is not None
    (x1, y1), (x2, y2) = (
        (image["x"] + share[0] * image["width"], image["y"] + share[1] * image["height"]) for share in (start, end)
    )
    await studio.page.mouse.move(x1, y1)
    await studio.page.mouse.down()
    await studio.page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    await studio.page.mouse.move(x2, y2)
    await studio.page.mouse.up()


async def numbers(step: Locator) -> list[list[int]]:
    rows = step.locator("tbody tr")
    return [
        [int(await row.locator("input").nth(column).input_value()) for column in range(4)] for row in await rows.all()
    ]


async def is_black(studio: Studio, x: int, y: int) -> bool:
    """Return whether a pixel of what is shown on the right is black, in pixels of the picture."""
    data: list[int] = await studio.page.evaluate(
        """async ([x, y]) => {
            const image = document.querySelector(".pane.after img");
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
            canvas.drawImage(image, 0, 0);
            return [...canvas.getImageData(x, y, 1, 1).data];
        }""",
        [x, y],
    )
    return max(data[:3]) < 30


PREVIEWED = (
    "() => document.querySelector('.tag.after').textContent === 'Preview' && document.querySelector('.viewer.both')"
)


async def test_boxes_on_the_picture_are_always_those_of_the_recipe(service: Client, studio: Studio) -> None:
    """One must never believe that a face is covered when it is not."""
    page = studio.page
    await studio.take(COFFEE)
    step = await studio.add("redact")
    boxes = page.locator(".editor .box")
    await step.get_by_role("button", name="Draw on the picture").click()
    await drag(studio, (0.1, 0.1), (0.3, 0.3))
    await drag(studio, (0.6, 0.6), (0.8, 0.9))
    await expect(boxes).to_have_count(2)
    assert await numbers(step) == [pytest.approx([49, 40, 98, 80], abs=2), pytest.approx([294, 240, 98, 120], abs=2)]
    await step.get_by_role("button", name="Remove the box").first.click()
    await expect(boxes).to_have_count(1)
    await step.locator("tbody input").first.fill("10")
    await expect(boxes).to_have_attribute("aria-label", re.compile("left 10,"))
    await page.get_by_role("button", name="Undo", exact=True).click()
    await expect(boxes).to_have_attribute("aria-label", re.compile("left 29[345],"))
    await page.keyboard.press("Escape")
    await expect(boxes).to_have_count(0)
    await page.wait_for_function(PREVIEWED)  # what is covered is shown by the service, not by a drawing
    assert await is_black(studio, 340, 300)
    assert not await is_black(studio, 60, 60)
    await step.get_by_role("button", name="Draw on the picture").click()
    await expect(boxes).to_have_count(1)
    await page.get_by_role("button", name="Remove step 1, Redact").click()
    await expect(boxes).to_have_count(0)


async def test_boxes_come_back_with_their_step_and_with_a_link(service: Client, studio: Studio) -> None:
    """By undo, redo, a reload and a link: whatever makes the step again."""
    page = studio.page
    await studio.take(COFFEE)
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await page.get_by_role("button", name="Add a box here").click()
    await page.keyboard.press("Escape")
    expected = await numbers(step)
    assert len(expected) == 1
    await page.get_by_role("button", name="Remove step 1, Redact").click()
    await page.locator("#undo").click()
    assert await numbers(step) == expected
    await page.locator("#undo").click()
    assert await numbers(step) == []
    await page.locator("#redo").click()
    assert await numbers(step) == expected
    await expect(page.locator("#redo")).to_be_enabled()  # the removal is still ahead
    link = "atob(location.hash.slice(3).replaceAll('-', '+').replaceAll('_', '/'))"
    await page.wait_for_function(f"() => {link}.includes('boxes')")
    await page.reload()
    await expect(studio.steps).to_have_count(1)
    await studio.steps.first.locator(".title").click()
    assert await numbers(studio.steps.first) == expected
    await page.wait_for_function(PREVIEWED)
    assert await is_black(studio, 245, 200)


async def test_a_result_appears_although_one_was_drawing(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await drag(studio, (0.1, 0.1), (0.3, 0.3))
    await studio.develop.click()
    await expect(studio.page.get_by_role("button", name="Download", exact=True)).to_be_visible()
    await expect(studio.slider).to_be_visible()
    await expect(studio.page.locator(".tag.after")).to_have_text("After")
    assert decoded(await studio.download()).convert("RGB").getpixel((98, 80)) == (0, 0, 0)


async def test_a_box_is_moved_sized_and_removed_by_pointer_and_keys(api: Client, studio: Studio) -> None:
    page = studio.page
    await studio.take(COFFEE)
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await drag(studio, (0.2, 0.2), (0.4, 0.4))
    [before] = await numbers(step)
    await drag(studio, (0.3, 0.3), (0.5, 0.4))
    assert await numbers(step) == [pytest.approx([before[0] + 98, before[1] + 40, before[2], before[3]], abs=2)]
    [moved] = await numbers(step)
    handle = page.locator(".handle.se")
    place = await handle.bounding_box()
    assert place is not None
    await page.mouse.move(place["x"] + 12, place["y"] + 12)
    await page.mouse.down()
    await page.mouse.move(place["x"] + 62, place["y"] + 32)
    await page.mouse.up()
    [sized] = await numbers(step)
    assert sized[:2] == moved[:2]
    assert sized[2] > moved[2]
    assert sized[3] > moved[3]
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Shift+ArrowDown")
    await page.keyboard.press("Alt+ArrowRight")
    assert await numbers(step) == [[sized[0] - 1, sized[1] + 10, sized[2] + 1, sized[3]]]
    await page.keyboard.press("Delete")
    assert await numbers(step) == []
    await page.get_by_role("button", name="Done").click()
    await expect(page.locator(".editor")).to_have_count(0)


async def test_a_box_stays_within_the_picture(api: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await drag(studio, (0.8, 0.8), (0.95, 0.95))
    for _ in range(8):
        await studio.page.keyboard.press("Shift+ArrowRight")
        await studio.page.keyboard.press("Shift+ArrowDown")
    [[left, top, width, height]] = await numbers(step)
    assert (left + width, top + height) == (490, 400)


async def test_boxes_are_drawn_on_a_picture_that_the_browser_does_not_know(
    service: Client, studio: Studio, tmp_path: Path
) -> None:
    """On what the service makes of it."""
    with Image.open(COFFEE) as picture:
        picture.save(tmp_path / "coffee.tif")
    await studio.take(tmp_path / "coffee.tif")
    await expect(studio.page.get_by_text("This browser cannot show this format")).to_be_visible()
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await studio.page.wait_for_function("() => document.querySelector('.pane.before img').naturalWidth === 490")
    await studio.page.get_by_role("button", name="Add a box here").click()
    assert await numbers(step) == [[123, 100, 245, 200]]


async def test_crop_is_drawn_in_any_step_on_what_the_steps_before_make(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    first = await studio.add("resize")
    await first.get_by_label("Width", exact=True).fill("200")
    step = await studio.add("crop")
    await step.get_by_role("button", name="Draw on the picture").click()
    await expect(studio.page.locator(".editor.single")).to_be_visible()
    size = "() => document.querySelector('.pane.before img').naturalWidth"
    await studio.page.wait_for_function(f"() => ({size})() === 200")
    await drag(studio, (0.25, 0.25), (0.75, 0.75))
    await studio.page.keyboard.press("Escape")
    await studio.result()
    assert list(decoded(await studio.download()).size) == pytest.approx([100, 82], abs=2)


async def test_a_preview_follows_each_change_and_sends_the_picture_once(service: Client, studio: Studio) -> None:
    page = studio.page
    posts: list[int] = []
    page.on(
        "request",
        lambda request: posts.append(len(request.post_data_buffer or b"")) if request.method == "POST" else None,
    )
    await studio.take(COFFEE)
    await studio.add("invert")
    await page.wait_for_function(PREVIEWED)
    src = "document.querySelector('.pane.after img').src"
    first: str = await page.evaluate(src)
    step = await studio.add("blur")
    await page.wait_for_function(f"() => {src} !== {json.dumps(first)} && ({PREVIEWED})()")
    second: str = await page.evaluate(src)
    await step.get_by_label("Sigma", exact=True).fill("20")
    await page.wait_for_function(f"() => {src} !== {json.dumps(second)} && ({PREVIEWED})()")
    await studio.result()
    tasks = (await service.get("/tasks")).json()["tasks"]
    assert len(tasks) >= 4
    assert tasks[0]["operations"] == [{"operation": "invert"}, {"operation": "blur", "sigma": 20.0}]
    assert not any(step["operation"] == "resize" for step in tasks[0]["operations"])  # Develop is full size


async def test_a_large_picture_has_a_small_preview(service: Client, studio: Studio) -> None:
    buffer = BytesIO()
    Image.effect_noise((3000, 2000), 40).convert("RGB").save(buffer, "JPEG", quality=80)
    file: Any = {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
    await studio.page.set_input_files("#files", file)
    await studio.add("invert")
    await studio.page.wait_for_function(PREVIEWED)
    assert await studio.page.evaluate("document.querySelector('.pane.after img').naturalWidth") == 1600
    await studio.result()
    assert decoded(await studio.download()).size == (3000, 2000)


async def test_the_wheel_scrolls_the_page_unless_the_viewer_has_focus_or_ctrl_is_held(
    service: Client, studio: Studio
) -> None:
    page = studio.page
    await page.set_viewport_size({"width": 900, "height": 500})
    await studio.take(COFFEE)
    width = "document.querySelector('.pane.before img').getBoundingClientRect().width"
    await page.evaluate("() => window.scrollTo(0, 300)")
    await page.locator(".viewer").hover()
    fitted: float = await page.evaluate(width)
    before: float = await page.evaluate("scrollY")
    await page.mouse.wheel(0, -100)
    await page.wait_for_function(f"() => scrollY < {before}")
    assert await page.evaluate(width) == fitted
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, -100)
    await page.keyboard.up("Control")
    await page.wait_for_function(f"() => {width} > {fitted} * 1.1")


async def test_a_result_that_the_browser_cannot_show_has_no_divider(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.page.get_by_label("Format", exact=True).select_option("tiff")
    await studio.result()
    await expect(studio.page.get_by_text("This browser cannot show this format")).to_be_visible()
    await expect(studio.page.locator(".viewer.both")).to_have_count(0)
    assert decoded(await studio.download()).format == "TIFF"


@pytest_asyncio.fixture(loop_scope="session")
async def forgetful(browser: Browser, redis: ArqRedis, settings: Settings) -> AsyncIterator[Studio]:
    """The studio of a service that deletes uploads after processing."""
    settings = msgspec.structs.replace(settings, keep_uploads=False)
    async with serving(settings) as home, working(settings):
        page = await browser.new_page(base_url=home)
        page.set_default_timeout(DEADLINE_S * 1000)
        yield await Studio(page).open()
        await page.close()


async def test_previews_work_where_uploads_are_not_kept(forgetful: Studio) -> None:
    page = forgetful.page
    gone: list[int] = []
    page.on("response", lambda answer: gone.append(answer.status) if answer.status == 410 else None)
    await forgetful.take(COFFEE)
    src = "document.querySelector('.pane.after img').src"
    before = ""
    for operation in ("invert", "sepia", "flip", "grayscale"):
        await forgetful.add(operation)
        await page.wait_for_function(f"() => {src} !== {json.dumps(before)} && ({PREVIEWED})()")
        before = await page.evaluate(src)
    await forgetful.result()
    assert len(gone) == 1  # it is learned once
