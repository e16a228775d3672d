"""The reference page `/docs`, as HTML generated from the OpenAPI document; all text is escaped."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.http.problems import error_code_uri
from app.http.responses import html_page
from app.openapi.code_examples import KEY, code_block
from app.openapi.example_calls import Route, call_of
from app.openapi.markup import Html, join_html, json_block, line, prose, tag
from app.openapi.operation_sections import anchor_of, operation_sections, operations_of
from app.openapi.route_sections import method_and_path, route_section, routes_of, webhook_of
from app.openapi.schema_tables import fields_table, values
from app.openapi.schemas import Schema
from worker.errors import CAUSES, ErrorCode

_FRAME = html_page("docs/docs.html", "/docs")
_LINKS_PLACE, _TEXT_PLACE = "<!-- contents -->", "<!-- reference -->"

_WITH_KEYS = (
    "This server requires an API key, which its operator creates with `python -m app.keys NAME`. Send it with each "
    "request in the header `Authorization: Bearer <key>` (RFC 6750). The examples on this page read it from the "
    f"environment variable `{KEY}`, in a shell `${KEY}`:"
)
_LIMITS_OF_KEYS = (
    "401 means that the key is missing or not valid. 403 (`admin-only`) means that the key is valid and lacks the "
    "admin right, which the queue, the workers, the statistics and the metrics require. A key sees only the tasks "
    "that were created with it; the others are 404.",
    "Keys are sent as plain text: use HTTPS. `SECURITY.md` says what is protected, and `app/README.md` how keys are "
    "configured.",
)
"""The text for a server with API keys, before and after the example."""

_WITHOUT_KEYS = (
    "This server has no API keys: requests need no authentication, and everyone who reaches the server has full "
    "access. It serves only its own machine, unless its operator has set `ALLOW_ANYONE`.",
    "Instead, `Host` must be `localhost`, a loopback address or one of `ALLOWED_HOSTS`, and changes requested by web "
    "pages of other origins (`Origin`, `Sec-Fetch-Site`) are refused unless `CORS_ORIGINS` lists the origin. Other "
    "requests get 403. `SECURITY.md` says what is protected.",
)
_HOW_TO_ADD_KEYS = (
    "An operator can require them: `python -m app.keys NAME` creates one, and the setting `API_KEYS` lists them (see "
    f"`app/README.md`). Requests then send `Authorization: Bearer ${KEY}`, and the examples on this page do so. "
    "Without a valid key they get 401; without the admin right, where it is required, 403."
)
"""The texts for a server without API keys."""


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
    yield Section("authentication", "Authentication", list(_authentication(document)), [])
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


def _authentication(document: Mapping[str, Any]) -> Iterator[Html]:
    """Yield how a server with API keys checks requests, or what one without keys checks instead."""
    tasks = Route("/tasks", "get", document["paths"]["/tasks"]["get"])
    if tasks.about["security"]:
        example = join_html(tag("pre", f"export {KEY}='<your API key>'"), code_block(call_of(tasks)))
        yield _guide("api-keys", "API keys", _WITH_KEYS, example, _public_paths(document), *_LIMITS_OF_KEYS)
    else:
        yield _guide("hosts-and-origins", "Hosts and origins", *_WITHOUT_KEYS)
        yield _guide("api-keys", "API keys", _HOW_TO_ADD_KEYS)


def _public_paths(document: Mapping[str, Any]) -> str:
    paths = [
        f"`{path}`"
        for path, by_method in document["paths"].items()
        if not any(about["security"] for about in by_method.values())
    ]
    return f"No key is needed for {', '.join(paths)} and signed links (`POST /tasks/{{task_id}}/link`)."


def _guide(anchor: str, title: str, *paragraphs: str) -> Html:
    """Return an explanation; a paragraph is text with its `code`, or markup."""
    shown = (each if isinstance(each, Html) else tag("p", line(each)) for each in paragraphs)
    return tag("article", tag("h3", title), *shown, id=anchor, data_kind="guide")


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
    return tag("section", tag("h2", section.title), *section.entries, id=section.id, class_="group", data_kind="group")


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
