"""The reference page, as HTML."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from app.http.problem_types import PROBLEM_TYPES
from app.http.problems import type_uri
from tests.app.openapi.test_openapi import COMPONENTS, described
from tests.conftest import Client
from worker.operations import OPERATIONS


@pytest.mark.parametrize(
    ("section", "name", "words"),
    [
        ("retry_tasks", "status", "query, required"),
        ("list_tasks", "status", "query"),
        ("list_tasks", "operation", "query"),
        ("continue_upload", "Upload-Offset", "header, required"),
        ("AutocontrastForm", "cutoff", "number, ≥ 0, < 50, default 0"),
        ("AutocontrastForm", "preserve_tone", "boolean or 0, 1, default false"),
        ("process_image", "priority", "high, low, normal, default normal"),
    ],
)
async def test_docs_show_what_is_required_and_the_defaults_and_bounds(
    api: Client, section: str, name: str, words: str
) -> None:
    page = (await shown(api)).partition(f'id="{section}"')[2]
    row = page.partition(f'<th scope="row"><code>{name}</code></th>')[2].partition("</tr>")[0]
    assert words in [unescape(re.sub("<[^>]+>", "", cell)) for cell in row.split("</td>")]


async def shown(api: Client) -> str:
    answer = await api.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


class Page(HTMLParser):
    """The anchors of a page, and all that it links to or loads; each element must be closed in order."""

    VOID = ("meta", "link", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                assert value not in self.anchors, "two of one name"
                self.anchors.add(value or "")
            if name in ("href", "src", "action"):
                self.links.add(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def test_docs_is_one_page_without_anything_from_elsewhere(api: Client) -> None:
    text = await shown(api)
    page = Page(text)
    for link in page.links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) == ("", ""), link
        if parts.path in ("", "/docs"):
            assert not parts.fragment or parts.fragment in page.anchors, link
        else:
            assert (await api.get(parts.path)).status_code == 200, link
    for name, operation in described():
        assert operation["operationId"] in page.anchors, name
    assert {f"{kind.__name__}Form" for kind in OPERATIONS.values()} <= page.anchors
    assert "style=" not in text
    assert "<script>" not in text


async def test_every_problem_type_is_described_and_its_uri_leads_there(api: Client) -> None:
    anchors = Page(await shown(api)).anchors
    for kind in PROBLEM_TYPES:
        path, _, anchor = type_uri(kind).partition("#")
        assert (path, anchor in anchors) == ("/docs", True)
        assert COMPONENTS["examples"][anchor]["value"]["type"] == type_uri(kind)
    told = {name for _, operation in described() for name in re.findall(r"/docs#([a-z-]+)", str(operation))}
    assert set(COMPONENTS["examples"]) - told == {"client-disconnect"}, "an error that no route gives"
