"""JSON Schemas as plain text: the names of fields with their values, bounds and defaults."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.openapi.schemas import Schema
from app.tasks.presets import as_text


def fields_text(fields: Mapping[str, Schema], required: Iterable[str], components: Mapping[str, Schema]) -> str:
    """Return the fields with their values."""
    return ", ".join(
        field_text(name, schema, components, is_required=name in required) for name, schema in fields.items()
    )


def described_fields(fields: Mapping[str, Schema], components: Mapping[str, Schema]) -> str:
    """Return the fields with their values and meanings."""
    return " ".join(
        f"{field_text(name, schema, components)}: {schema['description']}" for name, schema in fields.items()
    )


def field_text(name: str, schema: Schema, components: Mapping[str, Schema], *, is_required: bool = False) -> str:
    """Return the name of a field, its values, whether it is required, and its default."""
    text = _values(schema.get("anyOf", [schema])[0], components)  # booleans may also be 1 or 0
    if is_required:
        text += ", required"
    elif schema.get("default", "") != "":
        text += f", default {written(schema['default'])}"
    return f"`{name}` ({text})"


def _values(schema: Schema, components: Mapping[str, Schema]) -> str:
    match schema:
        case {"enum": values}:
            return "|".join(map(str, values))
        case {"type": "array", "items": items}:
            return f"{_values(items, components)}, one or more"
        case {"contentSchema": content}:
            return "JSON" + _size(components[content["$ref"].rpartition("/")[2]] if "$ref" in content else content)
        case {"format": "binary"}:
            return "file"
        case {"format": "color"}:
            return "color"
        case {"type": "integer" | "number" as kind}:
            return str(kind) + _bounds(schema)
        case {"type": "string"}:
            return _string(schema)
    return str(schema["type"])


def _string(schema: Schema) -> str:
    text = str(schema.get("format", "string"))
    if "examples" in schema:
        return f"{text} such as {' or '.join(schema['examples'])}"
    return f"{text} of up to {schema['maxLength']} characters" if "maxLength" in schema else text


def _size(content: Schema) -> str:
    """Return the number of items of a list in JSON, or the number of names of an object and their form."""
    if content["type"] == "array":
        most = content.get("maxItems")
        return "" if most is None else f" list of {content.get('minItems', 0)}..{most}"
    names = content["propertyNames"]["pattern"]
    return f" object of {content['minProperties']}..{content['maxProperties']} names that match {names}"


def _bounds(schema: Schema) -> str:
    least, most = _bound(schema, "minimum", ">"), _bound(schema, "maximum", "<")
    return f" {least}..{most}" if least or most else ""


def _bound(schema: Schema, name: str, sign: str) -> str:
    """Return a bound, such as `5`, or `<5` if it is exclusive; an empty string if the schema has none."""
    exclusive = f"exclusive{name.capitalize()}"
    if exclusive in schema:
        return sign + written(schema[exclusive])
    return written(schema[name]) if name in schema else ""


def written(value: Any) -> str:
    """Return a value as requests contain it: `true`, `0` for 0.0, text unchanged."""
    return f"{value:g}" if isinstance(value, float) else as_text(value)
