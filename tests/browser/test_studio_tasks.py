"""Tasks in the studio, from their progress to what becomes of them."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.async_api import Route, expect

from app.api_settings import Settings
from tests.browser.conftest import Watch
from tests.browser.studio import CAT, COFFEE, Studio, content
from tests.conftest import Client, working
from tests.support.pictures import jpeg


@pytest.fixture
def odd_file(tmp_path: Path) -> Path:
    """A picture whose name needs quoting by everybody."""
    path = tmp_path / 'it\'s; "one", & $two.jpg'
    path.write_bytes(COFFEE.read_bytes())
    return path


async def test_a_failed_task_says_why_and_can_be_tried_again(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.page.get_by_text("More options").click()
    await studio.page.get_by_label("Max bytes", exact=True).fill("10")
    await studio.develop.click()
    banner = studio.page.get_by_role("alert")
    await expect(banner).to_contain_text("10")
    await studio.page.get_by_label("Max bytes", exact=True).fill("")
    await banner.get_by_role("button", name="Try again").click()
    await expect(studio.slider).to_be_visible()


async def test_progress_is_live(api: Client, settings: Settings, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.add("sepia")
    await studio.add("blur")
    await studio.page.evaluate("""() => {
        window.notes = [];
        new MutationObserver((all) => all.forEach(({addedNodes: [node]}) => node && notes.push(node.textContent)))
            .observe(document.querySelector(".note"), {childList: true});
    }""")
    await studio.develop.click()
    await expect(studio.page.locator(".note")).to_have_text("Waiting for a worker")
    assert await studio.page.get_by_role("progressbar").is_visible()
    async with working(settings):
        await expect(studio.slider).to_be_visible()
    told: list[str] = await studio.page.evaluate("notes")
    at = [told.index(note) for note in ("Waiting for a worker", "Developing", "Sepia is done", "Blur is done")]
    assert at == sorted(at)


async def test_without_streams_it_asks_instead(service: Client, studio: Studio, watch: Watch) -> None:
    watch.allowed.append("ERR_FAILED")

    async def cut(route: Route) -> None:
        await route.abort()

    await studio.page.route("**/events", cut)
    await studio.take(CAT)
    await studio.add("sepia")
    await studio.result()


async def test_a_task_that_waits_for_long_says_that_no_worker_is_running(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.develop.click()
    await expect(studio.page.locator(".note")).to_have_text("No worker is running. The task waits for one.")


async def test_a_task_can_be_stopped(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.develop.click()
    await expect(studio.page.locator(".note")).to_have_text("Waiting for a worker")
    await studio.page.get_by_role("button", name="Stop").click()
    await expect(studio.page.get_by_role("alert")).to_contain_text("Stopped")
    await expect(studio.page.locator(".entry .badge")).to_have_text("stopped")


async def test_several_pictures_are_developed_and_saved_at_once(
    api: Client, settings: Settings, studio: Studio, tmp_path: Path
) -> None:
    """More than a browser has connections: tasks that wait do not keep the others from being sent."""
    files = [tmp_path / f"{number}.jpg" for number in range(7)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg((120, 90), hue=number * 50))
    await studio.take(*files)
    await studio.add("invert")
    await studio.page.get_by_role("button", name="Develop 7 pictures").click()
    await expect(studio.page.locator('.tiles [data-state="waiting"]')).to_have_count(7)
    async with working(settings):
        await expect(studio.page.locator('.tiles [data-state="done"]')).to_have_count(7)
    async with studio.page.expect_download() as caught:
        await studio.page.get_by_role("button", name="Download all").click()
    await expect(studio.page.locator("#live")).to_have_text("7 results are in darkroom.zip")
    with ZipFile(BytesIO(await content(await caught.value))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [file.name for file in files]


async def test_the_history_survives_a_reload(service: Client, studio: Studio, watch: Watch) -> None:
    await studio.take(CAT)
    await studio.add("sepia")
    await studio.result()
    saved = await studio.download()
    await studio.open()
    entry = studio.page.locator(".entry")
    await expect(entry).to_have_text(re.compile(r"cat\.jpg\s*sepia\s*done", re.DOTALL))
    await entry.click()
    assert await studio.download() == saved

    watch.allowed.append("404")
    task_id = await entry.get_attribute("data-task")
    assert (await service.delete(f"/tasks/{task_id}")).status_code == 204
    await studio.open()
    await expect(entry).to_contain_text("expired")
    await expect(entry).to_be_disabled()
    await studio.page.locator("#clear-history").click()
    await expect(studio.page.get_by_text("Your tasks are listed here")).to_be_visible()
    await studio.open()
    await expect(entry).to_have_count(0)


async def one_operation(studio: Studio) -> None:
    step = await studio.add("watermark")
    await step.get_by_label("Text", exact=True).fill('it\'s @home; "100 %" $HOME\\')


async def a_pipeline(studio: Studio) -> None:
    await (await studio.add("crop")).get_by_label("Aspect ratio", exact=True).fill("1:1")
    await studio.add("watermark")
    await studio.page.get_by_label("Overlay", exact=True).set_input_files(CAT)
    await studio.page.get_by_label("Format", exact=True).select_option("webp")


async def a_report(studio: Studio) -> None:
    await studio.add("inspect")


WISHES = [one_operation, a_pipeline, a_report]


@pytest.mark.parametrize("language", ["curl", "Python"])
@pytest.mark.parametrize("wish", WISHES)
async def test_what_was_done_can_be_copied_and_run(
    service: Client,
    studio: Studio,
    odd_file: Path,
    tmp_path: Path,
    language: str,
    wish: Callable[[Studio], Awaitable[None]],
) -> None:
    await studio.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await studio.take(odd_file)
    await wish(studio)
    await studio.result()
    saved = await studio.download()
    (tmp_path / "cat.jpg").write_bytes(CAT.read_bytes())
    before = set(tmp_path.iterdir())
    interpreter = ["bash", "-euo", "pipefail"] if language == "curl" else [sys.executable, "-W", "ignore"]
    child = await asyncio.create_subprocess_exec(
        *interpreter, "-c", await studio.copied(language), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    [made] = set(tmp_path.iterdir()) - before or {odd_file}
    assert made.read_bytes() == saved


async def test_a_report_is_shown_as_facts(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    await studio.add("inspect")
    await studio.result()
    assert await studio.page.get_by_role("list", name="Palette").locator("li").count() == 5
    facts = await studio.page.locator(".facts dl").inner_text()
    assert "490" in facts
    await studio.page.get_by_text("As JSON").click()
    report: dict[str, Any] = json.loads(await studio.page.locator(".json").inner_text())
    assert report["width"] == 490


async def test_the_result_is_compared_and_enlarged_by_keys_and_wheel(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    await studio.add("invert")
    await studio.result()
    viewer = studio.page.locator(".viewer")
    await studio.slider.press("Home")
    assert await viewer.evaluate("element => element.style.getPropertyValue('--split')") == "0%"
    width = "document.querySelector('.pane.after img').getBoundingClientRect().width"
    fitted: float = await studio.page.evaluate(width)
    await viewer.press("+")
    assert await studio.page.evaluate(width) == pytest.approx(fitted * 1.25, abs=1)
    left = "document.querySelector('.pane.after img').getBoundingClientRect().left"
    before: float = await studio.page.evaluate(left)
    await viewer.press("ArrowLeft")
    assert await studio.page.evaluate(left) > before
    await viewer.press("0")
    assert await studio.page.evaluate(width) == pytest.approx(fitted, abs=1)
    await viewer.hover()
    await studio.page.mouse.wheel(0, -400)
    await studio.page.wait_for_function(f"() => {width} > {fitted * 2}")
    await studio.page.get_by_role("button", name="Fit the picture in").click()
    assert await studio.page.evaluate(width) == pytest.approx(fitted, abs=1)


async def test_a_task_that_waits_in_a_paused_queue_says_so(service: Client, studio: Studio) -> None:
    await service.post("/queue/pause")
    await studio.take(CAT)
    await studio.develop.click()
    await expect(studio.page.locator(".note")).to_have_text("The queue is paused. The task waits.")


async def test_a_preview_that_waits_for_long_says_that_no_worker_is_running(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.add("sepia")
    await expect(studio.page.get_by_text("No worker is running. The task waits for one.").first).to_be_visible()
