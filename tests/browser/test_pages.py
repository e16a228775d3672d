"""What holds of all pages."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Watch
from tests.browser.monitor import violations
from tests.conftest import Client

PAGES = ["/", "/monitor", "/docs"]
APP = Path(__file__).parents[2] / "app"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_from_here_alone_and_without_an_error(page: Page, path: str) -> None:
    """`watch` holds it at the end."""
    await page.goto(path)
    assert await page.get_by_role("link", name="Darkroom").is_visible()
    assert await page.locator("nav [aria-current=page]").count() == 1


@pytest.mark.parametrize("sheet", sorted((APP / "static").glob("[!v]*/*.css")), ids=lambda sheet: sheet.name)
async def test_every_class_of_a_style_sheet_is_used(sheet: Path) -> None:
    """Else a rule was left behind, or a class was renamed in the pages alone."""
    sources = [
        *(APP / "static").rglob("*.js"),
        *(APP / "static").glob("*/*.html"),
        *(APP / "openapi").glob("*.py"),
    ]
    words = set(re.findall(r"[\w-]+", " ".join(source.read_text() for source in sources)))
    selectors = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", sheet.read_text(), flags=re.DOTALL)
    classes = set(re.findall(r"\.([A-Za-z][\w-]*)", selectors))
    assert classes
    assert classes <= words


@pytest.mark.parametrize("path", PAGES)
async def test_first_paint_needs_under_100_kb(page: Page, path: str) -> None:
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", "0"))))
    await page.goto(path)
    assert 0 < sum(sizes) < 100_000


@pytest.mark.parametrize("path", [*PAGES, "/static/shared/base.css"])
async def test_pages_forbid_what_they_do_not_use(api: Client, path: str) -> None:
    answer = await api.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_theme_follows_the_system_until_somebody_chooses(
    browser: Browser, api: Client, watch: Watch, path: str, scheme: str
) -> None:
    context = await browser.new_context(base_url=str(api.base_url), color_scheme=scheme)  # type: ignore[arg-type]
    watch.over(context)
    page = await context.new_page()
    await page.goto(path)

    async def is_dark() -> bool:
        color = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(color.removeprefix("rgb(").split(",")[0]) < 128

    assert await is_dark() is (scheme == "dark")
    await page.get_by_role("button", name="Light or dark").click()
    assert await is_dark() is (scheme == "light")
    await page.reload()
    assert await is_dark() is (scheme == "light")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_of_the_api_has_nothing_in_anybodys_way(
    browser: Browser, api: Client, watch: Watch, scheme: str
) -> None:
    context = await browser.new_context(base_url=str(api.base_url), color_scheme=scheme)  # type: ignore[arg-type]
    watch.over(context)
    page = await context.new_page()
    await page.goto("/docs#queue-full")
    await expect(page.locator("#queue-full")).to_be_in_viewport()
    assert await violations(page) == []
    await page.set_viewport_size({"width": 360, "height": 700})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await context.close()


@pytest.mark.parametrize("path", PAGES)
async def test_files_of_a_page_are_cached_until_they_change(page: Page, api: Client, path: str) -> None:
    """Their paths contain a version; the page itself is asked for each time."""
    answers: dict[str, str] = {}
    page.on("response", lambda answer: answers.update({answer.url: answer.headers.get("cache-control", "")}))
    await page.goto(path)
    assert answers.pop(page.url) == "no-cache"
    own = {url: control for url, control in answers.items() if "/static/" in url and "vendor" not in url}
    assert len(own) > 3
    assert set(own.values()) == {"public, max-age=31536000, immutable"}
    for other in ("/static/0123456789ab/shared/base.css", "/static/shared/base.css"):
        answer = await api.get(other)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


async def test_modules_are_asked_for_at_once(api: Client) -> None:
    """Otherwise a browser finds them one import after the other, with a round trip for each level."""
    for path, entry in (("/", "studio/main.js"), ("/monitor", "monitor/main.js"), ("/docs", "docs/main.js")):
        html = (await api.get(path)).text
        asked = {name.split("/", 3)[3] for name in re.findall(r'(?:src|href)="(/static/[^"]+\.js)"', html)}
        needed, todo = set[str](), [entry]
        while todo:
            module = todo.pop()
            needed.add(module)
            source = (APP / "static" / module).read_text()
            for name in re.findall(r'^(?:import [^"]*|\} )from "([^"]+)"', source, re.MULTILINE):
                found = os.path.normpath(f"{Path(module).parent}/{name}")
                if found not in needed:
                    todo.append(found)
        assert needed <= asked


async def test_a_stored_theme_is_there_before_anything_is_painted(page: Page, api: Client) -> None:
    await page.goto("/")
    await page.evaluate("localStorage.setItem('darkroom-theme', 'dark')")
    await page.add_init_script(
        """new MutationObserver((_, observer) => {
            if (!document.body) return;
            window.themeAtBody = document.documentElement.dataset.theme;
            observer.disconnect();
        }).observe(document, {childList: true, subtree: true});"""
    )
    await page.goto("/monitor")
    assert await page.evaluate("themeAtBody") == "dark"
