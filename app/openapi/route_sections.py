"""The sections of `/docs` for routes: parameters, forms, an example in each language, and responses."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.http.description import JSON
from app.openapi.code_examples import code_block
from app.openapi.example_calls import FORM, Route, call_of, upload_call
from app.openapi.markup import Html, join_html, json_block, line, prose, tag
from app.openapi.schema_tables import fields_table, own_fields, parameters_table, values
from app.openapi.schemas import Schema
from worker.operations import OPERATIONS

OPERATION_FORMS = frozenset(f"{kind.__name__}Form" for kind in OPERATIONS.values())
"""Names of the forms of single operations, which have sections of their own."""

_EXAMPLE_OF = {
    "PipelineForm": "several operations",
    "VariantsForm": "several results",
    "ConvertForm": "another format",
    "PresetForm": "preset ",
}
"""Name of a form -> the beginning of the name of its example."""


def routes_of(document: Mapping[str, Any], name: str) -> list[Route]:
    """Return the routes of a tag."""
    return [
        Route(path, method, about)
        for path, by_method in document["paths"].items()
        for method, about in by_method.items()
        if name in about["tags"]
    ]


def webhook_of(document: Mapping[str, Any]) -> Route:
    return Route("the task's callback_url", "post", document["webhooks"]["task-ended"]["post"])


def method_and_path(route: Route) -> Html:
    method = tag("span", route.method.upper(), class_="method", data_method=route.method)
    return join_html(tag("code", method, " ", route.path))


def route_section(document: Mapping[str, Any], route: Route) -> Html:
    about = route.about
    content = about.get("requestBody", {}).get("content", {})
    is_ours = route.path.startswith("/")
    has_form = FORM in content and JSON not in content
    return tag(
        "section",
        tag("h3", method_and_path(route)),
        tag("p", line(about["summary"] + "."), class_="summary"),
        prose(about.get("description", "")),
        *([code_block(call_of(route))] if is_ours else []),
        *([tag("h4", "Parameters"), parameters_table(about["parameters"])] if about["parameters"] else []),
        *(_form(document, route, content[FORM]) if has_form else []),
        *(_body(content[JSON]) if JSON in content else []),
        tag("h4", "Responses"),
        *(_response(status, response) for status, response in about["responses"].items()),
        id=about["operationId"],
        class_="entry",
        data_kind="route" if is_ours else "webhook",
    )


def _form(document: Mapping[str, Any], route: Route, content: Mapping[str, Any]) -> Iterator[Html]:
    schemas = document["components"]["schemas"]
    names = [reference["$ref"].rpartition("/")[2] for reference in content["schema"]["anyOf"]]
    yield tag("h4", "Fields of every form")
    yield fields_table(schemas["PictureFields"])
    yield tag("h4", "Format of the result")
    yield fields_table(schemas["OutputFields"])
    yield tag("h4", "Operations: one of these is required")
    if OPERATION_FORMS & set(names):
        yield tag(
            "p", "One operation with its parameters: see ", tag("a", "Operations", href="#operations-of-images"), "."
        )
    for name in names:
        if name not in OPERATION_FORMS:
            yield _kind_of_form(route, name, schemas[name], content["examples"])


def _kind_of_form(route: Route, name: str, schema: Schema, examples: Mapping[str, Any]) -> Html:
    own = own_fields(schema)
    first = next(iter(own["properties"]))
    form = next(each["value"] for known, each in examples.items() if known.startswith(_EXAMPLE_OF[name]))
    return tag(
        "details",
        tag("summary", tag("code", first), " ", line(schema["description"])),
        fields_table(own),
        code_block(upload_call(route, form)),
        id=name,
    )


def _body(content: Mapping[str, Any]) -> Iterator[Html]:
    yield tag("h4", "Body")
    yield tag("p", values(content["schema"]))
    yield tag("div", json_block(content["example"]), class_="body-of-request")


def _response(status: str, response: Mapping[str, Any]) -> Html:
    contents = response.get("content", {})
    headers = [name for name, header in response.get("headers", {}).items() if "$ref" not in header]
    names = join_html(*(part for name in headers for part in (", ", tag("code", name, class_="header"))))
    examples = [
        (name, example) for content in contents.values() for name, example in content.get("examples", {}).items()
    ]
    return tag(
        "details",
        tag("summary", tag("code", status), " ", line(response["description"])),
        *(
            tag("p", tag("code", media_type), " ", values(content.get("schema", {})))
            for media_type, content in contents.items()
        ),
        *([tag("p", "Headers: ", Html(names.removeprefix(", ")), ".")] if headers else []),
        *(_example(name, example) for name, example in examples),
    )


def _example(name: str, example: Mapping[str, Any]) -> Html:
    if "$ref" in example:
        return tag("p", "Type: ", tag("a", name, href=f"#{name}"))
    value = example["value"]
    return join_html(tag("p", f"{name}:"), tag("pre", value) if isinstance(value, str) else json_block(value))
