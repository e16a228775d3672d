"""Finding tasks on the monitor: sorting, searching, tags, and filters that links set."""

import re

from arq.connections import ArqRedis
from playwright.async_api import Page, expect

from tests.app.routes.test_control import BROKEN
from tests.browser.conftest import Watch
from tests.browser.monitor import Monitor
from tests.browser.test_monitor import MANY
from tests.conftest import Client
from tests.support.pictures import drawing, encoded, jpeg
from worker.errors import ErrorCode
from worker.storage import Storage
from worker.tasks.status import Status
from worker.tasks.store import Tasks

TINY = jpeg((8, 8))


async def test_columns_sort_in_both_directions(service: Client, page: Page, monitor: Monitor, storage: Storage) -> None:
    small, large, middle = [await service.upload(jpeg((side, side)), name=f"{side}.jpg") for side in (8, 900, 300)]
    broken = await service.upload(BROKEN, name="broken.jpg")
    for task_id in (small, large, middle, broken):
        await service.ended(task_id)
    await monitor.open()
    assert await monitor.shown() == [broken, middle, large, small]
    created = page.get_by_role("columnheader", name="Created")
    await expect(created).to_have_attribute("aria-sort", "descending")
    size = page.get_by_role("columnheader", name="Size")
    await size.get_by_role("button").click()
    await expect(size).to_have_attribute("aria-sort", "descending")
    await expect(created).not_to_have_attribute("aria-sort", re.compile(""))
    await expect(monitor.rows.first).to_have_attribute("data-task", large)
    assert await monitor.shown() == [large, middle, small, broken]
    await size.get_by_role("button").click()
    await expect(size).to_have_attribute("aria-sort", "ascending")
    await expect(monitor.rows.first).to_have_attribute("data-task", small)
    assert await monitor.shown() == [small, middle, large, broken]
    assert page.url.endswith("?sort=bytes&order=asc")
    await page.set_viewport_size({"width": 1000, "height": 800})
    await page.reload()
    await expect(monitor.rows.first).to_have_attribute("data-task", small)
    await expect(size).to_be_visible()
    await page.set_viewport_size({"width": 1440, "height": 900})
    for column, by in (("Waited", "waited"), ("Ran", "ran")):
        await page.get_by_role("columnheader", name=column).get_by_role("button").click()
        await expect(page.locator("#rows")).to_have_attribute("aria-busy", "false")
        records = [(await service.get(f"/tasks/{task_id}")).json() for task_id in await monitor.shown()]
        values = [record[f"{by}_s"] for record in records]
        assert values == sorted(values, reverse=True)


async def test_a_phone_has_a_field_for_the_order_and_shows_what_it_is_sorted_by(
    service: Client, page: Page, monitor: Monitor
) -> None:
    for name, side in [("small.jpg", 8), ("large.jpg", 400)]:
        await service.ended(await service.upload(jpeg((side, side)), name=name))
    await monitor.open()
    order = page.get_by_label("Order", exact=True)
    await expect(order).to_be_hidden()
    await page.set_viewport_size({"width": 390, "height": 800})
    await order.select_option("Smallest first")
    await expect(monitor.rows.first).to_contain_text("small.jpg")
    assert page.url.endswith("?sort=bytes&order=asc")
    await expect(monitor.rows.first.locator(".size")).to_be_visible()
    await order.select_option("Longest wait first")
    await expect(monitor.rows.first.locator(".size")).to_be_hidden()
    await expect(monitor.rows.first.locator(".waited")).to_be_visible()
    await page.reload()
    await expect(order).to_have_value("waited desc")
    await order.select_option("Newest first")
    await expect(monitor.rows.first).to_contain_text("large.jpg")
    assert "?" not in page.url
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_escape_clears_the_search_and_leaves_it(service: Client, page: Page, monitor: Monitor) -> None:
    await service.ended(await service.upload(jpeg((8, 8)), name="boat.jpg"))
    await monitor.open()
    search = page.get_by_label("Search tasks")
    await page.keyboard.press("/")
    await expect(search).to_be_focused()
    await page.keyboard.type("nothing")
    await page.keyboard.press("Enter")
    await expect(monitor.rows).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(monitor.rows).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(search).not_to_be_focused()
    await page.keyboard.press("j")
    await expect(monitor.rows.first.get_by_role("link")).to_be_focused()


async def test_a_panel_is_closed_where_it_was_opened(service: Client, page: Page, monitor: Monitor) -> None:
    await page.set_viewport_size({"width": 1440, "height": 900})
    await monitor.open()
    panel = page.locator("#failures-fold")
    box = await panel.locator("summary").bounding_box()
    assert box is not None
    for is_open in (True, False):
        await page.mouse.click(box["x"] + 20, box["y"] + 20)
        await expect(panel).to_have_js_property("open", is_open)


async def test_a_sorted_list_changes_in_place_and_offers_to_be_loaded_again(
    service: Client, page: Page, monitor: Monitor, storage: Storage
) -> None:
    large, broken = await service.upload(jpeg((300, 300))), await service.upload(BROKEN, name="broken.jpg")
    for task_id in (large, broken):
        await service.ended(task_id)
    await storage.put_bytes(f"uploads/{broken}", jpeg((900, 900)))
    await monitor.open("/monitor?sort=bytes&order=desc")
    await monitor.button("Retry broken.jpg").click()
    await expect(monitor.status(broken)).to_have_text("Done")
    await expect(monitor.row(broken).locator(".size")).to_have_text(re.compile("KB"))
    assert await monitor.shown() == [large, broken]
    new = await service.upload(jpeg((500, 500)))
    await service.ended(new)
    again = monitor.button("New tasks: load again")
    await expect(again).to_be_visible()
    assert await monitor.shown() == [large, broken]
    await again.click()
    await expect(monitor.rows.first).to_have_attribute("data-task", broken)
    assert await monitor.shown() == [broken, new, large]
    await expect(again).to_be_hidden()


async def test_a_text_is_searched_in_names_errors_ids_and_tags(service: Client, page: Page, monitor: Monitor) -> None:
    boat = await service.upload(TINY, name="Boat on a lake.jpg", tags="summer,print")
    broken = await service.upload(BROKEN, name="other.jpg")
    for task_id in (boat, broken):
        await service.ended(task_id)
    request_id = (await service.get(f"/tasks/{boat}")).json()["request_id"]
    await monitor.open()
    for text, found in (
        ("boat ON", boat),
        ("truncated", broken),
        (boat[:8], boat),
        (request_id, boat),
        ("summer", boat),
    ):
        await monitor.search(text)
        await expect(monitor.rows).to_have_count(1)
        await expect(monitor.row(found)).to_be_visible()
    await expect(page.locator("#searched")).to_be_hidden()
    assert page.url.endswith("/monitor?q=summer")
    await page.reload()
    await expect(page.get_by_label("Search tasks")).to_have_value("summer")
    await expect(monitor.rows).to_have_count(1)
    new = await service.upload(TINY, name="summer too.jpg")
    await expect(monitor.row(new)).to_be_visible()
    await monitor.search("")
    await expect(monitor.rows).to_have_count(3)
    await monitor.search("x" * 101)
    await expect(page.get_by_role("alert").filter(has_text="Enter at most 100 characters.")).to_be_visible()
    await monitor.search("nothing has this")
    await expect(page.get_by_role("heading", name="No tasks match")).to_be_visible()
    await monitor.button("Show all tasks").click()
    await expect(monitor.rows).to_have_count(3)
    await expect(page.get_by_label("Search tasks")).to_have_value("")


async def test_a_search_says_how_far_it_went_and_goes_on(
    service: Client, page: Page, monitor: Monitor, redis: ArqRedis
) -> None:
    oldest = await service.upload(TINY, name="the oldest.jpg")
    await service.ended(oldest)
    other = await service.upload(TINY, name="other.jpg")
    await service.ended(other)
    copy = redis.register_script(MANY)
    await redis.zadd("tasks:created", {oldest: 1_000_000_000_000})
    for first in (1, 2001):
        await copy(args=[other, first])
    await monitor.open("/monitor?q=oldest")
    searched = page.locator("#searched")
    await expect(searched).to_have_text(re.compile(r"The newest 2,000 tasks were searched, back to [\d:]+\."))
    await expect(page.get_by_role("heading", name="No match so far")).to_be_visible()
    more = monitor.button("Search older tasks")
    await more.click()
    await expect(searched).to_have_text(re.compile(r"The newest 4,000 tasks were searched"))
    await more.click()
    await expect(monitor.row(oldest)).to_be_visible()
    await expect(searched).to_be_hidden()
    await expect(more).to_be_hidden()
    await monitor.open("/monitor?sort=waited&order=desc")
    await expect(searched).to_have_text(re.compile(r"The newest 2,000 tasks were sorted, back to [\d:]+\."))
    await expect(monitor.rows).to_have_count(200)


async def test_tags_are_shown_and_filter_the_table(service: Client, page: Page, monitor: Monitor) -> None:
    beach = await service.upload(TINY, name="beach.jpg", tags="holiday,print")
    city = await service.upload(TINY, name="city.jpg", tags="holiday")
    plain = await service.upload(TINY, name="plain.jpg")
    for task_id in (beach, city, plain):
        await service.ended(task_id)
    await monitor.open()
    await expect(monitor.row(beach).locator(".tag")).to_have_text(["holiday", "print"])
    await monitor.row(beach).get_by_role("button", name="holiday").click()
    await expect(monitor.rows).to_have_count(2)
    assert "tag=holiday" in page.url
    chip = monitor.button("Remove the filter Tag: holiday")
    await expect(chip).to_be_visible()
    await monitor.row(beach).get_by_role("link").click()
    await monitor.drawer.get_by_role("button", name="print").click()
    await expect(monitor.drawer).to_be_hidden()
    await expect(monitor.rows).to_have_count(1)
    await page.reload()
    await expect(monitor.rows).to_have_count(1)
    await monitor.button("Remove the filter Tag: print").click()
    await expect(monitor.rows).to_have_count(3)
    await expect(page).to_have_url(re.compile("/monitor$"))


async def test_all_failed_of_a_tag_are_retried(service: Client, monitor: Monitor, storage: Storage) -> None:
    tagged, other = await service.upload(BROKEN, tags="holiday"), await service.upload(BROKEN)
    for task_id in (tagged, other):
        await service.ended(task_id)
        await storage.put_bytes(f"uploads/{task_id}", TINY)
    await monitor.open("/monitor?tag=holiday")
    await monitor.button("Retry all failed").click()
    assert "Retry 1 failed task?" in await monitor.confirm("Retry all")
    await expect(monitor.status(tagged)).to_have_text("Done")
    assert (await service.get(f"/task-status/{other}")).json()["status"] == "FAILURE"


async def test_failures_are_filtered_by_their_code_and_their_group(
    service: Client, monitor: Monitor, tasks: Tasks
) -> None:
    broken = await service.upload(BROKEN)
    await service.ended(broken)
    await service.post("/queue/pause")
    slow = await service.upload()
    await tasks.move(slow, Status.STARTED)
    error = {"error": "processing took longer than 60 s", "error_code": ErrorCode.TIMEOUT}
    await tasks.move(slow, Status.FAILURE, fields=error)
    await monitor.open("/monitor?code=damaged")
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(broken)).to_be_visible()
    await monitor.button("Remove the filter Error code: damaged").click()
    await expect(monitor.rows).to_have_count(2)
    groups = (await service.get("/failures")).json()["groups"]
    [group] = [each for each in groups if each["error_code"] != "damaged"]
    await monitor.unfold("Why tasks fail")
    await (
        monitor.page.locator(f"[data-failure='{group['id']}']")
        .get_by_role("button", name=group["message"])
        .first.click()
    )
    await expect(monitor.page).to_have_url(re.compile(f"failure={group['id']}"))
    await expect(monitor.rows).to_have_count(1)
    await monitor.page.reload()
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(slow)).to_be_visible()
    await expect(monitor.button(f"Remove the filter Failure: {group['id']}")).to_be_visible()


async def test_a_filter_that_is_not_possible_says_so(page: Page, monitor: Monitor, api: Client, watch: Watch) -> None:
    watch.allowed.append("422")
    await api.upload()
    await page.goto("/monitor?format=nonsense")
    await expect(page.locator("#no-rows")).to_contain_text("This filter is not possible")
    await expect(page.locator("#no-rows")).to_contain_text("must be one of avif, bmp")
    await page.get_by_role("button", name="Show all tasks").click()
    await expect(monitor.rows).to_have_count(1)


async def test_formats_filter_the_tasks(page: Page, monitor: Monitor, service: Client) -> None:
    png = await service.upload(encoded(drawing((40, 30)), "PNG"), name="a.png")
    jpeg_task = await service.upload(name="b.jpg")
    for task_id in (png, jpeg_task):
        await service.ended(task_id)
    await monitor.open()
    await monitor.unfold("Where the time goes")
    await page.get_by_role("radio", name="Format").check(force=True)
    await page.locator("#groups").get_by_role("button", name="Png").click()
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(png)).to_be_visible()
    assert "format=png" in page.url
    await page.get_by_role("button", name="Remove the filter Format: png").click()
    await expect(monitor.rows).to_have_count(2)
