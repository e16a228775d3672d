"""The studio on a phone, by keyboard, to a screen reader, and where something is missing."""

import json
import re
from io import BytesIO
from typing import Literal
from zipfile import ZipFile

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, FileChooser, Page, Route, ViewportSize, expect

from tests.browser.conftest import Watch
from tests.browser.studio import ASTRONAUT, CAT, COFFEE, Studio, content
from tests.conftest import Client, eventually
from tests.support.pictures import decoded


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


async def test_a_catalog_that_cannot_be_had_is_told(api: Client, page: Page, watch: Watch) -> None:
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
    compare = studio.page.get_by_role("button", name="Compare formats")
    await expect(compare).to_be_hidden()  # a report has no format
    await studio.page.get_by_role("button", name="Clear").first.click()
    await studio.page.get_by_role("button", name="Fold").click()
    await compare.click()
    await expect(studio.page.locator(".compared")).to_be_attached()
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


async def has_one(choosers: list[FileChooser]) -> bool:
    return len(choosers) == 1


async def test_the_keyboard_is_enough(service: Client, studio: Studio) -> None:
    page = studio.page
    # From the beginning: that Playwright listens reaches the browser some time after it is said.
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 - Playwright marks what it is given
    await tab_to(page, "Choose pictures")
    await page.keyboard.press("Enter")
    await eventually(lambda: has_one(choosers))
    await choosers[0].set_files(COFFEE)
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


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def test_three_photos_are_cropped_blurred_and_saved_by_keys_alone(service: Client, studio: Studio) -> None:
    """Crop a face, blur a plate, 400 px WebP of three photographs, download all."""
    page = studio.page
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 - Playwright marks what it is given
    await tab_to(page, "Choose pictures")  # meanwhile the browser learns that choosers are listened for
    await press(page, "o")
    await eventually(lambda: has_one(choosers))
    await choosers[0].set_files([CAT, COFFEE, ASTRONAUT])
    await expect(page.locator(".tile")).to_have_count(3)
    await press(page, "a")
    await page.keyboard.type("cut")
    await press(page, "Enter")
    await tab_to(page, "Draw on the picture")
    await press(page, "Enter")
    await expect(page.get_by_role("button", name="Add a box here")).to_be_focused()
    await press(page, "Enter", "Shift+ArrowRight", "Alt+Shift+ArrowDown", "Escape")
    await press(page, "a")
    await page.keyboard.type("plate")
    await press(page, "Enter")
    await tab_to(page, "Draw on the picture")
    await press(page, "Enter")
    await expect(page.get_by_role("button", name="Add a box here")).to_be_focused()
    await press(page, "Enter", *["Alt+Shift+ArrowLeft"] * 5, "Escape")
    await press(page, "a")
    await page.keyboard.type("thumbnail")
    await press(page, "Enter")
    await tab_to(page, "Width, slider")
    await press(page, "Tab", "Control+a")
    await page.keyboard.type("400")
    await page.get_by_label("Format", exact=True).focus()
    await page.keyboard.type("webp")
    await press(page, "Control+Enter")
    await expect(page.locator('.tiles [data-state="done"]')).to_have_count(3)
    await tab_to(page, "Download all")
    async with page.expect_download() as caught:
        await press(page, "Enter")
    with ZipFile(BytesIO(await content(await caught.value))) as archive:
        pictures = [decoded(archive.read(name)) for name in archive.namelist()]
    assert [(picture.format, picture.width) for picture in pictures] == [("WEBP", 400)] * 3


@pytest.mark.parametrize("width", [1440, 820, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(
    browser: Browser, service: Client, watch: Watch, scheme: Literal["light", "dark"], width: int
) -> None:
    size: ViewportSize = {"width": width, "height": 900}
    context = await browser.new_context(base_url=str(service.base_url), color_scheme=scheme, viewport=size)
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
    step = await studio.add("redact")
    await step.get_by_role("button", name="Draw on the picture").click()
    await studio.page.get_by_role("button", name="Add a box here").click()
    await check()
    await studio.page.keyboard.press("Escape")
    fold = studio.page.get_by_role("button", name=re.compile("fold$", re.IGNORECASE))
    if width < 640:  # there, the recipe is a sheet over the page
        await fold.click()
        await check()
    await studio.page.get_by_role("button", name="Compare formats").click()
    await expect(studio.page.locator(".compared")).to_be_visible()
    await studio.page.get_by_role("button", name="List", exact=True).click()
    if width < 640:
        await fold.click()
    await studio.page.locator(".code-of-recipe summary").click()
    await studio.page.get_by_role("button", name="Add a variant").click()
    await check()
    await context.close()
