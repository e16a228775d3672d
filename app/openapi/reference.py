"""The reference page `/docs`, as HTML generated from the OpenAPI document; all text is escaped."""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

import msgspec

from app.http.description import JSON
from app.http.responses import html_page
from app.openapi.schemas import FILE, Schema


class Html(str):
    """Markup that is already escaped."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Return an element; the attribute `class_` becomes `class`."""
    attribute_text = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{attribute_text}>{join_html(*children)}</{name}>")


def join_html(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def prose(text: str) -> Html:
    """Convert the text of a docstring to HTML: its paragraphs and its `code`."""
    return join_html(*(tag("p", line(paragraph)) for paragraph in text.split("\n\n") if paragraph))


def line(text: str) -> Html:
    """Convert one paragraph with its `code`."""
    parts = re.split(r"`([^`]+)`", text)
    return join_html(*(tag("code", part) if number % 2 else part for number, part in enumerate(parts)))


_FRAME = html_page("docs/docs.html", "/docs")
_PLACE = '<main class="page docs" id="main"></main>'

_FORM = "multipart/form-data"
_ORIGIN = "http://127.0.0.1:8000"


def page(document: Mapping[str, Any]) -> str:
    """Return the page, with an anchor for each operation, form, problem type and schema."""
    before, _, after = _FRAME.partition(_PLACE)
    parts = (_beginning(document), _contents(document), *_sections(document))
    return before + tag("main", *parts, class_="page docs", id="main") + after


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
            ".",
        ),
    )


def _contents(document: Mapping[str, Any]) -> Html:
    groups = [
        tag("div", tag("h2", name), tag("ul", *(tag("li", _link(each)) for each in _operations(document, name))))
        for name in (each["name"] for each in document["tags"])
    ]
    rest = [("problems", "Problem types"), ("schemas", "Schemas"), ("taskEnded", "Webhooks")]
    links = tag("div", tag("h2", "More"), tag("ul", *(tag("li", tag("a", text, href=f"#{at}")) for at, text in rest)))
    return tag("nav", *groups, links, class_="panel contents", aria_label="Contents")


Operation = tuple[str, str, Mapping[str, Any]]
"""Path, method and description of an operation."""


def _operations(document: Mapping[str, Any], name: str) -> list[Operation]:
    return [
        (path, method, operation)
        for path, by_method in document["paths"].items()
        for method, operation in by_method.items()
        if name in operation["tags"]
    ]


def _link(operation: Operation) -> Html:
    path, method, about = operation
    return tag("a", tag("code", f"{method.upper()} {path}"), href=f"#{about['operationId']}")


def _sections(document: Mapping[str, Any]) -> Iterator[Html]:
    for each in document["tags"]:
        for operation in _operations(document, each["name"]):
            yield _operation(document, operation)
    yield _operation(document, ("the task's callback_url", "post", document["webhooks"]["task-ended"]["post"]))
    examples = document["components"]["examples"]
    yield tag("section", tag("h2", "Problem types"), *(_problem(*each) for each in examples.items()), id="problems")
    schemas = document["components"]["schemas"]
    shown = (_schema_section(name, schema) for name, schema in sorted(schemas.items()) if not name.endswith("Form"))
    yield tag("section", tag("h2", "Schemas"), *shown, id="schemas")


def _operation(document: Mapping[str, Any], operation: Operation) -> Html:
    path, method, about = operation
    content = about.get("requestBody", {}).get("content", {})
    return tag(
        "section",
        tag("h2", tag("code", f"{method.upper()} {path}")),
        tag("p", line(about["summary"] + "."), class_="summary"),
        prose(about.get("description", "")),
        *([tag("pre", _curl(operation))] if path.startswith("/") else []),
        _parameters(about["parameters"]),
        *([_form(document, content[_FORM])] if _FORM in content and JSON not in content else []),
        *([_body(content[JSON])] if JSON in content else []),
        tag("h3", "Answers"),
        *(_answer(status, response) for status, response in about["responses"].items()),
        id=about["operationId"],
        class_="operation",
    )


def _curl(operation: Operation) -> str:
    """Return a curl command for the operation."""
    path, method, about = operation
    options = "" if method == "get" else f"-X {method.upper()} "
    if _FORM in about.get("requestBody", {}).get("content", {}):
        options = f"-F file=@{FILE} -F operation=grayscale " if about["requestBody"].get("required") else options
    if about["security"]:
        options += "-H 'Authorization: Bearer <key>' "
    return f"curl {options}{_ORIGIN}{path.replace('{', '<').replace('}', '>')}"


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> Html:
    rows = [
        (each["name"], each["in"], _values(each["schema"]), line(each.get("description") or "")) for each in parameters
    ]
    return join_html(tag("h3", "Parameters"), _table(rows)) if rows else Html()


def _form(document: Mapping[str, Any], content: Mapping[str, Any]) -> Html:
    schemas, examples = document["components"]["schemas"], content["examples"]
    names = [reference["$ref"].rpartition("/")[2] for reference in content["schema"]["anyOf"]]
    return join_html(
        tag("h3", "Fields of every form"),
        _fields(schemas["PictureFields"]),
        tag("h3", "Format of the result"),
        _fields(schemas["OutputFields"]),
        tag("h3", "Operations, of which one is required"),
        *(_kind_of_form(name, schemas[name]) for name in names),
        tag("h3", "Examples"),
        tag("pre", "\n".join(_command(each["value"]) for each in examples.values())),
    )


def _kind_of_form(name: str, schema: Schema) -> Html:
    own = {field: about for field, about in schema["properties"].items() if "$ref" not in about}
    first, about = next(iter(own.items()))
    title = f"{first}={about['const']}" if "const" in about else first
    return tag(
        "details",
        tag("summary", tag("code", title), " ", line(schema["description"])),
        _fields({"properties": own, "required": schema["required"]}),
        id=name,
    )


def _command(form: Mapping[str, Any]) -> str:
    fields = " ".join(
        f"-F {name}={_quote(f'@{value}' if value == FILE else str(value))}" for name, value in form.items()
    )
    return f"curl {fields} {_ORIGIN}/process-image/"


def _quote(text: str) -> str:
    return text if re.fullmatch(r"[\w@.,:/-]+", text) else f"'{text}'"


def _body(content: Mapping[str, Any]) -> Html:
    return join_html(tag("h3", "Body"), tag("p", _values(content["schema"])), _json(content["example"]))


def _answer(status: str, response: Mapping[str, Any]) -> Html:
    contents = response.get("content", {})
    headers = [name for name, header in response.get("headers", {}).items() if "$ref" not in header]
    facts = [f"Headers: {', '.join(headers)}."] if headers else []
    examples = [
        (name, example) for content in contents.values() for name, example in content.get("examples", {}).items()
    ]
    return tag(
        "details",
        tag("summary", tag("code", status), " ", line(response["description"])),
        *(
            tag("p", tag("code", media_type), " ", _values(content.get("schema", {})))
            for media_type, content in contents.items()
        ),
        *(tag("p", fact) for fact in facts),
        *(_example(name, example) for name, example in examples),
    )


def _example(name: str, example: Mapping[str, Any]) -> Html:
    if "$ref" in example:
        return tag("p", "Type: ", tag("a", name, href=f"#{name}"))
    value = example["value"]
    return join_html(tag("p", f"{name}:"), tag("pre", value) if isinstance(value, str) else _json(value))


def _problem(name: str, example: Mapping[str, Any]) -> Html:
    return tag(
        "article",
        tag("h3", tag("code", f"{example['value']['status']} {name}")),
        prose(example["summary"]),
        _json(example["value"]),
        id=name,
    )


def _schema_section(name: str, schema: Schema) -> Html:
    about = prose(schema.get("description", ""))
    inside = _fields(schema) if "properties" in schema else tag("p", _values(schema))
    return tag("article", tag("h3", name), about, inside, id=f"schema-{name}")


def _fields(schema: Schema) -> Html:
    required = schema.get("required", ())
    return _table(
        (name, "required" if name in required else "", _values(about), line(about.get("description", "")))
        for name, about in schema["properties"].items()
    )


def _table(rows: Iterable[tuple[str, str, Html, Html]]) -> Html:
    lines = [
        tag("tr", tag("th", tag("code", name), scope="row"), tag("td", place), tag("td", admitted), tag("td", text))
        for name, place, admitted, text in rows
    ]
    return tag("div", tag("table", tag("tbody", *lines)), class_="wide") if lines else tag("p", "None.")


def _values(schema: Schema) -> Html:
    """Describe the values that a schema allows in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return tag("a", name, href=f"#schema-{name}")
    if "anyOf" in schema:
        first, *others = [_values(each) for each in schema["anyOf"]]
        return join_html(first, *(join_html(" or ", other) for other in others))
    if "enum" in schema or "const" in schema:
        return join_html(", ".join(map(str, schema.get("enum", [schema.get("const")]))))
    if "contentSchema" in schema:
        return join_html("JSON: ", _values(schema["contentSchema"]))
    if schema.get("type") == "array":
        return join_html("list of ", _values(schema["items"]))
    return join_html(", ".join((schema.get("format") or schema.get("type", "any"), *_bounds(schema))))


_BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "maxLength": "up to {} characters",
    "default": "default {}",
}


def _bounds(schema: Schema) -> list[str]:
    limits = []
    for key, words in _BOUNDS.items():
        if schema.get(key) is not None:
            value = schema[key]
            limits.append(words.format(msgspec.json.encode(value).decode() if isinstance(value, bool) else value))
    return limits


def _json(value: Any) -> Html:
    return tag("pre", msgspec.json.format(msgspec.json.encode(value)).decode())
