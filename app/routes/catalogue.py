"""`GET /operations` and `GET /presets`: what can be asked for, from the operations' own definitions and by name."""

import inspect
from typing import Any

import msgspec
from starlette.responses import Response

from app.responses import json_response
from app.state import Request
from worker.imaging.plan import Output
from worker.operations import OPERATIONS
from worker.operations.base import Operation


async def operations(request: Request) -> Response:
    settings, presets = request.state["settings"], request.state["presets"]
    formats = [known.value for known in settings.input_formats]
    named = {"presets": list(presets.by_name), "only_presets": presets.is_only}
    return json_response({**CATALOGUE, "input": formats, **named})


async def presets(request: Request) -> Response:
    return json_response({"presets": request.state["presets"].view()})


def _catalogue() -> dict[str, Any]:
    return {
        "operations": [
            {
                "operation": name,
                "description": inspect.cleandoc(kind.__doc__ or ""),
                "parameters": _parameters(kind),
                "takes_overlay": kind.uses_overlay is not Operation.uses_overlay,
            }
            for name, kind in OPERATIONS.items()
        ],
        "output": _parameters(Output),
    }


def _parameters(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return each field's JSON Schema by its name, with every reference resolved."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    properties: dict[str, Any] = components[schema["$ref"]]["properties"]
    return {name: _resolved(field, components) for name, field in properties.items() if name != "operation"}


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
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


CATALOGUE = _catalogue()
"""Without the formats that are read and the presets, which are settings."""
