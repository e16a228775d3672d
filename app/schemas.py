"""JSON Schemas of what clients write: from the types that read it, without the null that only answers have."""

from typing import Any

import msgspec

from worker.operations.base import Operation

Schema = dict[str, Any]
"""JSON Schema 2020-12, which is OpenAPI 3.1's too."""


def takes_overlay(kind: type[Operation]) -> bool:
    """Tell whether an operation can make something of a second picture."""
    return kind.uses_overlay is not Operation.uses_overlay


def parameters(kind: type[msgspec.Struct]) -> dict[str, Schema]:
    """Return each field's JSON Schema by its name, with every reference resolved."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    properties: Schema = components[schema["$ref"]]["properties"]
    return {name: _resolved(field, components) for name, field in properties.items() if name != "operation"}


def _resolved(schema: Schema, components: Schema) -> Schema:
    """Put a referenced component in the place of its reference, and leave out the null that only JSON could send."""
    if "anyOf" in schema:
        [chosen] = [option for option in schema["anyOf"] if option != {"type": "null"}]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _resolved({**rest, **chosen}, components)
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**components[schema["$ref"]], **rest}
    if "allOf" in schema:
        [chosen] = schema["allOf"]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        return _resolved({**rest, **chosen}, components)
    if "items" in schema:
        return {**schema, "items": _resolved(schema["items"], components)}
    return schema
