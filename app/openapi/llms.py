"""The description of the API for language models (https://llmstxt.org), from the OpenAPI document."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.openapi.postman.collection import FORM, SHOWN_FORM
from app.openapi.schemas import FILE, Schema

NOTES = """
A task is PENDING, then STARTED, then SUCCESS, FAILURE or REVOKED. `Prefer: wait=N` waits up to N seconds (60 at most)
for its end, so there is no need to poll. An unknown field or a value out of bounds is 422, and the response lists all
of them. After 429 or 503, wait for the seconds in `Retry-After`. An upload with `Idempotency-Key: <UUID>` can be
repeated safely.
""".strip()


def llms_text(document: Mapping[str, Any], address: str) -> str:
    """Return the text, in Markdown, for an API with the base URL `address`."""
    info = document["info"]
    parts = [
        f"# {info['title']}",
        f"> {info['summary']}. {info['description']}",
        *_steps(document, address),
        *_sections(document, address),
    ]
    return "\n\n".join(parts) + "\n"


def _steps(document: Mapping[str, Any], address: str) -> Iterator[str]:
    """Yield the three steps with their commands."""
    content = document["paths"]["/process-image/"]["post"]["requestBody"]["content"][FORM]
    examples = content["examples"]
    example = examples.get(SHOWN_FORM, next(iter(examples.values())))["value"]
    fields = " ".join(f"-F {shlex.quote(f'{name}={value}')}" for name, value in example.items() if value != FILE)
    curl = "curl -sS"
    if document["paths"]["/tasks"]["get"]["security"]:
        curl += ' -H "Authorization: Bearer $KEY"'
        yield "This server requires an API key, here in the variable `KEY`, for everything but its documentation."
    steps = {
        "Upload an image with the fields of an operation, and get the id of a task at once:": (
            f"TASK=$({curl} -F file=@{FILE} {fields} {address}/process-image/ | grep -oE '[0-9a-f-]{{36}}')"
        ),
        "Watch the task:": f"{curl} -H 'Prefer: wait=60' {address}/task-status/$TASK",
        "Fetch the result:": f"{curl} --fail -H 'Accept: image/*' -o result {address}/task-result/$TASK",
    }
    yield from (f"{number}. {text}\n\n```sh\n{command}\n```" for number, (text, command) in enumerate(steps.items(), 1))
    yield NOTES


def _sections(document: Mapping[str, Any], address: str) -> Iterator[str]:
    """Yield a section for the documentation, the operations and fields of the form, and the routes of each tag."""
    routes: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            [tag] = route["tags"]
            url = f"{address}{path}" if tag == "Documentation" else f"{address}/docs#{route['operationId']}"
            routes[tag].append(_link(f"{method.upper()} {path}", url, f"{route['summary']}."))
    yield _section("Documentation", routes.pop("Documentation"))
    forms = {name: schema for name, schema in document["components"]["schemas"].items() if name.endswith("Form")}
    yield _section("Operations", (_form(name, schema, address) for name, schema in forms.items()))
    fields = {"file and task": "PictureFields", "output": "OutputFields"}
    yield _section(
        "Fields of all operations",
        (
            _link(name, f"{address}/docs#process_image", _fields(document["components"]["schemas"][schema]))
            for name, schema in fields.items()
        ),
    )
    for tag, links in routes.items():
        yield _section(f"Routes: {tag}", links)


def _section(heading: str, links: Iterable[str]) -> str:
    return f"## {heading}\n\n" + "\n".join(links)


def _link(name: str, url: str, text: str) -> str:
    return f"- [{name}]({url}): {' '.join(text.split())}"


def _form(name: str, schema: Schema, address: str) -> str:
    """Return the link to an operation or another kind of form, with its own fields."""
    operation = schema["properties"].get("operation", {}).get("const", name.removesuffix("Form").lower())
    return _link(operation, f"{address}/docs#{name}", f"{schema['description']} {_fields(schema)}")


def _fields(schema: Schema) -> str:
    """Return the fields of a form, without those of all forms."""
    own = {name: field for name, field in schema["properties"].items() if "$ref" not in field and "const" not in field}
    required = schema.get("required", ())
    texts = (f"`{name}` ({_values(field, is_required=name in required)})" for name, field in own.items())
    return f"Fields: {', '.join(texts)}." if own else "No fields."


def _values(schema: Schema, *, is_required: bool) -> str:
    """Return the type, the bounds and the default of a field."""
    kind = schema.get("anyOf", [schema])[0]  # booleans may also be 1 or 0
    match kind:
        case {"enum": values}:
            text = "|".join(map(str, values))
        case {"format": "binary"}:
            text = "file"
        case {"contentMediaType": _}:
            text = "JSON"
        case _:
            text = kind.get("format", kind["type"]) + _bounds(kind)
    if is_required:
        return f"{text}, required"
    return f"{text}, default {_plain(schema['default'])}" if "default" in schema else text


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is None and most is None:
        return ""
    above = ">" if "exclusiveMinimum" in schema else ""
    return f" {above}{'' if least is None else _plain(least)}..{'' if most is None else _plain(most)}"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
