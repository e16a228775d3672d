"""JSON Schemas as HTML: tables of fields, and values in a few words."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.openapi.field_texts import written
from app.openapi.markup import Html, join_html, line, tag
from app.openapi.schemas import Schema


def fields_table(schema: Schema) -> Html:
    """Return a table of the fields of an object."""
    required = schema.get("required", ())
    return _table(
        (name, "required" if name in required else "", values(about), line(_description(about)))
        for name, about in schema["properties"].items()
    )


def _description(schema: Schema) -> str:
    """Return the description of a schema; for a value or null, it is in one of the alternatives."""
    found = (each.get("description") for each in (schema, *schema.get("anyOf", ())))
    return next(filter(None, found), "")


def own_fields(schema: Schema) -> Schema:
    """Return the schema of a form without the fields that all forms have."""
    own = {field: about for field, about in schema["properties"].items() if "$ref" not in about}
    return {"properties": own, "required": schema["required"]}


def parameters_table(parameters: Iterable[Mapping[str, Any]]) -> Html:
    """Return a table of the parameters of a route: where each is sent, its values and its meaning."""
    return _table(
        (each["name"], _place(each), values(each["schema"]), line(each.get("description") or "")) for each in parameters
    )


def _place(parameter: Mapping[str, Any]) -> str:
    """Say where a parameter is sent, and whether it is required; those of paths are always."""
    is_marked = parameter.get("required") and parameter["in"] != "path"
    return f"{parameter['in']}, required" if is_marked else str(parameter["in"])


def _table(rows: Iterable[tuple[str, str, Html, Html]]) -> Html:
    lines = [
        tag("tr", tag("th", tag("code", name), scope="row"), tag("td", place), tag("td", admitted), tag("td", text))
        for name, place, admitted, text in rows
    ]
    return tag("div", tag("table", tag("tbody", *lines)), class_="wide", tabindex="0") if lines else tag("p", "None.")


def values(schema: Schema) -> Html:
    """Describe the values that a schema allows, and the default, in a few words."""
    return join_html(_kind(schema), *(f", {limit}" for limit in _bounds(schema)))


def _kind(schema: Schema) -> Html:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return tag("a", name, href=f"#schema-{name}")
    if "anyOf" in schema:
        first, *others = map(values, schema["anyOf"])
        return join_html(first, *(join_html(" or ", other) for other in others))
    if "enum" in schema or "const" in schema:
        return join_html(", ".join(map(str, schema.get("enum", [schema.get("const")]))))
    if "contentSchema" in schema:
        return join_html("JSON: ", values(schema["contentSchema"]))
    if schema.get("type") == "array":
        return join_html("list of ", values(schema["items"]))
    return join_html(schema.get("format") or schema.get("type", "any"))


_BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
    "maxLength": "up to {} characters",
    "default": "default {}",
}


def _bounds(schema: Schema) -> list[str]:
    return [words.format(written(schema[key])) for key, words in _BOUNDS.items() if schema.get(key) is not None]
