"""A web page of another origin, in a real Chromium, against a server without keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from playwright.async_api import Browser, BrowserContext, Page, Request

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, Client, serving
from tests.support.receiver import Answer, receiving

pytestmark = pytest.mark.usefixtures("redis")

EVIL = "evil.example"

ATTACK = """<!doctype html><title>a page elsewhere</title><iframe name="sink"></iframe>
<form id="pause" method="post" action="{api}/queue/pause" target="sink"></form>
<form id="upload" method="post" action="{api}/process-image/" target="sink" enctype="multipart/form-data">
  <input name="operation" value="grayscale"><input name="url" value="https://images.example/photo.jpg"></form>
<img id="image">
<script>
  const ways = {{
    form: () => document.getElementById("pause").submit(),
    upload: () => document.getElementById("upload").submit(),
    fetch: () => fetch("{api}/queue/pause", {{method: "POST", mode: "no-cors"}}),
    delete: () => fetch("{api}/tasks/{task}", {{method: "DELETE"}}).catch(() => "refused"),
    image: () => {{ document.getElementById("image").src = "{api}/queue/pause"; }},
    read: () => fetch("{api}/tasks").then((answer) => answer.text()).catch(() => "unreadable"),
  }};
</script>"""

CHANGES = {"form": "/queue/pause", "upload": "/process-image/", "fetch": "/queue/pause", "image": "/queue/pause"}


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context()
    yield context
    await context.close()


@asynccontextmanager
async def foreign_page(context: BrowserContext, api: Client, task_id: str) -> AsyncIterator[Page]:
    """Open a page of another origin that knows the API's address and the id of a task."""
    body = ATTACK.format(api=str(api.base_url).rstrip("/"), task=task_id).encode()
    async with receiving(Answer(headers={"Content-Type": "text/html"}, body=body)) as host:
        page = await context.new_page()
        await page.goto(f"http://{EVIL}:{host.port}/")
        yield page


async def attack(context: BrowserContext, api: Client, way: str) -> int | None:
    """Let a page of another origin try one way, and return the status of the answer, if the browser has one."""
    async with foreign_page(context, api, await api.upload()) as page:
        # A response that the browser withholds from the page has failed to it.
        ended: asyncio.Queue[Request] = asyncio.Queue()

        def note(request: Request) -> None:
            if request.url.endswith(CHANGES[way]):
                ended.put_nowait(request)

        page.on("requestfinished", note)
        page.on("requestfailed", note)
        await page.evaluate(f"() => {{ ways.{way}(); }}")
        async with asyncio.timeout(DEADLINE_S):
            answer = await (await ended.get()).response()
        return None if answer is None else answer.status


@pytest.mark.parametrize("way", CHANGES)
async def test_a_page_elsewhere_changes_nothing(elsewhere: BrowserContext, api: Client, way: str) -> None:
    status = await attack(elsewhere, api, way)
    assert status in ((405, None) if way == "image" else (403,))  # an image is a GET, which changes nothing anywhere
    assert (await api.get("/queue")).json()["paused_at"] is None
    assert len((await api.get("/tasks")).json()["tasks"]) == 1


async def test_it_would_without_the_policy(elsewhere: BrowserContext, redis: ArqRedis, settings: Settings) -> None:
    """The attack is real: a server that trusts every origin is paused by the page's form."""
    trusting = msgspec.structs.replace(settings, cors_origins=("*",))
    async with serving(trusting) as url, Client(base_url=url) as api:
        assert await attack(elsewhere, api, "form") == 200
        assert (await api.get("/queue")).json()["paused_at"] is not None


async def test_a_page_elsewhere_reads_and_deletes_nothing(elsewhere: BrowserContext, api: Client) -> None:
    task_id = await api.upload()
    async with foreign_page(elsewhere, api, task_id) as page:
        assert await page.evaluate("() => ways.delete()") == "refused"
        assert await page.evaluate("() => ways.read()") == "unreadable"
    assert (await api.get(f"/tasks/{task_id}")).status_code == 200


async def test_a_host_name_that_is_rebound_to_this_machine_reads_nothing(
    elsewhere: BrowserContext, api: Client
) -> None:
    """To the browser, page and API are of one origin then; only the Host header tells."""
    task_id = await api.upload()
    page = await elsewhere.new_page()
    answer = await page.goto(f"http://{EVIL}:{api.base_url.port}/")
    assert answer is not None
    assert answer.status == 403
    assert f"{EVIL}:{api.base_url.port}" in await answer.text()
    for method, path in (("GET", "/tasks"), ("DELETE", f"/tasks/{task_id}"), ("POST", "/queue/pause")):
        status = await page.evaluate(
            "([path, method]) => fetch(path, {method}).then((answer) => answer.status)", [path, method]
        )
        assert status == 403
    assert (await api.get(f"/tasks/{task_id}")).status_code == 200
