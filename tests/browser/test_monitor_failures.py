"""Why tasks fail and where their time went, as the monitor shows it."""

import re

from arq.connections import ArqRedis
from playwright.async_api import Page, expect

from app.api_settings import Settings
from tests.browser.monitor import Monitor
from tests.conftest import Client, working
from tests.support.pictures import drawing, encoded, jpeg
from worker.errors import CAUSES, ErrorCode
from worker.tasks.status import Status
from worker.tasks.store import Tasks

DAMAGED = "the image data is damaged or truncated"


async def fail(tasks: Tasks, task_id: str, code: ErrorCode, error: str, operation: str = "") -> None:
    await tasks.move(task_id, Status.STARTED)
    fields = {"error": error, "error_code": code, "failed_operation": operation}
    await tasks.move(task_id, Status.FAILURE, fields=fields)


async def test_failures_are_grouped_and_retried_together(
    page: Page, api: Client, redis: ArqRedis, settings: Settings
) -> None:
    tasks = Tasks(redis, settings)
    damaged = [await api.upload() for _ in range(3)]
    for task_id in damaged:
        await fail(tasks, task_id, ErrorCode.DAMAGED, DAMAGED)
    slow = [await api.upload() for _ in range(23)]
    for number, task_id in enumerate(slow):
        await fail(tasks, task_id, ErrorCode.TIMEOUT, f"processing took longer than {number + 1} s", "grayscale")
    monitor = await Monitor(page).open()
    await monitor.unfold("Why tasks fail")
    groups = page.locator("[data-failure]")
    await expect(groups).to_have_count(2)
    await expect(page.locator("#failures-count")).to_have_text("26 failed")
    first, second = groups.nth(0), groups.nth(1)
    await expect(first).to_contain_text("processing took longer than # s")
    await expect(first).to_contain_text("Timeout in Grayscale")
    await expect(first.locator(".spark")).to_be_visible()
    await expect(first.locator(".cause-actions")).to_have_text(re.compile(r"^\s*Retry these 23\s*Delete\s*$"))
    await expect(second).to_contain_text("A retry does not help")
    await expect(second.locator(".primary")).to_have_count(0)
    link = second.get_by_role("link", name="Damaged")
    await expect(link).to_have_attribute("href", "/docs#error-damaged")
    await expect(link).to_have_attribute("title", CAUSES[ErrorCode.DAMAGED].meaning)

    async with working(settings):
        await first.get_by_role("button", name="Retry these 23").click()
        assert "Retry 23 failed tasks?" in await monitor.confirm("Retry")
        await monitor.said("23 tasks are queued again.")
        await expect(groups).to_have_count(1)
        for task_id in slow:
            await api.ended(task_id)
    await groups.get_by_role("button", name="Delete").click()
    assert "Delete 3 failed tasks?" in await monitor.confirm("Delete")
    await monitor.said("3 tasks are deleted.")
    await expect(page.locator("#failures")).to_have_text("No task has failed in this time.")
    assert (await api.get(f"/tasks/{damaged[0]}")).status_code == 404


async def test_a_group_of_failures_filters_the_tasks(
    page: Page, api: Client, redis: ArqRedis, settings: Settings
) -> None:
    tasks = Tasks(redis, settings)
    damaged, timeout, waiting = [await api.upload() for _ in range(3)]
    await fail(tasks, damaged, ErrorCode.DAMAGED, DAMAGED)
    await fail(tasks, timeout, ErrorCode.TIMEOUT, "processing took longer than 60 s")
    monitor = await Monitor(page).open("/monitor?status=PENDING&q=photo")  # filters that none of the group matches
    await expect(monitor.row(waiting)).to_be_visible()
    await monitor.unfold("Why tasks fail")
    await page.locator("[data-failure]").get_by_role("button", name=DAMAGED, exact=True).click()
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(damaged)).to_be_visible()
    assert "failure=" in page.url


async def test_the_drawer_shows_where_the_time_of_a_task_went(page: Page, api: Client, settings: Settings) -> None:
    task_id = await api.upload(encoded(drawing((1600, 1200)), "PNG"), operation="median", size="5", format="webp")
    failed = await api.upload(jpeg((800, 600))[:3000])
    async with working(settings):
        for each in (task_id, failed):
            await api.ended(each)
    await Monitor(page).open(f"/monitor#task-{task_id}")
    phases = page.locator(".phases dl > div")
    names = ["Waiting", "Reading", "Decoding", "Operations", "Encoding", "Storing", "Rest"]
    await expect(phases.locator("dt")).to_have_text(names)
    record = (await api.get(f"/tasks/{task_id}")).json()
    widths = await page.locator(".phase-bar i").evaluate_all("parts => parts.map((part) => part.offsetWidth)")
    whole = record["waited_s"] + record["ran_s"]
    took = record["phases"]["operations_s"]
    assert abs(widths[names.index("Operations")] / sum(widths) - took / whole) < 0.03
    await page.goto(f"/monitor#task-{failed}")
    await expect(page.locator("#task .notice.bad")).to_contain_text(DAMAGED)
    await expect(page.locator(".phases dt").first).to_have_text("Waiting")
