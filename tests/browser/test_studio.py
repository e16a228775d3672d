"""The studio, used as people use it."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Download, Locator, Page, Route, expect

from app.settings import Settings
from tests.browser.conftest import Watch
from tests.conftest import DEADLINE_S, Client, working
from tests.pictures import decoded, jpeg
from worker.operations import OPERATIONS

PHOTOGRAPHS = Path(__file__).parent.parent / "photographs"
COFFEE, CAT, ASTRONAUT = (PHOTOGRAPHS / f"{name}.jpg" for name in ("coffee", "cat", "astronaut"))

expect.set_options(timeout=DEADLINE_S * 1000)


class Studio:
    """The page, by what a person does on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps = page.get_by_role("list", name="Steps, in their order").locator(".step")
        self.develop = page.get_by_role("button", name=re.compile("^Develop"))
        self.slider = page.get_by_role("slider", name="Before and after")

    async def open(self) -> "Studio":
        await self.page.goto("/")
        await expect(self.page.get_by_role("button", name="Add an operation")).to_be_visible()
        return self

    async def take(self, *files: Path) -> None:
        await self.page.set_input_files("#files", files)
        await expect(self.page.locator(".tile")).to_have_count(len(files))

    async def add(self, operation: str) -> Locator:
        """Add a step by searching for it, and return it."""
        await self.page.get_by_role("button", name="Add an operation").click()
        name = operation.replace("_", " ")
        await self.page.get_by_role("searchbox").fill(name)
        await (
            self.page.get_by_role("dialog").get_by_role("button", name=re.compile(rf"^{name}\b", re.IGNORECASE)).click()
        )
        return self.steps.last

    async def names(self) -> list[str]:
        return await self.steps.locator(".title b").all_inner_texts()

    async def result(self) -> None:
        """Develop, and wait for the result."""
        await self.develop.click()
        await expect(self.page.get_by_role("button", name="Download", exact=True)).to_be_visible()

    async def download(self) -> bytes:
        async with self.page.expect_download() as caught:
            await self.page.get_by_role("button", name="Download", exact=True).click()
        return await content(await caught.value)

    async def copied(self, language: str) -> str:
        await self.page.get_by_role("button", name=f"Copy as {language}").click()
        await expect(self.page.get_by_text("Copied", exact=True)).to_be_visible()
        text: str = await self.page.evaluate("navigator.clipboard.readText()")
        return text


async def content(download: Download) -> bytes:
    return Path(await download.path()).read_bytes()


@pytest_asyncio.fixture(loop_scope="session")
async def studio(page: Page) -> Studio:
    return await Studio(page).open()


@pytest.fixture
def odd_file(tmp_path: Path) -> Path:
    """A picture whose name needs quoting by everybody."""
    path = tmp_path / 'it\'s; "one", & $two.jpg'
    path.write_bytes(COFFEE.read_bytes())
    return path


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
    options = studio.page.get_by_role("dialog").locator("li:visible")
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
        for name in kind.__struct_fields__:
            await expect(step.locator(f'[data-field="{name}"]')).to_be_visible()
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
    message = "99999 is not allowed; give a whole number from 1 to 16383"
    await expect(studio.steps.first.locator('[data-field="width"] .error')).to_have_text(message)
    assert (await service.get("/tasks")).json()["tasks"] == []  # nor was the second picture sent in vain
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
    await expect(banner).to_contain_text("is not a picture that can be read, whatever its name says")
    await expect(banner).to_be_focused()


async def test_a_failed_task_says_why_and_can_be_tried_again(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.page.get_by_text("More about the file").click()
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


async def test_a_task_can_be_stopped(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.develop.click()
    await expect(studio.page.locator(".note")).to_have_text("Waiting for a worker")
    await studio.page.get_by_role("button", name="Stop").click()
    await expect(studio.page.get_by_role("alert")).to_contain_text("Stopped")
    await expect(studio.page.locator(".entry .badge")).to_have_text("stopped")


async def test_several_pictures_are_developed_and_saved_at_once(
    service: Client, studio: Studio, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(7)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg((120, 90), hue=number * 50))
    await studio.take(*files)
    await studio.add("invert")
    await studio.page.get_by_role("button", name="Develop 7 pictures").click()
    await expect(studio.page.locator('.tiles [data-state="done"]')).to_have_count(7)
    downloads: list[Download] = []
    studio.page.on("download", lambda each: downloads.append(each))  # noqa: PLW0108 - Playwright wraps no builtin
    await studio.page.get_by_role("button", name="Download all").click()
    await expect(studio.page.locator("#live")).to_have_text("All results are saved")
    assert sorted(each.suggested_filename for each in downloads) == [file.name for file in files]


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
    await expect(studio.page.get_by_text("Copy as curl")).to_be_visible()

    watch.allowed.append("404")
    task_id = await entry.get_attribute("data-task")
    assert (await service.delete(f"/tasks/{task_id}")).status_code == 204
    await studio.open()
    await expect(entry).to_contain_text("expired")
    await expect(entry).to_be_disabled()
    await studio.page.get_by_role("button", name="Clear").click()
    await expect(studio.page.get_by_text("What you develop is listed here")).to_be_visible()
    await studio.open()
    await expect(entry).to_have_count(0)


async def one_operation(studio: Studio) -> None:
    step = await studio.add("watermark")
    await step.get_by_label("Text", exact=True).fill('it\'s @home; "100 %" $HOME\\')


async def a_pipeline(studio: Studio) -> None:
    await give_an_aspect_ratio(studio, await studio.add("crop"))
    await studio.add("watermark")
    await give_an_overlay(studio, studio.steps.last)
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


async def test_a_service_that_asks_for_a_key_gets_one(service: Client, page: Page, watch: Watch) -> None:
    """The network says what a service with keys says."""
    watch.allowed.append("401")

    async def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer secret":
            await route.continue_()
        else:
            body = json.dumps({"detail": "give an API key"})
            await route.fulfill(status=401, content_type="application/problem+json", body=body)

    await page.route(re.compile("/(operations|process-image|tasks|processed)"), guard)
    studio = Studio(page)
    await page.goto("/")
    await expect(page.get_by_role("dialog")).to_contain_text("give an API key")
    await page.get_by_label("API key").fill("secret")
    await page.keyboard.press("Enter")
    await studio.take(CAT)
    await studio.result()


async def test_a_catalogue_that_cannot_be_had_is_told(api: Client, page: Page, watch: Watch) -> None:
    watch.allowed.append("ERR_FAILED")

    async def cut(route: Route) -> None:
        await route.abort()

    await page.route("**/operations", cut)
    await page.goto("/")
    await expect(page.get_by_role("alert")).to_contain_text("the service does not answer; is it running?")
    await page.unroute("**/operations")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("button", name="Add an operation")).to_be_visible()


async def test_a_phone_of_320_px_needs_no_sideways_scrolling(service: Client, studio: Studio) -> None:
    await studio.page.set_viewport_size({"width": 320, "height": 640})
    width = "document.scrollingElement.scrollWidth"
    assert await studio.page.evaluate(width) <= 320
    await studio.take(COFFEE)
    await studio.add("watermark")
    step = await studio.add("redact")
    await step.get_by_role("button", name="Add a box").click()
    assert await studio.page.evaluate(width) <= 320
    await studio.page.get_by_role("button", name="Add an operation").click()
    assert await studio.page.evaluate(width) <= 320
    await studio.page.keyboard.press("Escape")
    await studio.page.get_by_role("button", name="Clear").first.click()
    await studio.add("inspect")
    await studio.result()
    assert await studio.page.evaluate(width) <= 320


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has focus."""
    seen: list[str] = []
    for _ in range(80):
        await page.keyboard.press("Tab")
        focused: str = await page.evaluate(
            "() => { const now = document.activeElement; return now.ariaLabel ?? now.innerText ?? '' }"
        )
        seen.append(focused.strip()[:40])
        if seen[-1].startswith(name):
            return
    pytest.fail(f"{name} cannot be reached: {seen}")


async def test_the_keyboard_is_enough(service: Client, studio: Studio) -> None:
    page = studio.page
    await tab_to(page, "Choose pictures")
    async with page.expect_file_chooser() as chooser:
        await page.keyboard.press("Enter")
    await (await chooser.value).set_files(COFFEE)
    await tab_to(page, "Add an operation")
    await page.keyboard.press("Enter")
    await page.keyboard.type("sepia")
    await page.keyboard.press("Enter")
    await expect(studio.steps.locator(".title")).to_be_focused()
    await tab_to(page, "Amount, slider")
    await page.keyboard.press("ArrowLeft")
    await tab_to(page, "Develop")
    await page.keyboard.press("Enter")
    await expect(page.locator("#live")).to_contain_text("coffee.jpg is done")
    await tab_to(page, "Before and after")
    await page.keyboard.press("ArrowLeft")
    await tab_to(page, "Download")
    async with page.expect_download() as caught:
        await page.keyboard.press("Enter")
    assert decoded(await content(await caught.value)).size == (490, 400)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, service: Client, watch: Watch, scheme: str) -> None:
    context = await browser.new_context(base_url=str(service.base_url), color_scheme=scheme)  # type: ignore[arg-type]
    watch.over(context)
    studio = await Studio(await context.new_page()).open()

    async def check() -> None:
        found = await Axe().run(studio.page)
        assert found.violations_count == 0, found.generate_report()

    await check()
    await studio.take(COFFEE, CAT)
    for operation in ("redact", "watermark", "resize"):
        await studio.add(operation)
    await studio.steps.first.locator(".title").click()
    await studio.steps.first.get_by_role("button", name="Add a box").click()
    await check()
    await studio.page.get_by_role("button", name="Add an operation").click()
    await check()
    await studio.page.keyboard.press("Escape")
    await studio.page.get_by_role("button", name="Clear").first.click()
    await studio.add("inspect")
    await studio.result()
    await check()
    await studio.page.get_by_role("button", name="Clear").first.click()
    await studio.result()
    await expect(studio.slider).to_be_visible()
    await check()
    await context.close()
