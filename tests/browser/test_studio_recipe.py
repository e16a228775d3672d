"""The recipe as data: undo, links, what a reload keeps, code before a run, variants and presets."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import expect

from app.api_settings import Settings
from tests.browser.conftest import Watch
from tests.browser.studio import CAT, COFFEE, Studio
from tests.conftest import Client
from tests.support.pictures import decoded
from tests.test_readme import blocks


async def test_each_change_is_undone_and_done_again(api: Client, studio: Studio) -> None:
    page = studio.page
    await studio.add("blur")
    await studio.add("sepia")
    await page.get_by_role("button", name="Move up step 2, Sepia").click()
    await page.get_by_role("button", name="Remove step 2, Blur").click()
    assert await studio.names() == ["Sepia"]
    toast = page.locator("#toast")
    await expect(toast).to_contain_text("Step removed")
    await toast.get_by_role("button", name="Undo").click()
    assert await studio.names() == ["Sepia", "Blur"]
    await expect(toast).to_be_hidden()
    await page.locator("#stage").focus()
    for expected in (["Blur", "Sepia"], ["Blur"], []):
        await page.keyboard.press("Control+z")
        assert await studio.names() == expected
    await expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    for expected in (["Blur"], ["Blur", "Sepia"], ["Sepia", "Blur"], ["Sepia"]):
        await page.keyboard.press("Shift+Control+z")
        assert await studio.names() == expected
    await expect(page.get_by_role("button", name="Redo", exact=True)).to_be_disabled()


async def test_a_value_that_is_undone_is_shown_in_its_field(api: Client, studio: Studio) -> None:
    step = await studio.add("blur")
    field = step.get_by_label("Sigma", exact=True)
    await field.fill("7")
    await studio.page.get_by_role("button", name="Undo", exact=True).click()
    await expect(field).to_have_value("2")
    await studio.page.get_by_role("button", name="Redo", exact=True).click()
    await expect(field).to_have_value("7")


async def test_a_link_opens_the_same_recipe_elsewhere(api: Client, studio: Studio, watch: Watch) -> None:
    page = studio.page
    await (await studio.add("watermark")).get_by_label("Text", exact=True).fill("© Zoë & co")
    await page.get_by_label("Format", exact=True).select_option("webp")
    # The address follows after a moment.
    await page.wait_for_function(
        "() => atob(location.hash.slice(3).replaceAll('-', '+').replaceAll('_', '/')).includes('webp')"
    )
    link = page.url
    await page.evaluate("localStorage.clear()")
    await page.goto("about:blank")
    await page.goto(link)
    await expect(studio.steps).to_have_count(1)
    await studio.steps.first.locator(".title").click()
    await expect(studio.steps.first.get_by_label("Text", exact=True)).to_have_value("© Zoë & co")
    await expect(page.get_by_label("Format", exact=True)).to_have_value("webp")


# Damaged, an operation that does not exist, a preset that does not exist.
@pytest.mark.parametrize(
    "link", ["#r=%%%", "#r=eyJvcGVyYXRpb25zIjpbeyJvcGVyYXRpb24iOiJleHBsb2RlIn1dfQ", "#r=eyJwcmVzZXQiOiJub25lIn0"]
)
async def test_a_link_that_cannot_be_used_says_why_and_harms_nothing(api: Client, studio: Studio, link: str) -> None:
    await studio.page.goto("about:blank")
    await studio.page.goto(f"{api.base_url}/{link}")
    await expect(studio.page.locator("#toast")).to_contain_text("The recipe of the link cannot be used: ")
    await studio.add("sepia")
    assert await studio.names() == ["Sepia"]


async def test_a_reload_in_the_middle_loses_nothing(service: Client, studio: Studio) -> None:
    page = studio.page
    await studio.take(COFFEE, CAT)
    step = await studio.add("blur")
    await step.get_by_label("Sigma", exact=True).fill("9")
    await studio.add("watermark")
    await page.get_by_label("Overlay", exact=True).set_input_files(CAT)
    await studio.result()
    await expect(page.locator('.tiles [data-state="done"]')).to_have_count(2)
    await page.reload()
    await expect(page.locator('.tiles [data-state="done"]')).to_have_count(2)
    await expect(page.get_by_role("button", name="All 2 developed")).to_be_disabled()
    assert await studio.names() == ["Blur", "Watermark"]
    await expect(page.locator(".overlay")).to_contain_text("cat.jpg")
    await expect(studio.slider).to_be_visible()  # with the picture from before


async def test_a_picture_that_comes_before_the_last_ones_are_back_is_there_once(api: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    for count in (2, 3, 4):
        await studio.kept(count - 1)
        await studio.page.reload()
        await studio.page.wait_for_selector("#files", state="attached")
        await studio.page.set_input_files("#files", CAT)  # as early as possible
        await expect(studio.page.locator(".tile")).to_have_count(count)
        await expect(studio.page.get_by_role("button", name="Add an operation")).to_be_visible()
        await expect(studio.page.locator(".tile img")).to_have_count(count)
        await expect(studio.page.locator(".tile")).to_have_count(count)


async def test_the_badges_of_tasks_under_way_change_after_a_reload(
    api: Client, settings: Settings, studio: Studio
) -> None:
    from tests.conftest import working  # noqa: PLC0415 - the fixture of a running worker would end the task at once

    await studio.take(CAT)
    await studio.kept(1)
    await studio.develop.click()
    await expect(studio.page.locator(".entry .badge")).to_have_text("waiting")
    await studio.page.reload()
    await expect(studio.page.locator(".entry .badge")).to_have_text("waiting")
    async with working(settings):
        await expect(studio.page.locator(".entry .badge")).to_have_text("done")
        await expect(studio.page.get_by_role("button", name="Download", exact=True)).to_be_visible()


async def test_develop_does_only_what_is_new_or_changed(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE, CAT)
    await studio.add("invert")
    await studio.page.get_by_role("button", name="Develop 2 pictures").click()
    await expect(studio.page.locator('.tiles [data-state="done"]')).to_have_count(2)
    await expect(studio.page.get_by_role("button", name="All 2 developed")).to_be_disabled()
    await studio.add("sepia")
    await expect(studio.page.get_by_role("button", name="Develop 2 pictures")).to_be_enabled()
    await expect(studio.page.get_by_text("This result was made with another recipe.")).to_be_visible()
    await expect(studio.page.get_by_role("button", name="done with another recipe")).to_have_count(2)
    await studio.page.get_by_role("button", name="Undo", exact=True).click()
    await expect(studio.page.get_by_role("button", name="All 2 developed")).to_be_disabled()
    await expect(studio.page.get_by_text("This result was made with another recipe.")).to_be_hidden()


async def test_code_is_there_before_any_run(api: Client, studio: Studio) -> None:
    await studio.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await studio.take(COFFEE, CAT)
    await studio.add("sepia")
    await studio.page.get_by_label("Format", exact=True).select_option("webp")
    curl = await studio.copied("curl")
    assert curl.startswith("for FILE in coffee.jpg cat.jpg; do")
    assert "-F operation=sepia" in curl
    assert json.loads(await studio.copied("JSON")) == {"operations": [{"operation": "sepia"}], "format": "webp"}
    assert "[my-preset]" in await studio.copied("Preset")
    assert "for (const name of [" in await studio.copied("JavaScript")


COMMANDS = {
    "curl": ["bash", "-euo", "pipefail", "-c"],
    "Python": [sys.executable, "-W", "ignore", "-c"],
    "JavaScript": ["node", "--input-type=module", "-e"],
}


@pytest.mark.parametrize("language", COMMANDS)
async def test_code_for_several_files_and_variants_runs(
    service: Client, studio: Studio, tmp_path: Path, language: str
) -> None:
    if shutil.which(COMMANDS[language][0]) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {COMMANDS[language][0]} here")
    await studio.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await studio.take(COFFEE, CAT)
    await studio.add("sepia")
    made: dict[str, set[str]] = {}
    for recipe in ("one result", "variants"):
        if recipe == "variants":
            await studio.page.get_by_role("button", name="Add a variant").click()
        else:
            await studio.page.get_by_label("Format", exact=True).select_option("png")
        folder = tmp_path / recipe
        folder.mkdir()
        for file in (COFFEE, CAT):
            (folder / file.name).write_bytes(file.read_bytes())
        text = await studio.copied(language)
        child = await asyncio.create_subprocess_exec(
            *COMMANDS[language], text, cwd=folder, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await child.communicate()
        assert child.returncode == 0, errors.decode()
        made[recipe] = {path.name for path in folder.iterdir()} - {COFFEE.name, CAT.name}
        sizes = {decoded((folder / name).read_bytes()).size for name in made[recipe]}
        assert sizes == {(490, 400), (341, 300)}
    assert made == {
        "one result": {"coffee.png", "cat.png"},
        "variants": {"coffee-png.png", "cat-png.png", "coffee-variant-2.webp", "cat-variant-2.webp"},
    }


async def test_resize_begins_with_the_pictures_width_and_keeps_its_shape(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    await expect(studio.page.get_by_text("490 × 400 px")).to_be_visible()  # noqa: RUF001
    step = await studio.add("resize")
    await expect(step.get_by_label("Width", exact=True)).to_have_value("490")
    await studio.result()
    assert decoded(await studio.download()).size == (490, 400)


async def test_sliders_end_where_the_picture_does(api: Client, studio: Studio, watch: Watch) -> None:
    watch.allowed.append("422")  # the preview of a crop beside the picture
    await studio.take(COFFEE)
    await expect(studio.page.get_by_text("490 × 400 px")).to_be_visible()  # noqa: RUF001
    step = await studio.add("crop")
    for name, most in (("Width", "490"), ("Height", "400"), ("Left", "490"), ("Top", "400")):
        await step.get_by_label(f"{name}, slider").press("End")
        await expect(step.get_by_label(name, exact=True)).to_have_value(most)
    await step.get_by_label("Width", exact=True).fill("2000")  # the field takes more
    await expect(step.get_by_label("Width", exact=True)).to_have_value("2000")


async def test_variants_are_added_and_shown_side_by_side(service: Client, studio: Studio) -> None:
    page = studio.page
    await studio.take(COFFEE)
    await studio.add("sepia")
    await page.get_by_role("button", name="Add a variant").click()
    rows = page.locator(".variant")
    await expect(rows).to_have_count(2)
    await rows.nth(0).get_by_label("Name of variant 1").fill("small")
    await rows.nth(0).get_by_label("Format", exact=True).select_option("jpeg")
    await rows.nth(0).get_by_label("Quality", exact=True).fill("30")
    await studio.result()
    names = page.locator(".compared th[scope=row]")
    await expect(names).to_have_text(["Original", "small", "variant-2"])
    await page.get_by_role("row", name=re.compile("^small")).get_by_role("button", name="left").click()
    await page.get_by_role("row", name=re.compile("^variant-2")).get_by_role("button", name="right").click()
    await expect(page.locator(".tag.before")).to_have_text("small")
    await expect(page.locator(".tag.after")).to_have_text("variant-2")
    await page.get_by_role("button", name="Remove variant 1").click()
    await expect(rows).to_have_count(0)
    await expect(page.get_by_label("Format", exact=True)).to_have_value("webp")


async def test_formats_are_compared_in_one_click(service: Client, studio: Studio) -> None:
    await studio.take(COFFEE)
    await studio.page.get_by_role("button", name="Compare formats").click()
    rows = studio.page.locator(".compared tbody tr")
    await expect(rows).to_have_count(5)
    [task, *_] = (await service.get("/tasks")).json()["tasks"]
    assert set(task["variants"]) == {"jpeg", "webp", "avif", "png"}
    for output in task["outputs"]:
        row = studio.page.get_by_role("row", name=re.compile(f"^{output['variant']}"))
        saved = (output["bytes"] / task["file"]["bytes"] - 1) * 100
        await expect(row).to_contain_text(f"{'+' if saved > 0 else '−'}{abs(saved):.0f} %")  # noqa: RUF001


class WithPresets:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        (tmp_path / "presets.toml").write_text(blocks("Presets")[0])
        return msgspec.structs.replace(settings, presets_file=str(tmp_path / "presets.toml"))


class TestPresets(WithPresets):
    @pytest_asyncio.fixture(loop_scope="session")
    async def ready(self, service: Client, studio: Studio) -> AsyncIterator[Studio]:
        yield studio

    @pytest.mark.parametrize(("preset", "steps"), [("thumbnail", ["Resize"]), ("web", [])])
    async def test_a_preset_opens_as_steps(self, ready: Studio, preset: str, steps: list[str]) -> None:
        await ready.page.get_by_label("Preset").select_option(preset)
        await ready.page.get_by_role("button", name="Change its steps").click()
        assert await ready.names() == steps
        await ready.take(CAT)
        await ready.result()
        variants = ready.page.locator(".variant")
        assert await variants.count() == (0 if preset == "thumbnail" else 2)


async def test_an_empty_recipe_fits_its_panel(studio: Studio) -> None:
    for width in (360, 1024, 1280, 1440):
        await studio.page.set_viewport_size({"width": width, "height": 900})
        body = studio.page.locator(".recipe > .body")
        await expect(body.locator(".goals button").last).to_be_attached()
        assert await body.evaluate("body => body.scrollWidth <= body.clientWidth"), width
