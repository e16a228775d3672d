"""Presets in the studio: those of README's example."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from playwright.async_api import Browser, expect

from app.api_settings import Settings
from tests.browser.studio import CAT, Studio
from tests.conftest import Client, serving, working
from tests.support.pictures import decoded
from tests.test_readme import blocks


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "presets.toml").write_text(blocks("Presets")[0])
    return msgspec.structs.replace(settings, presets_file=str(tmp_path / "presets.toml"))


@pytest_asyncio.fixture(loop_scope="session")
async def strict(browser: Browser, redis: ArqRedis, settings: Settings) -> AsyncIterator[Studio]:
    """The studio of a service that takes presets only."""
    settings = msgspec.structs.replace(settings, only_presets=True)
    async with serving(settings) as home, working(settings):
        page = await browser.new_page(base_url=home)
        yield Studio(page)
        await page.close()


async def test_a_preset_stands_for_steps_and_file(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.page.get_by_label("Preset").select_option("thumbnail")
    await expect(studio.page.get_by_text("A square thumbnail. · resize, webp")).to_be_visible()
    await expect(studio.page.get_by_role("button", name="Add an operation")).to_be_hidden()
    await studio.result()
    picture = decoded(await studio.download())
    assert (picture.format, picture.size) == ("WEBP", (200, 200))


async def test_each_result_of_a_preset_with_several_is_shown(service: Client, studio: Studio) -> None:
    await studio.take(CAT)
    await studio.page.get_by_label("Preset").select_option("web")
    await studio.result()
    size = studio.page.locator(".measures").get_by_text("1600 ")
    await studio.page.get_by_label("Result").select_option("large")
    await expect(size).to_be_visible()
    await studio.page.get_by_label("Result").select_option("small")
    await expect(size).to_be_hidden()


async def test_where_only_presets_are_taken_nothing_else_is_offered(strict: Studio) -> None:
    page = strict.page
    await page.goto("/")
    await expect(page.get_by_label("Preset").locator("option")).to_have_text(["thumbnail", "cover", "web"])
    await expect(page.get_by_role("button", name="Add an operation")).to_be_hidden()
    await strict.take(CAT)
    await strict.result()
