"""The reference page `/docs`, as HTML generated from the OpenAPI document; all text is escaped."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.http.problems import error_code_uri
from app.http.responses import html_page
from app.openapi.markup import Html, join_html, json_block, prose, tag
from app.openapi.operation_sections import anchor_of, operation_sections, operations_of
from app.openapi.route_sections import method_and_path, route_section, routes_of, webhook_of
from app.openapi.schema_tables import fields_table, values
from app.openapi.schemas import Schema
from worker.errors import CAUSES, ErrorCode

_FRAME = html_page("docs/docs.html", "/docs")
_LINKS_PLACE, _TEXT_PLACE = "<!-- contents -->", "<!-- reference -->"


class Section(NamedTuple):
    """A part of the page with a heading and entries."""

    id: str
    title: str
    entries: list[Html]
    links: list[tuple[str, Html]]
    """Anchors and texts in the contents; without any, the contents link to the section."""


def page(document: Mapping[str, Any]) -> str:
    """Return the page, with an anchor for each route, image operation, problem type and schema.

    `ORIGIN` of `app.openapi.example_calls` stands for the base URL of the server.
    """
    sections = list(_sections(document))
    text = join_html(_beginning(document), *map(_section, sections))
    return _FRAME.replace(_LINKS_PLACE, join_html(*map(_links, sections))).replace(_TEXT_PLACE, text)


def _beginning(document: Mapping[str, Any]) -> Html:
    info = document["info"]
    return tag(
        "header",
        tag("h1", f"{info['title']} {info['version']}"),
        prose(info["description"]),
        tag(
            "p",
            "For programs: ",
            tag("a", "/openapi.json", href="/openapi.json"),
            " (OpenAPI 3.1). For Postman: import ",
            tag("a", "/postman.json", href="/postman.json"),
            ". For language models: ",
            tag("a", "/llms.txt", href="/llms.txt"),
            ".",
        ),
    )


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the sections in their order; to add one to the page, yield it here."""
    first, *others = (each["name"] for each in document["tags"])
    yield _routes(document, first)
    if names := operations_of(document):
        links = [(anchor_of(name), tag("code", name)) for name in names]
        yield Section("operations-of-images", "Operations", list(operation_sections(document)), links)
    for name in others:
        yield _routes(document, name)
    yield Section("webhooks", "Webhooks", [route_section(document, webhook_of(document))], [])
    problems = document["components"]["examples"]
    yield Section("problems", "Problem types", [_problem(*each) for each in problems.items()], [])
    yield Section("error-codes", "Error codes of tasks", list(map(_error_code, ErrorCode)), [])
    schemas = document["components"]["schemas"]
    shown = [_schema(name, schema) for name, schema in sorted(schemas.items()) if not name.endswith("Form")]
    yield Section("schemas", "Schemas", shown, [])


def _routes(document: Mapping[str, Any], name: str) -> Section:
    """Return the section of a tag."""
    routes = routes_of(document, name)
    return Section(
        f"routes-{name.lower()}",
        name,
        [route_section(document, route) for route in routes],
        [(route.about["operationId"], method_and_path(route)) for route in routes],
    )


def _section(section: Section) -> Html:
    return tag("section", tag("h2", section.title), *section.entries, id=section.id, class_="group")


def _links(section: Section) -> Html:
    title = tag("a", section.title, href=f"#{section.id}")
    inside = tag("ul", *(tag("li", tag("a", text, href=f"#{at}")) for at, text in section.links))
    return tag("li", title, *([inside] if section.links else []))


def _problem(name: str, example: Mapping[str, Any]) -> Html:
    return tag(
        "article",
        tag("h3", tag("code", f"{example['value']['status']} {name}")),
        prose(example["summary"]),
        json_block(example["value"]),
        id=name,
        data_kind="problem",
    )


def _error_code(code: ErrorCode) -> Html:
    cause = CAUSES[code]
    return tag(
        "article",
        tag("h3", tag("code", code)),
        prose(cause.meaning),
        tag("p", "A retry may help." if cause.retry_helps else "A retry of the same task does not help."),
        id=error_code_uri(code).partition("#")[2],
        data_kind="error-code",
    )


def _schema(name: str, schema: Schema) -> Html:
    about = prose(schema.get("description", ""))
    inside = fields_table(schema) if "properties" in schema else tag("p", values(schema))
    return tag("article", tag("h3", name), about, inside, id=f"schema-{name}", data_kind="schema")
