"""The monitor, by what a person does on it."""

import re
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.conftest import DEADLINE_S

expect.set_options(timeout=DEADLINE_S * 1000)


PANELS = ("History", "Where the time goes", "Why tasks fail", "Workers")
"""The titles of the panels that are folded at first."""


class Monitor:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.rows = page.locator("#rows tr")
        self.drawer = page.get_by_role("dialog")
        self.connection = page.locator("#connection")

    async def open(self, path: str = "/monitor") -> "Monitor":
        await self.page.goto(path)
        await expect(self.connection).to_have_text("Live")
        await expect(self.page.locator("#rows")).to_have_attribute("aria-busy", "false")
        return self

    def row(self, task_id: str) -> Locator:
        return self.page.locator(f'[data-task="{task_id}"]')

    def status(self, task_id: str) -> Locator:
        return self.row(task_id).locator(".badge")

    def figure(self, name: str) -> Locator:
        return self.page.locator(f'[data-figure="{name}"] .value')

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def choose(self, status: str) -> None:
        await self.page.get_by_role("checkbox", name=status).set_checked(True, force=True)

    async def unfold(self, panel: str) -> None:
        await self.page.locator("#folds summary").filter(has_text=panel).click()

    async def search(self, text: str) -> None:
        await self.page.get_by_label("Search tasks").fill(text)
        await self.page.keyboard.press("Enter")

    async def confirm(self, verb: str) -> str:
        """Answer the question that is asked by `verb`, and return what it said."""
        question = self.page.locator("#question")
        await expect(question).to_be_visible()
        text: str = await question.inner_text()
        await question.get_by_role("button", name=verb, exact=True).click()
        return text

    async def said(self, text: str | re.Pattern[str]) -> None:
        await expect(self.page.locator(".toast").filter(has_text=text).last).to_be_visible()

    async def shown(self) -> list[str]:
        ids: list[str] = await self.rows.evaluate_all("rows => rows.map((row) => row.dataset.task)")
        return ids

    async def leave_rows(self) -> None:
        """Take the pointer and the focus elsewhere."""
        await self.page.mouse.move(0, 0)
        await self.page.evaluate("document.activeElement.blur()")


async def violations(page: Page) -> list[Any]:
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - it reads 1 MB

    found = await Axe().run(page)
    return [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found.response["violations"]]
