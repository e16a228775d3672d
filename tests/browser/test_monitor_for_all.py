"""The monitor through restarts, without rights, on a phone, by keyboard, and for those who do not see it."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import httpx2
import msgspec
import pytest
from arq.connections import ArqRedis
from playwright.async_api import Browser, Page, Route, expect

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.app.routes.test_control import BROKEN
from tests.browser.conftest import Watch
from tests.browser.monitor import PANELS, Monitor, violations
from tests.conftest import DEADLINE_S, Client, environment, eventually, process, serving, working
from tests.support.callers import MADE, with_keys
from tests.support.pictures import jpeg
from worker.storage import Storage
from worker.tasks.status import Status
from worker.tasks.store import Tasks
from worker.telemetry.clock import now_ms


@asynccontextmanager
async def visited(browser: Browser, url: str, **options: object) -> AsyncIterator[tuple[Monitor, Watch]]:
    """Open a browser's window of its own on a service; nothing may go wrong there either."""
    watch = Watch(url)
    context = await browser.new_context(base_url=url, **options)  # type: ignore[arg-type]
    context.set_default_timeout(DEADLINE_S * 1000)
    watch.over(context)
    yield Monitor(await context.new_page()), watch
    await context.close()
    assert watch.faults == []


async def test_it_comes_back_by_itself_when_the_api_does(
    browser: Browser, redis: ArqRedis, settings: Settings, tasks: Tasks
) -> None:
    port = free_port()
    api = ["-m", "app.server", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    async with Client(base_url=url) as client, visited(browser, url) as (monitor, watch):
        watch.allowed += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY"]

        async def answers() -> bool:
            with suppress(httpx2.TransportError):
                return (await client.get("/livez")).is_success
            return False

        with process(*api, **environment(settings)):
            await eventually(answers)
            before = await client.upload()
            await monitor.open()
            await expect(monitor.row(before)).to_be_visible()
        await expect(monitor.connection).to_have_text("Reconnecting")
        await tasks.move(before, Status.REVOKED)  # by another API
        with process(*api, **environment(settings)):
            await expect(monitor.connection).to_have_text("Live")
            await expect(monitor.status(before)).to_have_text("Revoked")
            after = await client.upload()
            await expect(monitor.row(after)).to_be_visible()
            await expect(monitor.page.get_by_text("These figures may be old")).to_be_hidden()


async def test_it_is_live_only_while_the_answers_are_good(service: Client, monitor: Monitor, watch: Watch) -> None:
    """The event stream stays open when Redis is away, or when the statistics fail."""
    watch.allowed.append("503")

    async def away(route: Route) -> None:
        body = json.dumps({"detail": "Redis does not answer", "status": 503})
        await route.fulfill(status=503, content_type="application/problem+json", body=body)

    await monitor.open()
    await expect(monitor.connection).to_have_text("Live")
    await monitor.page.route("**/stats**", away)
    await expect(monitor.connection).to_have_text("Not up to date")
    await expect(monitor.page.get_by_text("These figures may be old")).to_be_visible()
    await monitor.page.unroute("**/stats**")
    await expect(monitor.connection).to_have_text("Live")


async def test_it_calls_somebody_while_no_worker_is_running(
    api: Client, settings: Settings, monitor: Monitor, page: Page
) -> None:
    await api.upload()
    await monitor.open()
    alarms = page.locator("#alarms")
    await expect(alarms).to_contain_text("No worker is running; 1 task waits.")
    await expect(page).to_have_title("(1) Darkroom monitor")
    icon = page.locator("link[rel=icon]")
    await expect(icon).to_have_attribute("href", re.compile("^blob:"))
    async with working(settings):
        await expect(alarms).to_be_hidden()
        await expect(page).to_have_title("Darkroom monitor")
        await expect(icon).to_have_attribute("href", re.compile("icon.svg$"))


async def test_the_charts_come_although_their_library_did_not_at_first(browser: Browser, api: Client) -> None:
    async with visited(browser, str(api.base_url)) as (monitor, watch):
        watch.allowed += ["ERR_FAILED"]
        library = "**/uPlot.iife.min.js"
        await monitor.page.route(library, lambda route: route.abort())
        await monitor.page.goto("/monitor")
        await monitor.unfold("History")
        await expect(monitor.page.get_by_text("These figures may be old")).to_be_visible()
        await monitor.page.unroute(library)
        await expect(monitor.page.locator(".u-over").first).to_be_visible()


async def test_with_keys_an_admin_signs_in_and_out(browser: Browser, redis: ArqRedis, settings: Settings) -> None:
    async with (
        serving(with_keys(settings)) as url,
        visited(browser, url) as (monitor, watch),
        Client(base_url=url) as ann,
    ):
        ann.headers["Authorization"] = f"Bearer {MADE['ann'][0]}"
        task_id = await ann.upload(name="hers.jpg")
        page = monitor.page
        await page.goto("/monitor")
        key = page.get_by_label("Admin key")
        await expect(key).to_be_focused()
        assert await violations(page) == []
        watch.allowed.append("403")
        await key.fill(MADE["ann"][0])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="admin right")).to_be_visible()
        await key.fill(MADE["ops"][0])
        await monitor.button("Sign in").click()
        await expect(monitor.row(task_id)).to_contain_text("ann")
        assert MADE["ops"][0] not in await page.evaluate(
            "JSON.stringify([localStorage, sessionStorage, document.cookie])"
        )
        await page.get_by_label("Key", exact=True).fill("bob")
        await page.get_by_label("Key", exact=True).press("Enter")
        await expect(page.get_by_role("heading", name="No tasks match")).to_be_visible()
        await monitor.button("Show all tasks").click()
        await monitor.button("Cancel hers.jpg").click()  # with the session's token
        await expect(monitor.status(task_id)).to_have_text("Revoked")
        await page.reload()
        await expect(page.get_by_text("Signed in as ops")).to_be_visible()
        await monitor.button("Sign out").click()
        await expect(key).to_be_focused()
        assert await page.evaluate("document.cookie") == ""


async def test_a_session_that_ends_leads_back_to_the_sign_in(
    browser: Browser, redis: ArqRedis, settings: Settings
) -> None:
    async with serving(with_keys(settings)) as url, visited(browser, url) as (monitor, watch):
        await monitor.page.goto("/monitor")
        await monitor.page.get_by_label("Admin key").fill(MADE["ops"][0])
        await monitor.button("Sign in").click()
        await expect(monitor.connection).to_have_text("Live")
        watch.allowed.append("401")
        [session] = await redis.keys("session:*")
        await redis.delete(session)
        await expect(monitor.page.get_by_label("Admin key")).to_be_focused()
        await monitor.page.get_by_label("Admin key").fill(MADE["ops"][0])
        await monitor.button("Sign in").click()
        await expect(monitor.connection).to_have_text("Live")


async def test_a_read_only_monitor_has_nothing_to_change_anything_by(
    browser: Browser, redis: ArqRedis, settings: Settings
) -> None:
    read_only = msgspec.structs.replace(settings, monitor_read_only=True)
    async with serving(read_only) as url, visited(browser, url) as (monitor, _), Client(base_url=url) as client:
        task_id = await client.upload()
        await monitor.open()
        await expect(monitor.page.get_by_text("Read only")).to_be_visible()
        await monitor.row(task_id).get_by_role("link").click()
        await expect(monitor.drawer.get_by_role("heading", name="photo.jpg")).to_be_visible()
        names = await monitor.page.get_by_role("button").all_inner_texts()
        labels = await monitor.page.locator("button").evaluate_all("all => all.map((each) => each.ariaLabel)")
        for verb in ("Retry", "Cancel", "Delete", "Pause", "Send"):
            assert not [name for name in [*names, *filter(None, labels)] if name.startswith(verb)]


async def full(service: Client, tasks: Tasks) -> str:
    """Give the service tasks of every kind; return the failed one's id."""
    await service.ended(await service.upload(name="a" * 60 + ".jpg", operation="resize", width="50"))
    broken = await service.upload(BROKEN)
    await service.ended(broken)
    await service.post("/queue/pause")
    await service.post(f"/tasks/{await service.upload()}/cancel")
    running = await service.upload()
    await tasks.move(running, Status.STARTED)
    await service.upload()
    return broken


async def test_a_phone_shows_it_without_scrolling_sideways(
    service: Client, page: Page, monitor: Monitor, tasks: Tasks
) -> None:
    broken = await full(service, tasks)
    await page.set_viewport_size({"width": 320, "height": 640})
    await monitor.open()
    for panel in PANELS:
        await monitor.unfold(panel)
    await expect(page.locator("canvas")).to_have_count(6)
    await expect(page.locator("#groups tbody tr").first).to_be_attached()
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert await page.evaluate(fits)
    await expect(monitor.status(broken)).to_be_visible()
    await page.goto(f"/monitor#task-{broken}")
    await expect(monitor.drawer.get_by_text("Timeline")).to_be_visible()
    assert await page.evaluate(fits)
    assert await page.evaluate("document.querySelector('#task').scrollWidth <= innerWidth")


async def test_the_keyboard_is_enough(service: Client, page: Page, monitor: Monitor) -> None:
    task_id = await service.upload(jpeg((9, 9)), name="tiny.jpg")
    await service.ended(task_id)
    await monitor.open()
    await page.get_by_role("checkbox", name="Failed").focus()
    await page.keyboard.press("Space")
    await expect(monitor.rows).to_have_count(0)
    await page.keyboard.press("Space")
    await expect(monitor.rows).to_have_count(1)
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.closest('#rows') !== null"):
            break
    await page.keyboard.press("Enter")
    await expect(monitor.drawer.get_by_role("heading", name="tiny.jpg")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(monitor.drawer).to_be_hidden()
    assert await monitor.row(task_id).get_by_role("link").evaluate("link => link === document.activeElement")
    await monitor.button("Pause the queue").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(monitor.button("Resume the queue")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(monitor.button("Pause the queue")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(
    service: Client, page: Page, monitor: Monitor, tasks: Tasks, redis: ArqRedis, scheme: Literal["light", "dark"]
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await monitor.open()
    assert await violations(page) == []
    broken = await full(service, tasks)
    await redis.zadd("workers", {"host:1": now_ms() - 7_200_000})  # dead, but of the last day
    await expect(monitor.status(broken)).to_have_text("Failed")
    for panel in PANELS:
        await monitor.unfold(panel)
    await expect(page.locator(".worker[data-gone]")).to_be_visible()
    await page.get_by_text("Show as a table").click()
    assert await violations(page) == []
    await page.goto(f"/monitor#task-{broken}")
    await expect(monitor.drawer.get_by_text("Timeline")).to_be_visible()
    assert await violations(page) == []


async def test_changes_are_told_to_those_who_do_not_see_them(
    service: Client, page: Page, monitor: Monitor, storage: Storage
) -> None:
    task_id = await service.upload(BROKEN, name="torn.jpg")
    await service.ended(task_id)
    await storage.put_bytes(f"uploads/{task_id}", jpeg())
    await monitor.open(f"/monitor#task-{task_id}")
    await monitor.drawer.get_by_role("button", name="Retry").click()
    await expect(page.locator("#task #live")).to_have_text("The task is done.")  # what is outside of it is inert
