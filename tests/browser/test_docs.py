"""`/docs`: finding things, and copying code."""

import re
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import Watch
from tests.browser.monitor import violations
from tests.browser.studio import Studio
from tests.conftest import DEADLINE_S, Client

MAX_PAGE_BYTES = 64_000
MAX_BLOCKING_BYTES = 10_000
"""Compressed; at 200 KB/s the page takes 0.3 s, and styles hold up the first paint."""

PHONE_PX = (320, 640)

expect.set_options(timeout=DEADLINE_S * 1000)


def contents(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Contents")


def options(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Results").get_by_role("option")


@pytest_asyncio.fixture(loop_scope="session")
async def docs(page: Page) -> Page:
    await page.goto("/docs")
    return page


async def test_the_contents_are_grouped_and_lead_to_every_route_and_operation(docs: Page, api: Client) -> None:
    document: dict[str, Any] = (await api.get("/openapi.json")).json()
    groups = await contents(docs).locator("> ul > li > a").all_inner_texts()
    tags = [tag["name"] for tag in document["tags"]]
    others = {"Authentication", "Operations", "Webhooks", "Problem types", "Error codes of tasks", "Schemas"}
    assert set(groups) == {*tags, *others}
    links = await contents(docs).locator("a").evaluate_all("links => links.map(link => link.hash.slice(1))")
    routes = {about["operationId"] for methods in document["paths"].values() for about in methods.values()}
    operations = {entry["operation"] for entry in (await api.get("/operations")).json()["operations"]}
    texts = set(await contents(docs).locator("li li a").all_inner_texts())
    assert routes <= set(links)
    assert operations <= texts
    assert await docs.evaluate("links => links.filter(id => !document.getElementById(id))", links) == []


@pytest.mark.parametrize("anchor", ["task_status", "WatermarkForm", "livez", "problems"])
async def test_the_contents_mark_where_one_is(docs: Page, anchor: str) -> None:
    current = contents(docs).locator("[aria-current]")
    await docs.locator(f"#{anchor}").evaluate("element => element.scrollIntoView()")
    await expect(current).to_have_count(1)
    await expect(current).to_have_attribute("href", f"#{anchor}")
    await expect(current).to_have_attribute("aria-current", "location")
    await expect(current).to_be_in_viewport(ratio=1)


async def test_the_last_section_is_marked_at_the_end(docs: Page) -> None:
    await docs.keyboard.press("End")
    await expect(contents(docs).locator("[aria-current]")).to_have_attribute("href", "#schemas")


async def test_the_contents_fold_on_a_phone(docs: Page) -> None:
    await docs.set_viewport_size({"width": PHONE_PX[0], "height": PHONE_PX[1]})
    assert await docs.evaluate("document.documentElement.scrollWidth") <= PHONE_PX[0]
    button = docs.get_by_role("button", name="Contents")
    await expect(contents(docs)).to_be_hidden()
    await button.click()
    await expect(button).to_have_attribute("aria-expanded", "true")
    await contents(docs).get_by_role("link", name="crop", exact=True).click()
    await expect(contents(docs)).to_be_hidden()
    await expect(docs.get_by_role("heading", name="crop", exact=True)).to_be_in_viewport()
    assert await docs.evaluate("document.documentElement.scrollWidth") <= PHONE_PX[0]


async def test_escape_folds_the_contents_on_a_phone(docs: Page) -> None:
    await docs.set_viewport_size({"width": PHONE_PX[0], "height": PHONE_PX[1]})
    button = docs.get_by_role("button", name="Contents")
    await button.click()
    await contents(docs).get_by_role("link", name="Tasks", exact=True).focus()
    await docs.keyboard.press("Escape")
    await expect(button).to_have_attribute("aria-expanded", "false")
    await expect(contents(docs)).to_be_hidden()
    await expect(button).to_be_focused()


@pytest.mark.parametrize("keys", ["/", "Control+k", "Meta+k", "button"])
async def test_search_opens_by_keys_and_by_its_button_and_closes_by_escape(docs: Page, keys: str) -> None:
    query = docs.get_by_role("combobox", name="Search")
    if keys == "button":
        await docs.get_by_role("button", name="Search").click()
    else:
        await docs.keyboard.press(keys)
    await expect(query).to_be_focused()
    await query.press_sequentially("a/b")
    await expect(query).to_have_value("a/b")
    await docs.keyboard.press("Escape")
    await expect(query).to_be_hidden()


FOUND = [
    ("task-status", "Route", "GET /task-status/{task_id}", "task_status"),
    ("get /tasks", "Route", "GET /tasks", "list_tasks"),
    ("crop", "Operation", "crop", "CropForm"),
    ("queue-full", "Problem type", "429 queue-full", "queue-full"),
    ("aspect_ratio crop", "Field · crop", "aspect_ratio", "CropForm"),
    ("cursor", "Query parameter · GET /tasks", "cursor", "list_tasks"),
    ("Idempotency-Key", "Header · POST /process-image/", "Idempotency-Key", "process_image"),
    ("upload-limit", "Response header · POST /process-image/", "Upload-Limit", "process_image"),
    ("variants process-image", "Field · POST /process-image/", "variants", "VariantsForm"),
    ("max_bytes error", "Error code", "max_bytes", "error-max-bytes"),
    ("retry", "Route", "POST /tasks/retry", "retry_tasks"),
    ("resize", "Operation", "resize", "ResizeForm"),
    ("LinkRequest", "Schema", "LinkRequest", "schema-LinkRequest"),
    ("callback_url post", "Webhook", "POST the task's callback_url", "taskEnded"),
    ("task.succeeded", "Webhook", "POST the task's callback_url", "taskEnded"),
    ("retry all failed", "Route", "POST /tasks/retry", "retry_tasks"),
    ("tag limit", "Field · POST /process-image/", "tags", "process_image"),
    ("webhook upload", "Field · POST /process-image/", "callback_url", "process_image"),
    ("error codes", "Section", "Error codes of tasks", "error-codes"),
    ("error codes of tasks", "Section", "Error codes of tasks", "error-codes"),
    ("resumable", "Route", "GET /uploads/{upload_id}", "upload"),
    ("webhook", "Section", "Webhooks", "webhooks"),
    ("q", "Query parameter · GET /tasks", "q", "list_tasks"),
    ("by", "Query parameter · GET /stats", "by", "statistics"),
    ("authentication", "Section", "Authentication", "authentication"),
    ("Authorization", "Section", "API keys", "api-keys"),
    ("bearer", "Section", "API keys", "api-keys"),
    ("API key", "Section", "API keys", "api-keys"),
    ("$KEY", "Section", "API keys", "api-keys"),
]
"""Query, kind and name of what is found first, anchor of its place."""


@pytest.mark.parametrize(("query", "kind", "name", "anchor"), FOUND, ids=[row[0] for row in FOUND])
async def test_search_finds_routes_fields_operations_and_problem_types(
    docs: Page, query: str, kind: str, name: str, anchor: str
) -> None:
    await docs.keyboard.press("/")
    await docs.keyboard.type(query)
    first = options(docs).first
    await expect(first.locator(".name")).to_have_text(name)
    await expect(first.locator(".kind")).to_have_text(kind)
    await docs.keyboard.press("Enter")
    await expect(docs.get_by_role("dialog")).to_be_hidden()
    await expect(docs.locator(".marked")).to_be_in_viewport()
    await expect(docs.locator(".marked")).to_be_focused()
    assert docs.url.endswith(f"#{anchor}")


async def test_results_are_chosen_by_arrows_and_by_clicks(docs: Page) -> None:
    await docs.keyboard.press("/")
    await docs.keyboard.type("width")
    selected = docs.locator('[role="option"][aria-selected="true"]')
    query = docs.get_by_role("combobox")
    for key, at in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        await docs.keyboard.press(key)
        await expect(selected).to_have_count(1)
        await expect(options(docs).nth(at)).to_have_attribute("aria-selected", "true")
        await expect(query).to_have_attribute("aria-activedescendant", f"found-{at}")
    await options(docs).filter(has_text="Field · resize").first.click()
    await expect(docs.locator("#ResizeForm .marked th")).to_have_text("width")
    await docs.keyboard.press("/")
    await docs.keyboard.type("there is no such thing")
    await expect(docs.get_by_text("Nothing found.")).to_be_visible()
    await docs.keyboard.press("Enter")
    await expect(query).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_search_has_nothing_in_anybodys_way(browser: Browser, api: Client, watch: Watch, scheme: str) -> None:
    context = await browser.new_context(base_url=str(api.base_url), color_scheme=scheme)  # type: ignore[arg-type]
    watch.over(context)
    page = await context.new_page()
    await page.goto("/docs")
    await page.keyboard.press("/")
    await page.keyboard.type("task")
    await expect(options(page).nth(5)).to_be_visible()
    assert await violations(page) == []
    await context.close()


async def test_code_and_bodies_are_copied(docs: Page) -> None:
    await docs.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = docs.locator("#list_tasks .code")
    await code.get_by_role("button", name="Copy").click()
    await expect(docs.locator("#live")).to_have_text("Copied")
    origin = docs.url.removesuffix("/docs")
    assert await docs.evaluate("navigator.clipboard.readText()") == f"curl {origin}/tasks"
    await code.get_by_role("tab", name="Python").click()
    await code.get_by_role("button", name="Copy").click()
    await docs.wait_for_function("navigator.clipboard.readText().then((text) => text.startsWith('import httpx'))")
    await docs.locator("#link .body-of-request").get_by_role("button", name="Copy").click()
    await docs.wait_for_function("navigator.clipboard.readText().then((text) => text.startsWith('{'))")
    body = msgspec.json.decode(await docs.evaluate("navigator.clipboard.readText()"))
    assert body == {"expires_in": 600}


async def test_every_command_has_a_button_that_copies_it(docs: Page) -> None:
    assert await docs.locator(".code").count() == await docs.locator(".code > .copy").count() > 60
    commands = await docs.locator("pre").filter(has_text=re.compile(r"^curl ")).count()
    assert commands == await docs.locator(".code pre[data-language=curl]").count()


async def test_a_language_is_chosen_for_all_routes_and_kept(docs: Page) -> None:
    def shown(anchor: str) -> Locator:
        return docs.locator(f"#{anchor} > .code").get_by_role("tabpanel")

    for anchor in ("process_image", "list_tasks", "CropForm"):
        await expect(shown(anchor)).to_have_accessible_name("curl")
    tabs = docs.locator("#list_tasks .code")
    await tabs.get_by_role("tab", name="curl").focus()
    await docs.keyboard.press("ArrowRight")
    await expect(tabs.get_by_role("tab", name="Python")).to_be_focused()
    for language in ("Python", "JavaScript"):
        await tabs.get_by_role("tab", name=language).click()
        for anchor in ("process_image", "list_tasks", "CropForm"):
            await expect(shown(anchor)).to_have_count(1)
            await expect(shown(anchor)).to_have_accessible_name(language)
        await expect(docs.locator(f'[data-language="{language}"][aria-selected="true"]')).to_have_count(
            await docs.locator(".code").count()
        )
    await docs.reload()
    await expect(shown("CropForm")).to_have_accessible_name("JavaScript")
    await expect(tabs.get_by_role("tab", name="JavaScript")).to_have_attribute("aria-selected", "true")


async def test_choosing_a_language_leaves_the_tab_where_it_is(docs: Page) -> None:
    moved = await docs.locator("#livez").evaluate(
        """async (section) => {
            const frames = async () => {  // a section gets its real height when it comes near
                for (let count = 0; count < 3; count += 1) await new Promise(requestAnimationFrame);
            };
            section.scrollIntoView({block: "center"});
            await frames();
            const tab = section.querySelector('[role="tab"][data-language="JavaScript"]');
            const before = tab.getBoundingClientRect().top;
            tab.click();
            await frames();
            return tab.getBoundingClientRect().top - before;
        }"""
    )
    assert abs(moved) < 2


async def test_an_operation_is_tried_in_the_studio(docs: Page) -> None:
    section = docs.locator("#CropForm")
    await section.scroll_into_view_if_needed()
    for image in (section.get_by_alt_text("Before"), section.get_by_alt_text("After crop")):
        await expect(image).to_be_visible()
        await docs.wait_for_function(
            "image => image.complete && image.naturalWidth > 0", arg=await image.element_handle()
        )
    await section.get_by_role("link", name="Try in the studio").click()
    studio = Studio(docs)
    await expect(studio.steps).to_have_count(1)
    await expect(studio.steps.locator(".title b")).to_have_text(re.compile("crop", re.IGNORECASE))
    await expect(studio.steps.get_by_label("Aspect ratio", exact=True)).to_have_value("16:9")


async def test_all_links_to_the_studio_can_be_used(docs: Page, api: Client) -> None:
    links = await docs.get_by_role("link", name="Try in the studio").evaluate_all(
        "links => links.map(link => link.href)"
    )
    assert len(links) == len((await api.get("/operations")).json()["operations"])
    for link in links[:3] + links[-1:]:
        await docs.goto("about:blank")
        await docs.goto(link)
        await expect(Studio(docs).steps).to_have_count(1)


async def test_without_scripts_all_is_there(browser: Browser, api: Client) -> None:
    context = await browser.new_context(base_url=str(api.base_url), java_script_enabled=False)
    page = await context.new_page()
    await page.goto("/docs")
    await expect(page.get_by_role("button", name="Search")).to_be_hidden()
    await expect(page.locator("#list_tasks .code pre")).to_have_count(3)
    for code in await page.locator("#list_tasks .code pre").all():
        await expect(code).to_be_visible()
    await expect(contents(page).get_by_role("link", name="crop", exact=True)).to_be_visible()
    await context.close()


async def test_without_scripts_the_contents_are_folded_on_a_phone(browser: Browser, api: Client) -> None:
    viewport = {"width": PHONE_PX[0], "height": PHONE_PX[1]}
    context = await browser.new_context(
        base_url=str(api.base_url),
        java_script_enabled=False,
        viewport=viewport,  # type: ignore[arg-type]
    )
    page = await context.new_page()
    await page.goto("/docs")
    await expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    await expect(contents(page)).to_be_hidden()
    await page.get_by_role("link", name="Contents", exact=True).click()
    await contents(page).get_by_role("link", name="crop", exact=True).click()
    await expect(contents(page)).to_be_hidden()
    await expect(page.get_by_role("heading", name="crop", exact=True)).to_be_in_viewport()
    await context.close()


async def test_little_is_loaded_before_the_first_paint(page: Page) -> None:
    """A budget in bytes, because times depend on the machine."""
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.update({answer.url: int(answer.headers.get("content-length", "0"))}))
    await page.goto("/docs")
    assert 0 < sizes[page.url] < MAX_PAGE_BYTES
    blocking = await page.locator("head link[rel=stylesheet], head script:not([type=module])").evaluate_all(
        "all => all.map(each => each.href ?? each.src)"
    )
    assert [url.rpartition("/")[2] for url in blocking] == ["early.js", "base.css", "docs.css"]
    assert 0 < sum(sizes[url] for url in blocking) < MAX_BLOCKING_BYTES
    assert not [url for url in sizes if url.endswith(".webp")], "pictures that nobody sees yet"


@pytest.mark.parametrize("width", [1440, 360])
async def test_a_reload_stays_at_the_section_of_the_address(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto("/docs#error-timeout")
    await expect(page.locator("#error-timeout")).to_be_in_viewport()
    await page.reload()
    await expect(page.locator("#error-timeout")).to_be_in_viewport()
