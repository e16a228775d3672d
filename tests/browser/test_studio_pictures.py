"""Many pictures, full services, odd files, keys, addresses and samples."""

import re
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import msgspec
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from playwright.async_api import Browser, BrowserContext, expect

from app.api_settings import Settings
from tests.browser.conftest import Watch
from tests.browser.studio import CAT, COFFEE, Studio, content
from tests.conftest import DEADLINE_S, Client, serving, working
from tests.support.callers import MADE, with_keys
from tests.support.pictures import decoded, jpeg


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{number:02}.jpg" for number in range(12)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg((120, 90), hue=number * 30))
    return files


@pytest_asyncio.fixture(loop_scope="session")
async def narrow(browser: Browser, redis: ArqRedis, settings: Settings) -> AsyncIterator[Studio]:
    """The studio of a service with four places in its queue and no worker."""
    settings = msgspec.structs.replace(settings, queue_limit=4)
    async with serving(settings) as home:
        page = await browser.new_page(base_url=home)
        page.set_default_timeout(DEADLINE_S * 1000)
        yield await Studio(page).open()
        await page.close()


async def test_a_full_queue_is_waited_for_and_nothing_is_refused(
    narrow: Studio, settings: Settings, many: list[Path]
) -> None:
    statuses: list[int] = []
    narrow.page.on(
        "response",
        lambda answer: statuses.append(answer.status) if answer.request.method == "POST" else None,
    )
    await narrow.take(*many)
    await narrow.add("invert")
    await narrow.page.get_by_role("button", name="Develop 12 pictures").click()
    await expect(narrow.page.locator('.tiles [data-state="held"]').first).to_be_visible()
    await expect(narrow.page.get_by_role("button", name="Developing")).to_be_disabled()
    async with working(settings):
        await expect(narrow.page.locator('.tiles [data-state="done"]')).to_have_count(12)
    assert statuses.count(202) >= 12
    # Never more than fits: after a refusal, one attempt at a time.
    assert statuses.count(429) <= 12


async def test_a_keys_limit_is_kept_by_waiting(
    browser: Browser, redis: ArqRedis, settings: Settings, many: list[Path]
) -> None:
    async with serving(with_keys(settings)) as home, working(settings):
        page = await browser.new_page(base_url=home)
        page.set_default_timeout(DEADLINE_S * 1000)
        await page.goto("/")
        # The key is asked for before anything is chosen or sent.
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.get_by_label("API key").fill(MADE["ann"][0])
        await page.keyboard.press("Enter")
        studio = Studio(page)
        await studio.take(*many)
        await studio.add("invert")
        await page.get_by_role("button", name="Develop 12 pictures").click()
        await expect(page.locator('.tiles [data-state="done"]')).to_have_count(12)
        await page.get_by_role("button", name="Forget the key").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0
        await page.close()


async def test_all_results_are_in_one_zip_with_names_by_a_template(service: Client, studio: Studio) -> None:
    """More than the ten files that a browser saves for one click."""
    page = studio.page
    files = [
        {"name": f"a{number % 2}.jpg", "mimeType": "image/jpeg", "buffer": jpeg((60, 40), hue=number * 20)}
        for number in range(14)
    ]
    await page.set_input_files("#files", files)  # type: ignore[arg-type]
    await studio.add("invert")
    await page.get_by_role("button", name="Develop 14 pictures").click()
    await expect(page.locator('.tiles [data-state="done"]')).to_have_count(14)
    await page.get_by_label("Names in the ZIP file").fill("web-{name}.{ext}")
    async with page.expect_download() as caught:
        await page.get_by_role("button", name="Download all").click()
    with ZipFile(BytesIO(await content(await caught.value))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names)) == 14
        assert {"web-a0.jpg", "web-a1.jpg", "web-a0 (2).jpg", "web-a1 (7).jpg"} <= set(names)
        assert all(decoded(archive.read(name)).size == (60, 40) for name in names)


async def test_the_list_tells_sizes_savings_and_what_failed(
    service: Client, studio: Studio, watch: Watch, tmp_path: Path
) -> None:
    watch.allowed.append("415")
    page = studio.page
    (tmp_path / "broken.jpg").write_text("no picture")
    await studio.take(COFFEE, CAT, tmp_path / "broken.jpg")
    await studio.add("invert")
    await studio.page.get_by_role("button", name="Develop 3 pictures").click()
    await expect(page.locator('.tiles [data-state="done"]')).to_have_count(2)
    await expect(page.locator('.tiles [data-state="refused"]')).to_have_count(1)
    await page.get_by_role("button", name="List", exact=True).click()
    rows = page.locator(".picture-list tbody tr")
    await expect(rows).to_have_count(3)
    await expect(page.locator(".picture-list")).to_contain_text("2 of 3 done")
    await expect(page.locator(".picture-list")).to_contain_text("1 failed")
    await expect(rows.nth(0)).to_contain_text(re.compile(r"coffee\.jpg36\.1 KB[\d.]+ KB[−+]\d+ %done"))  # noqa: RUF001
    await page.get_by_label("failed only").check()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("is not a supported image")


@pytest.mark.parametrize(("name", "kind"), [("notes.txt", "text/plain"), ("paper.pdf", "application/pdf")])
async def test_a_file_that_is_no_picture_does_not_say_it_is_ready(
    api: Client, studio: Studio, name: str, kind: str
) -> None:
    send = """([name, type]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["text"], name, {type}));
        document.dispatchEvent(Object.assign(new Event("drop", {cancelable: true}), {dataTransfer: transfer}));
    }"""
    await studio.page.evaluate(send, [name, kind])
    await expect(studio.page.get_by_role("alert")).to_contain_text(f"{name} is not a picture that this service reads.")
    await expect(studio.page.get_by_role("button", name=f"{name}, refused")).to_be_visible()
    await expect(studio.page.get_by_role("button", name="Choose a picture first")).to_be_disabled()  # it is not sent


async def test_every_error_can_be_seen_though_its_step_is_closed(service: Client, studio: Studio, watch: Watch) -> None:
    watch.allowed.append("422")
    await studio.take(CAT)
    for operation, field, value in (("blur", "Sigma", "5000"), ("pixelate", "Size", "99999"), ("sepia", "Amount", "9")):
        step = await studio.add(operation)
        await step.get_by_label(field, exact=True).fill(value)
    await studio.develop.click()
    await expect(studio.steps.locator(".errors")).to_have_text(["1 error", "1 error", "1 error"])
    await expect(studio.steps.first.get_by_label("Sigma", exact=True)).to_be_focused()


async def test_focus_stays_on_the_page_after_develop(api: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.develop.focus()
    await studio.page.keyboard.press("Enter")
    await expect(studio.page.locator(".note")).to_have_text("Waiting for a worker")
    assert await studio.page.evaluate("document.activeElement !== document.body")


async def test_an_address_is_fetched_by_the_service(
    browser: Browser, redis: ArqRedis, settings: Settings, watch: Watch
) -> None:
    settings = msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",))
    async with serving(settings) as home, working(settings):
        page = await browser.new_page(base_url=home)
        page.set_default_timeout(DEADLINE_S * 1000)
        studio = await Studio(page).open()
        await page.get_by_label("Address of a picture").fill(f"{home}/static/samples/coffee.jpg")
        await page.keyboard.press("Enter")
        await studio.add("invert")
        await studio.result()
        assert decoded(await studio.download()).size == (490, 400)
        await page.close()


async def test_a_sample_is_there_in_one_click(service: Client, studio: Studio) -> None:
    await studio.page.get_by_role("button", name="Sample: coffee").click()
    await expect(studio.page.get_by_role("button", name="coffee.jpg, ready")).to_be_visible()
    await studio.page.get_by_role("button", name="Square thumbnail").click()
    await studio.result()
    made = decoded(await studio.download())
    assert (made.format, made.size) == ("WEBP", (400, 400))


WORDS = {
    "thumbnail": "Resize", "compress": "Resize", "logo": "Watermark", "face": "Redact", "greyscale": "Grayscale",
    "plate": "Redact", "denoise": "Median", "straighten": "Rotate", "bw": "Grayscale", "vintage": "Sepia",
    "size": "Resize", "colour": "Adjust", "convert": "File format and quality", "webp": "File format and quality",
}  # fmt: skip


async def test_what_people_type_is_found(api: Client, studio: Studio) -> None:
    await studio.page.get_by_role("button", name="Add an operation").click()
    options = studio.page.get_by_role("dialog").locator("li:visible button b")
    for word, operation in WORDS.items():
        await studio.page.get_by_role("searchbox").fill(word)
        names = await options.all_inner_texts()
        assert operation in names[:4], (word, names)


async def test_an_earlier_task_opens_with_its_recipe_and_before(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    await studio.add("invert")
    await studio.result()
    await studio.page.get_by_role("button", name="Remove step 1, Invert").click()
    await studio.add("sepia")
    await studio.result()
    await studio.page.locator(".entry").last.click()
    await expect(studio.page.locator(".title b")).to_have_text("Invert")
    await expect(studio.slider).to_be_visible()
    assert await studio.page.evaluate("document.querySelector('.pane.before img').naturalWidth") == 490


async def test_keys_are_listed_and_do_what_they_say(api: Client, studio: Studio) -> None:
    page = studio.page
    await page.locator("body").press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("a")
    await expect(page.get_by_role("searchbox")).to_be_focused()


async def test_two_fingers_zoom_the_picture(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    width = "document.querySelector('.pane.before img').getBoundingClientRect().width"
    await expect(studio.page.locator(".pane.before img")).to_be_visible()
    fitted: float = await studio.page.evaluate(width)
    await studio.page.evaluate(
        """() => {
            const view = document.querySelector(".viewer");
            const { left, top } = view.getBoundingClientRect();
            const send = (type, pointerId, x, y) => view.dispatchEvent(new PointerEvent(type, {
                pointerId, pointerType: "touch", clientX: left + x, clientY: top + y, bubbles: true,
            }));
            view.setPointerCapture = () => {};
            send("pointerdown", 1, 200, 200);
            send("pointerdown", 2, 300, 200);
            for (let step = 1; step <= 10; step += 1) {
                send("pointermove", 1, 200 - 10 * step, 200);
                send("pointermove", 2, 300 + 10 * step, 200);
            }
            send("pointerup", 1, 100, 200);
            send("pointerup", 2, 400, 200);
        }"""
    )
    assert await studio.page.evaluate(width) == pytest.approx(fitted * 3, rel=0.02)


@pytest_asyncio.fixture(loop_scope="session")
async def forced(browser: Browser, service: Client) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(base_url=str(service.base_url), forced_colors="active")
    yield context
    await context.close()


async def test_forced_colors_show_the_selected_picture_and_its_state(forced: BrowserContext) -> None:
    studio = await Studio(await forced.new_page()).open()
    await studio.take(COFFEE, CAT)
    outline = "getComputedStyle(document.querySelector('.tile[aria-current]')).outlineStyle"
    assert await studio.page.evaluate(outline) == "solid"
    await studio.page.get_by_role("button", name="Develop 2 pictures").click()
    await expect(studio.page.locator('.tiles [data-state="done"]')).to_have_count(2)
    color = "getComputedStyle(document.querySelector('[data-state=done] .mark')).backgroundColor"
    assert await studio.page.evaluate(color) not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
