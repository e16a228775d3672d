"""The table of tasks on the monitor: what is shown of a task, selecting rows, and the keys."""

import re
from typing import Literal

import msgspec
import pytest
from arq.connections import ArqRedis
from playwright.async_api import Browser, Page, expect

from app.api_settings import Settings
from tests.app.routes.test_control import BROKEN
from tests.browser.conftest import Watch
from tests.browser.monitor import PANELS, Monitor, violations
from tests.browser.test_monitor_for_all import visited
from tests.conftest import Client, serving
from tests.support.pictures import jpeg
from worker.storage import Storage
from worker.tasks.status import Status
from worker.tasks.store import Tasks

TINY = jpeg((8, 8))


async def test_tasks_begin_in_the_upper_half_of_the_page(service: Client, page: Page, monitor: Monitor) -> None:
    await page.set_viewport_size({"width": 1440, "height": 900})
    for _ in range(25):  # enough failures for an alarm
        await service.ended(await service.upload(BROKEN))
    await monitor.open()
    await expect(page.locator("#alarms")).to_be_visible()
    first = await monitor.rows.first.bounding_box()
    assert first
    assert first["y"] < 500
    assert first["height"] == 36
    for panel in PANELS:
        await expect(page.locator("#folds summary").filter(has_text=panel)).to_be_in_viewport()
    for panel in PANELS:
        await monitor.unfold(panel)
    await expect(page.locator("canvas")).to_have_count(6)
    await expect(page.locator(".worker")).to_be_visible()
    await page.reload()
    await expect(page.locator(".worker")).to_be_visible()  # open panels stay open


async def test_status_chips_have_counts_unless_another_filter_makes_them_wrong(
    service: Client, page: Page, monitor: Monitor
) -> None:
    for data in (BROKEN, BROKEN, TINY):
        await service.ended(await service.upload(data))
    await monitor.open()
    failed = page.locator("#filters .choices label").filter(has_text="Failed")
    await expect(failed).to_have_text("Failed 2")
    await monitor.choose("Failed")
    await expect(monitor.rows).to_have_count(2)
    await expect(failed).to_have_text("Failed 2")
    await service.ended(await service.upload(BROKEN))
    await expect(failed).to_have_text("Failed 3")
    operation = page.get_by_role("combobox", name="Operation")
    await operation.select_option("grayscale")
    await expect(failed).to_have_text("Failed")
    await operation.select_option("Any operation")
    await expect(failed).to_have_text("Failed 3")


async def test_a_list_of_one_state_shows_the_time_by_which_it_is_ordered(
    api: Client, page: Page, monitor: Monitor, tasks: Tasks
) -> None:
    first, second = await api.upload(), await api.upload()
    await tasks.move(second, Status.STARTED)
    third = await api.upload()  # so that they do not start in the same millisecond
    await tasks.move(first, Status.STARTED)
    await monitor.open()
    time = page.locator("#heads .time")
    await expect(time).to_have_text("Created")
    assert await monitor.shown() == [third, second, first]
    for status, title in (("Waiting", "Queued"), ("Running", "Started"), ("Failed", "Ended")):
        await page.get_by_role("checkbox", name=status).set_checked(True, force=True)
        await expect(time).to_have_text(title)
        if status == "Running":
            await expect(monitor.rows.first).to_have_attribute("data-task", first)
            assert await monitor.shown() == [first, second]
            started = (await api.get(f"/tasks/{first}")).json()["started_at"]
            shown = await page.evaluate("at => new Date(at).toTimeString().slice(0, 8)", started)
            await expect(monitor.row(first).locator(".time")).to_have_text(shown)
        await page.get_by_role("checkbox", name=status).set_checked(False, force=True)
    await expect(time).to_have_text("Created")


async def test_a_row_is_one_line_with_what_matters(service: Client, page: Page, monitor: Monitor) -> None:
    task_id = await service.upload(name="a" * 90 + ".jpg", operation="resize", width="50")
    await service.ended(task_id)
    [output] = (await service.get(f"/tasks/{task_id}")).json()["outputs"]
    for width in (1440, 1280, 1024, 800):
        await page.set_viewport_size({"width": width, "height": 900})
        await monitor.open()
        box = await monitor.row(task_id).bounding_box()
        assert box
        assert box["height"] == 36
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.set_viewport_size({"width": 1440, "height": 900})
    await expect(monitor.row(task_id).locator(".size")).to_have_text(f"{output['bytes'] / 1000:.3g} KB")


async def test_rows_have_thumbnails_and_never_whole_results(
    service: Client, page: Page, monitor: Monitor, storage: Storage, watch: Watch
) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    shown, report, gone = [
        await service.upload(jpeg((400, 300)), **fields)
        for fields in ({"operation": "sepia"}, {"operation": "inspect"}, {"operation": "invert"})
    ]
    for task_id in (shown, report, gone):
        await service.ended(task_id)
    [path] = [output["path"] for output in (await service.get(f"/tasks/{gone}")).json()["outputs"]]
    await storage.delete(path)
    watch.allowed.append("404")
    await monitor.open()
    image = monitor.row(shown).locator(".thumb img")
    await expect(image).to_have_js_property("naturalWidth", 96)
    [output] = (await service.get(f"/tasks/{shown}")).json()["outputs"]
    await expect(image).to_have_attribute("src", f"/tasks/{shown}/thumbnail?v={output['sha256'][:8]}")
    await expect(image).to_have_attribute("loading", "lazy")
    for task_id in (report, gone):
        await expect(monitor.row(task_id).locator(".thumb .blank")).to_be_visible()
    assert not [url for url in requested if "/processed/" in url or report in url]


async def select(page: Page, name: str, *, shift: bool = False) -> None:
    box = page.get_by_role("checkbox", name=f"Select {name}", exact=True)
    await box.click(modifiers=["Shift"] if shift else [])


async def test_selected_tasks_are_acted_on_together(
    service: Client, page: Page, monitor: Monitor, storage: Storage, watch: Watch
) -> None:
    watch.allowed += ["410", "404"]  # a retry without an upload; what is loaded of a task while it is deleted
    failed = [await service.upload(BROKEN, name=f"broken-{number}.jpg") for number in range(8)]
    for task_id in failed:
        await service.ended(task_id)
    for task_id in failed[:7]:
        await storage.put_bytes(f"uploads/{task_id}", TINY)
    await storage.delete(f"uploads/{failed[7]}")
    done = await service.upload(TINY, name="done.jpg")
    await service.ended(done)
    await service.post("/queue/pause")
    waiting = await service.upload(TINY, name="waiting.jpg")
    await monitor.open()
    await page.get_by_role("checkbox", name="Select all rows").check()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    bar = page.get_by_role("toolbar", name="Selected tasks")
    await expect(bar).to_contain_text("10 selected")
    await bar.get_by_role("button", name="Retry").click()
    await monitor.said(re.compile("7 tasks are queued again. 1 is not: The upload .*"))
    await expect(page.locator(".toast")).to_have_count(1)
    assert sum(url.endswith("/retry") for url in requested) == 8  # those that can be retried
    await expect(bar).to_be_hidden()
    await service.post("/queue/resume")
    for task_id in [*failed[:7], waiting]:
        await expect(monitor.status(task_id)).to_have_text("Done")
    await select(page, "broken-2.jpg")
    await select(page, "broken-5.jpg", shift=True)
    await expect(bar).to_contain_text("4 selected")
    assert await page.get_by_role("checkbox", name="Select all rows").evaluate("box => box.indeterminate")
    await expect(bar.get_by_role("button", name="Cancel")).to_be_disabled()
    await bar.get_by_role("button", name="Delete").click()
    assert "Delete 4 tasks?" in await monitor.confirm("Not now")
    await expect(bar).to_contain_text("4 selected")
    await bar.get_by_role("button", name="Delete").click()
    await monitor.confirm("Delete")
    await monitor.said("4 tasks are deleted.")
    await expect(monitor.rows).to_have_count(6)
    assert {(await service.get(f"/tasks/{each}")).status_code for each in failed[2:6]} == {404}
    await select(page, "done.jpg")
    await bar.get_by_role("button", name="Clear").click()
    await expect(bar).to_be_hidden()


async def test_waiting_tasks_are_canceled_together(api: Client, page: Page, monitor: Monitor) -> None:
    ids = [await api.upload(name=f"{number}.jpg") for number in range(3)]
    await monitor.open()
    await select(page, "2.jpg")
    await select(page, "1.jpg")
    await monitor.button("Cancel").click()
    await monitor.said("2 tasks are canceled.")
    for task_id, status in zip(ids, ("Waiting", "Revoked", "Revoked"), strict=True):
        await expect(monitor.status(task_id)).to_have_text(status)


async def test_a_read_only_session_has_no_selection(browser: Browser, redis: ArqRedis, settings: Settings) -> None:
    read_only = msgspec.structs.replace(settings, monitor_read_only=True)
    async with serving(read_only) as url, visited(browser, url) as (monitor, _), Client(base_url=url) as client:
        await client.upload()
        await monitor.open()
        await expect(monitor.rows).to_have_count(1)
        await expect(monitor.page.get_by_role("checkbox", name=re.compile("Select"))).to_have_count(0)
        await monitor.page.keyboard.press("j")
        await monitor.page.keyboard.press("x")
        await monitor.page.keyboard.press("?")
        await expect(monitor.page.get_by_role("dialog", name="Keys")).to_contain_text("Search")
        await expect(monitor.page.get_by_role("dialog", name="Keys")).not_to_contain_text("Retry")


async def test_the_keys_move_select_open_and_retry(
    service: Client, page: Page, monitor: Monitor, storage: Storage
) -> None:
    ids = [await service.upload(BROKEN, name=f"{number}.jpg") for number in range(3)]
    for task_id in ids:
        await service.ended(task_id)
        await storage.put_bytes(f"uploads/{task_id}", TINY)
    await monitor.open()
    press = page.keyboard.press
    newest, middle, oldest = (monitor.row(task_id).get_by_role("link") for task_id in reversed(ids))
    await press("j")
    await expect(newest).to_be_focused()
    await press("j")
    await press("j")
    await press("j")  # the last one
    await expect(oldest).to_be_focused()
    await press("k")
    await expect(middle).to_be_focused()
    await press("x")
    await expect(page.locator("#selection")).to_contain_text("1 selected")
    await press("Escape")
    await expect(page.locator("#selection")).to_be_hidden()
    await press("Enter")
    await expect(monitor.drawer.get_by_role("heading", name="1.jpg")).to_be_visible()
    await press("j")
    await expect(monitor.drawer.get_by_role("heading", name="0.jpg")).to_be_visible()
    await press("Escape")
    await expect(monitor.drawer).to_be_hidden()
    await expect(oldest).to_be_focused()
    await press("r")
    await expect(monitor.status(ids[0])).to_have_text("Done")
    await press("/")
    search = page.get_by_label("Search tasks")
    await expect(search).to_be_focused()
    await page.keyboard.type("jkxr?")
    await expect(search).to_have_value("jkxr?")
    await search.blur()
    await press("?")
    keys = page.get_by_role("dialog", name="Keys")
    await expect(keys).to_contain_text("Retry the task")
    await press("j")
    await press("Escape")
    await expect(keys).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_a_selection_and_the_keys(
    api: Client, page: Page, monitor: Monitor, scheme: Literal["light", "dark"]
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await api.upload(name="one.jpg")
    await monitor.open()
    await select(page, "one.jpg")
    await expect(page.locator("#selection")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert await violations(page) == []
