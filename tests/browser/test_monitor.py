"""The monitor in a browser: what it shows, and what can be done on it."""

import asyncio
import re

from arq.connections import ArqRedis
from playwright.async_api import Route, expect

from app.api_settings import Settings
from tests.app.routes.test_control import BROKEN
from tests.browser.conftest import Watch
from tests.browser.monitor import Monitor
from tests.conftest import DEADLINE_S, PHOTO, Client, eventually, working
from tests.support.pictures import jpeg
from tests.worker.runner.test_worker import SLOW
from worker.runner.heartbeat import BEAT_TTL_MS
from worker.storage import Storage
from worker.tasks.status import Status
from worker.tasks.store import Tasks
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import Reporter, Stats


async def test_tasks_come_and_change_before_ones_eyes(service: Client, monitor: Monitor) -> None:
    await monitor.open()
    await expect(monitor.page.get_by_role("heading", name="No tasks yet")).to_be_visible()
    task_id = await service.upload(**SLOW, effort="5")  # four times as slow: the page asks for new tasks each second
    await expect(monitor.status(task_id)).to_have_text("Running")
    await expect(monitor.figure("running")).to_have_text("1")
    await expect(monitor.status(task_id)).to_have_text("Done")
    await expect(monitor.row(task_id)).to_contain_text("4000\u00d74000 AVIF")
    small = await service.upload(operation="resize", width="40")
    await expect(monitor.row(small).locator("img")).to_be_visible()
    assert await monitor.shown() == [small, task_id]


async def test_filters_narrow_the_table_and_stand_in_the_address(service: Client, monitor: Monitor) -> None:
    broken, sepia, grey = await service.upload(BROKEN), await service.upload(operation="sepia"), await service.upload()
    for task_id in (broken, sepia, grey):
        await service.ended(task_id)
    await monitor.open()
    assert set(await monitor.shown()) == {broken, sepia, grey}
    await monitor.choose("Failed")
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(broken)).to_contain_text("the image data is damaged or truncated")
    await monitor.page.reload()
    await expect(monitor.rows).to_have_count(1)
    await monitor.page.get_by_role("checkbox", name="Done").set_checked(True, force=True)
    await monitor.page.get_by_role("form", name="Which tasks").get_by_label("Operation").select_option("sepia")
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(sepia)).to_be_visible()
    assert monitor.page.url.endswith("/monitor?status=SUCCESS%2CFAILURE&operation=sepia")
    await monitor.page.get_by_label("Time", exact=True).select_option("custom")
    await monitor.page.get_by_label("To", exact=True).fill("2020-01-01T00:00:00")
    await expect(monitor.page.get_by_role("heading", name="No tasks match")).to_be_visible()
    await monitor.button("Show all tasks").click()
    await expect(monitor.rows).to_have_count(3)
    await monitor.page.get_by_label("Time", exact=True).select_option("Last 15 minutes")
    await expect(monitor.page.locator("#rows")).to_have_attribute("aria-busy", "false")
    await expect(monitor.rows).to_have_count(3)


async def test_the_tasks_of_a_batch_are_filtered_by_it(api: Client, monitor: Monitor) -> None:
    other = await api.upload()
    files = [("file", (f"{number}.jpg", PHOTO)) for number in range(2)]
    batch = (await api.post("/batches", files=files, data={"operation": "grayscale"})).json()
    await monitor.open(f"/monitor?batch={batch['batch_id']}")
    for task_id in batch["task_ids"]:
        await expect(monitor.row(task_id)).to_be_visible()
    await expect(monitor.row(other)).to_have_count(0)
    await monitor.row(batch["task_ids"][0]).click()
    await expect(monitor.drawer.get_by_role("link", name=batch["batch_id"])).to_be_visible()


async def test_a_reader_among_the_rows_keeps_the_place(api: Client, monitor: Monitor, tasks: Tasks) -> None:
    first = [await api.upload() for _ in range(30)]
    await monitor.open()
    await expect(monitor.rows).to_have_count(30)
    reading = monitor.row(first[10])
    await reading.scroll_into_view_if_needed()
    await monitor.page.evaluate(f"document.querySelector('[data-task=\"{first[10]}\"]').scrollIntoView()")
    before = await reading.bounding_box()
    new = [await api.upload() for _ in range(12)]
    await expect(monitor.button("12 new")).to_be_visible()
    await tasks.move(first[10], Status.STARTED)
    await expect(monitor.status(first[10])).to_have_text("Running")
    assert await reading.bounding_box() == before
    await monitor.button("12 new").click()
    await expect(monitor.row(new[-1])).to_be_in_viewport()
    await expect(monitor.rows).to_have_count(42)
    await expect(monitor.page.locator("#fresh")).to_be_hidden()


async def test_a_pointer_over_the_rows_holds_them_too(api: Client, monitor: Monitor) -> None:
    one = await api.upload()
    await monitor.open()
    await monitor.row(one).hover()
    two = await api.upload()
    await expect(monitor.button("1 new")).to_be_visible()
    await monitor.leave_rows()
    await expect(monitor.row(two)).to_be_visible()


async def test_older_tasks_come_page_by_page(api: Client, monitor: Monitor) -> None:
    for _ in range(130):
        await api.upload(jpeg((8, 8)))
    await monitor.open()
    await expect(monitor.rows).to_have_count(100)
    await monitor.button("Show older tasks").click()
    await expect(monitor.rows).to_have_count(130)
    await expect(monitor.button("Show older tasks")).to_be_hidden()
    assert await monitor.rows.nth(100).locator("a").evaluate("link => link === document.activeElement")


async def test_a_failed_task_is_retried_and_a_waiting_one_cancelled(
    service: Client, monitor: Monitor, storage: Storage
) -> None:
    task_id = await service.upload(BROKEN, name="holiday.jpg")
    await service.ended(task_id)
    await storage.put_bytes(f"uploads/{task_id}", jpeg())
    await monitor.open()
    await monitor.button("Retry holiday.jpg").click()
    await monitor.said("holiday.jpg is queued again.")
    await expect(monitor.status(task_id)).to_have_text("Done")
    await service.post("/queue/pause")
    waiting = await service.upload(name="later.jpg")
    await monitor.leave_rows()
    await monitor.button("Cancel later.jpg").click()
    await monitor.said("later.jpg is revoked.")
    await expect(monitor.status(waiting)).to_have_text("Revoked")
    assert (await service.ended(waiting))["status"] == "REVOKED"


async def test_all_failed_of_a_filter_are_retried_once_that_is_confirmed(
    service: Client, monitor: Monitor, storage: Storage
) -> None:
    broken = [await service.upload(BROKEN, operation=name) for name in ("sepia", "sepia", "sepia", "invert")]
    for task_id in broken:
        await service.ended(task_id)
        await storage.put_bytes(f"uploads/{task_id}", jpeg())
    await monitor.open("/monitor?operation=sepia")
    await monitor.button("Retry all failed").click()
    assert "Retry 3 failed tasks?" in await monitor.confirm("Not now")
    await monitor.button("Retry all failed").click()
    await monitor.confirm("Retry all")
    await monitor.said("3 tasks are queued again.")
    for task_id in broken[:3]:
        await expect(monitor.status(task_id)).to_have_text("Done")
    assert (await service.get(f"/task-status/{broken[3]}")).json()["status"] == "FAILURE"
    await monitor.button("Retry all failed").click()
    await monitor.said("There are no failed tasks among them.")


async def test_the_queue_is_paused_and_resumed(service: Client, monitor: Monitor) -> None:
    await monitor.open()
    await monitor.button("Pause the queue").click()
    assert "start no others" in await monitor.confirm("Pause")
    await expect(monitor.page.get_by_text("The queue has been paused since")).to_be_visible()
    await expect(monitor.page).to_have_title("(1) Darkroom monitor")
    await expect(monitor.page.locator("#alarms")).to_be_hidden()
    task_id = await service.upload()
    await expect(monitor.status(task_id)).to_have_text("Waiting")
    await expect(monitor.figure("waiting")).to_have_text("1")
    await monitor.button("Resume the queue").click()
    await expect(monitor.status(task_id)).to_have_text("Done")
    await expect(monitor.button("Pause the queue")).to_be_visible()


async def test_a_tasks_page_tells_all_there_is_to_know(service: Client, monitor: Monitor) -> None:
    task_id = await service.upload(operation="resize", width="60", format="webp", name="boat.jpg")
    await service.ended(task_id)
    record = (await service.get(f"/tasks/{task_id}")).json()
    await monitor.open()
    await monitor.search(f"http://localhost/tasks/{task_id}")
    drawer = monitor.drawer
    await expect(drawer.get_by_role("heading", name="boat.jpg")).to_be_visible()
    for text in (task_id, "Done", record["worker"], record["request_id"], record["outputs"][0]["sha256"], "width 60"):
        await expect(drawer.get_by_text(text).first).to_be_visible()
    await expect(drawer.locator(".timeline li")).to_have_text(
        [re.compile(word) for word in ("Queued", "Started", "resize", "Stored boat.webp", "Done")]
    )
    await expect(drawer.get_by_role("img", name="The result")).to_have_js_property("naturalWidth", 60)
    assert monitor.page.url.endswith(f"#task-{task_id}")
    await monitor.page.reload()
    await expect(drawer.get_by_role("heading", name="boat.jpg")).to_be_visible()
    await monitor.button("Delete").click()
    assert "boat.jpg" in await monitor.confirm("Delete")
    await expect(drawer).to_be_hidden()
    assert (await service.get(f"/tasks/{task_id}")).status_code == 404


async def test_a_waiting_tasks_page_says_whose_turn_it_waits_for(api: Client, monitor: Monitor) -> None:
    await api.upload(queue_group="tenant-7")
    task_id = await api.upload(queue_group="tenant-7", priority="low", expires_in="3600")
    await monitor.open()
    await monitor.search(task_id)
    for name, value in (("Position", "2"), ("Priority", "low"), ("Queue group", "tenant-7"), ("Start by", "")):
        term = monitor.drawer.locator("dt", has_text=re.compile(f"^{name}$"))
        await expect(term.locator("+ dd")).to_contain_text(value)
    await expect(monitor.row(task_id)).to_contain_text("tenant-7")


async def test_a_failed_tasks_page_says_why_and_follows_its_retry(
    service: Client, monitor: Monitor, storage: Storage
) -> None:
    task_id = await service.upload(BROKEN)
    await service.ended(task_id)
    await storage.put_bytes(f"uploads/{task_id}", jpeg())
    await monitor.open(f"/monitor#task-{task_id}")
    await expect(monitor.drawer.get_by_text("the image data is damaged or truncated")).to_be_visible()
    await monitor.drawer.get_by_role("button", name="Retry").click()
    await expect(monitor.drawer.locator(".drawer-head .badge")).to_have_text("Done")
    await expect(monitor.drawer.locator(".timeline li")).to_have_count(8)
    await expect(monitor.drawer.get_by_text("Started, attempt 2")).to_be_visible()


async def test_a_task_that_is_not_there_is_said_to_be_gone(monitor: Monitor, watch: Watch) -> None:
    watch.allowed.append("404")
    await monitor.open("/monitor#task-f8a5d96e-ff1f-4d9d-bc67-b1c6b9dbec1f")
    await expect(monitor.drawer.get_by_role("heading", name="There is no such task")).to_be_visible()
    await monitor.page.keyboard.press("Escape")
    await expect(monitor.page).to_have_url(re.compile("/monitor$"))


async def test_a_webhooks_deliveries_are_told_and_it_is_sent_again(
    redis: ArqRedis, service: Client, monitor: Monitor, tasks: Tasks
) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    message = "msg_1"
    hook = {"callback_url": "https://example.com/hook", "message_id": message}
    await redis.hset(f"task:{task_id}", mapping=hook)  # type: ignore[misc] # typed for its blocking client too
    fields = {"task_id": task_id, "url": "https://example.com/hook", "status": "SUCCESS", "ended_ms": 1, "error": "",
              "outputs": "{}", "state": "failed", "tries": 1, "next_ms": 0}  # fmt: skip
    await redis.hset(f"webhook:{message}", mapping=fields)  # type: ignore[misc] # as above
    await monitor.open(f"/monitor#task-{task_id}")
    await expect(monitor.drawer.get_by_text("https://example.com/hook")).to_be_visible()
    await monitor.button("Send webhook again").click()
    await monitor.said("The webhook is sent again.")
    assert (await service.get(f"/tasks/{task_id}")).json()["webhook"]["state"] == "waiting"


RATE = r"(?:25|33|50|100) %"
"""Failure rates of a minute in which the last of four tasks failed, and perhaps not all of them ended."""


async def test_charts_are_drawn_and_told_in_words_and_numbers(service: Client, monitor: Monitor) -> None:
    for data in (jpeg(), jpeg(), jpeg(), BROKEN):
        await service.ended(await service.upload(data))

    async def is_counted() -> bool:
        ended: dict[str, int] = (await service.get("/stats")).json()["total"]["ended"]
        return sum(ended.values()) == 4

    await eventually(is_counted)
    await monitor.open()
    await monitor.unfold("History")
    await expect(monitor.page.locator("canvas")).to_have_count(6)
    await expect(monitor.figure("failed")).to_have_text("25 %")
    summary = monitor.page.locator('[data-chart="Failure rate"] figcaption')
    await expect(summary).to_have_text(
        re.compile(rf"Failure rate, last hour\. failed: last {RATE}, highest {RATE} at \d\d:\d\d\.")
    )
    await monitor.page.get_by_text("Show as a table").click()
    table = monitor.page.get_by_role("region", name="History as a table")
    await expect(table.get_by_role("row")).to_have_count(61)
    await expect(table.get_by_role("columnheader", name="Running time, p99")).to_be_attached()
    await expect(table.get_by_role("row").filter(has_text=re.compile(RATE)).first).to_be_attached()
    await monitor.page.get_by_role("radio", name="Day").check(force=True)
    await expect(table.get_by_role("row")).to_have_count(97)
    await expect(monitor.page.locator('[data-chart="Queue"] figcaption')).to_contain_text("last day")


async def test_where_the_time_goes_is_seen_at_a_look(api: Client, redis: ArqRedis, monitor: Monitor) -> None:
    stats = Stats()
    for name, seconds, times in (("sepia", 0.02, 50), ("blur", 1.5, 20), ("round_corners", 4.0, 2)):
        for _ in range(times):
            stats.observe_group("by_operation", name, seconds=seconds)
    for _ in range(5):
        stats.count("by_operation", "blur", "failed")
    await Reporter(stats, redis).stop()
    blurred = await api.upload(operation="blur")
    await api.upload(operation="sepia")
    await monitor.open()
    await monitor.unfold("Where the time goes")
    page = monitor.page
    await expect(page.locator("#groups-most")).to_have_text("Blur")
    names = page.locator("#groups tbody th")
    await expect(names).to_have_text(["Blur", "Round corners", "Sepia"])  # by their total time
    await expect(page.get_by_role("row", name=re.compile("^Blur"))).to_contain_text(re.compile(r"20\s*25 %\s*1\.\d+ s"))
    await page.locator("#groups").get_by_role("button", name="p95").click()
    await expect(names).to_have_text(["Round corners", "Blur", "Sepia"])
    await expect(page.get_by_role("columnheader", name="p95")).to_have_attribute("aria-sort", "descending")
    await page.locator("#groups").get_by_role("button", name="Blur").click()
    await expect(monitor.row(blurred)).to_be_visible()
    await expect(page.locator("#rows tr")).to_have_count(1)
    assert "operation=blur" in page.url
    await page.get_by_role("radio", name="Format").check(force=True)
    await expect(page.locator("#groups")).to_contain_text("Nothing has ended yet.")


async def test_workers_are_listed_with_what_they_do_and_gone_ones_marked(
    api: Client, settings: Settings, monitor: Monitor, redis: ArqRedis
) -> None:
    async with working(settings):
        await monitor.open()
        await monitor.unfold("Workers")
        ids = [await api.upload(**SLOW) for _ in range(20)]  # for longer than from one beat to the next
        card = monitor.page.locator(".worker")
        link = card.get_by_role("link", name=re.compile("^Task "))
        await expect(link.first).to_be_visible()
        assert (await link.first.get_attribute("href") or "").removeprefix("#task-") in ids
        await expect(card).to_contain_text(" of 2")
        for task_id in reversed(ids):
            await api.post(f"/tasks/{task_id}/cancel")
        await expect(card).to_contain_text(re.compile("[MG]B"))
        await redis.zadd("workers", {"host:1": now_ms() - BEAT_TTL_MS - 1000})
        gone = monitor.page.locator(".worker[data-gone]")
        await expect(gone).to_contain_text("host:1")
        await expect(gone).to_contain_text("Gone")
        await expect(monitor.page.locator("#workers-count")).to_have_text("1 alive, 1 gone")


async def test_a_change_while_a_page_is_under_way_is_not_undone_by_it(api: Client, monitor: Monitor) -> None:
    """The page has the state before the change; the row showed that for ever if nothing else happened."""
    first = await api.upload()
    await monitor.open()
    badge = monitor.status(first)
    await expect(badge).to_have_text("Waiting")
    is_held, may_pass = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        response = await route.fetch()
        is_held.set()
        await may_pass.wait()
        await route.fulfill(response=response)

    await monitor.page.route("**/tasks?*", hold, times=1)
    second = await api.upload()  # the page asks for what is new
    async with asyncio.timeout(DEADLINE_S):
        await is_held.wait()
    await api.post(f"/tasks/{first}/cancel")
    await expect(badge).to_have_text("Revoked")
    may_pass.set()
    await expect(monitor.row(second)).to_be_visible()
    await expect(badge).to_have_text("Revoked")


async def test_sixty_tasks_a_second_are_all_right_at_the_end(service: Client, monitor: Monitor) -> None:
    """No more rows than the table holds, each in its last state; the page answers all the time."""
    await monitor.open()
    tiny, total, ids = jpeg((8, 8)), 240, []
    for _ in range(total // 20):
        ids += await asyncio.gather(*(service.upload(tiny) for _ in range(20)))
        await monitor.page.evaluate("new Promise(requestAnimationFrame)")
    for task_id in ids[-20:]:
        await service.ended(task_id)

    async def is_settled() -> bool:
        states = await monitor.page.locator("#rows .badge").all_inner_texts()
        return set(states) == {"Done"} and set(ids[-60:]) <= set(await monitor.shown())

    await eventually(is_settled)
    assert len(await monitor.shown()) <= 300
    await expect(monitor.figure("waiting")).to_have_text("0")


MANY = """
local record = redis.call('HGETALL', 'task:' .. ARGV[1])
local created = tonumber(redis.call('ZSCORE', 'tasks:created', ARGV[1]))
for i = ARGV[2], ARGV[2] + 1999 do
  local id = string.format('%08x-0000-4000-8000-%012x', i, i)
  local status = i % 100 == 0 and 'FAILURE' or 'SUCCESS'
  redis.call('HSET', 'task:' .. id, unpack(record))
  redis.call('HSET', 'task:' .. id, 'status', status)
  redis.call('ZADD', 'tasks:created', created - 100000 + i, id)
  redis.call('ZADD', 'tasks:' .. status, created - 100000 + i, id)
end
"""
"""Adds 2,000 copies of a task, which are up to 100 s older; more at once would keep Redis from answering in time."""


async def test_a_hundred_thousand_tasks_do_not_stand_in_its_way(
    service: Client, monitor: Monitor, redis: ArqRedis
) -> None:
    task_id = await service.upload()
    await service.ended(task_id)
    copy = redis.register_script(MANY)
    for first in range(1, 100_000, 2_000):
        await copy(args=[task_id, first])
    await monitor.open()
    await expect(monitor.rows).to_have_count(100)
    await expect(monitor.row(task_id)).to_be_visible()
    await monitor.choose("Failed")
    await expect(monitor.page.locator("#rows")).to_have_attribute("aria-busy", "false")
    await monitor.button("Show older tasks").click()
    await expect(monitor.rows).to_have_count(200)
    await monitor.page.get_by_role("checkbox", name="Failed").set_checked(False, force=True)
    await monitor.leave_rows()
    new = await service.upload()
    await expect(monitor.status(new)).to_have_text("Done")
