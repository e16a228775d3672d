"""The studio, by what a person does on it."""

import re
from pathlib import Path

from playwright.async_api import Download, Locator, Page, expect

from tests.conftest import DEADLINE_S

PHOTOGRAPHS = Path(__file__).parent.parent / "photographs"
COFFEE, CAT, ASTRONAUT = (PHOTOGRAPHS / f"{name}.jpg" for name in ("coffee", "cat", "astronaut"))

expect.set_options(timeout=DEADLINE_S * 1000)


class Studio:
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

    async def kept(self, count: int) -> None:
        """Wait until so many pictures are stored in the browser."""
        await self.page.wait_for_function(
            """async (count) => {
                const wait = (asked) => new Promise((done) => { asked.onsuccess = () => done(asked.result); });
                const base = await wait(indexedDB.open("darkroom-studio", 1));
                const found = await wait(base.transaction("pictures").objectStore("pictures").count());
                base.close();
                return found === count;
            }""",
            arg=count,
        )

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
        code = self.page.locator(".code-of-recipe")
        if await code.get_attribute("open") is None:
            await code.locator("summary").click()
        await code.get_by_role("button", name=language, exact=True).click()
        await code.get_by_role("button", name="Copy code").click()
        await expect(self.page.get_by_text("Copied", exact=True)).to_be_visible()
        text: str = await self.page.evaluate("navigator.clipboard.readText()")
        return text


async def content(download: Download) -> bytes:
    return Path(await download.path()).read_bytes()
