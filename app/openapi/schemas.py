"""JSON Schemas of what clients write: from the types that read it, without the null that only answers have."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.api_settings import Settings
from app.http.description import NOTHING
from app.tasks.presets import Presets
from worker.imaging.parsing import MAX_VARIANTS, VARIANT_NAME
from worker.imaging.plan import Output
from worker.operations import OPERATIONS
from worker.operations.base import Operation
from worker.outbound.client import MAX_URL_LENGTH

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


FILE = "photo.jpg"
"""Stands for a file's bytes in examples."""

_PIPELINE = [{"operation": "resize", "width": 800}, {"operation": "sharpen"}]

_VARIANTS = {
    "thumb": {"operations": [{"operation": "resize", "width": 200, "height": 200, "fit": "cover"}], "format": "webp"},
    "large": {"format": "avif", "quality": 50},
}

_BINARY = {"type": "string", "format": "binary"}

_JSON = {"contentMediaType": "application/json"}

# No `format: uri`: what browsers show with spaces and umlauts is taken too.
_URL = {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://", "maxLength": MAX_URL_LENGTH}

PICTURE: dict[str, Schema] = {
    "file": {**_BINARY, "description": "The picture; its own bytes tell its format, whatever its name says."},
    "url": {**_URL, "description": "Where the worker fetches the picture, instead of `file`. Public addresses alone."},
    "callback_url": {
        **_URL,
        "description": "Where a webhook is sent when the task ends (Standard Webhooks). Needs `WEBHOOK_SECRETS`.",
    },
}
"""Fields of every form."""

OVERLAY: dict[str, Schema] = {
    "overlay": {**_BINARY, "description": "A second picture, for watermark to lay over the first."}
}


def form_components(settings: Settings, presets: Presets) -> dict[str, Schema]:
    """Return the schemas that the form is made of, by name."""
    output = parameters(Output)
    shared = {
        "PictureFields": _object(PICTURE),
        "OutputFields": _object({name: _as_field(schema) for name, schema in output.items()}),
    }
    components = {**shared, **_json_components(output, settings.max_operations)}
    if not settings.only_presets:
        components |= {_form_name(kind): _operation_form(name, kind) for name, kind in OPERATIONS.items()}
        components["PipelineForm"] = _form(
            "Several operations in a row.",
            {"operations": _json("Pipeline", "The operations, in order; none at all only converts."), **OVERLAY},
            _referred("OutputFields", output),
        )
        components["VariantsForm"] = _form(
            "Several results of one picture, which is decoded once.",
            {"variants": _json("Variants", "Name -> operations and form of a result."), **OVERLAY},
        )
    if presets.by_name:
        preset = {"enum": list(presets.by_name), "description": "What the server's own presets say."}
        components["PresetForm"] = _form("What a preset asks for.", {"preset": preset, **OVERLAY})
    return components


def form_schema(components: Mapping[str, Schema]) -> Schema:
    """Return the schema of the form, which is one of those among the components.

    The files are named here once more: tools that send forms look no further for them.
    """
    forms = [_reference(name) for name in components if name.endswith("Form")]
    return {**_object({**_referred("PictureFields", PICTURE), **OVERLAY}), "anyOf": forms}


def form_examples(settings: Settings, presets: Presets) -> dict[str, Any]:
    """Return a form for everything that can be asked for, by name; the bytes of a file are left to imagine."""
    forms: dict[str, Any] = {}
    if not settings.only_presets:
        for name, kind in OPERATIONS.items():
            forms[name] = {"operation": name, **{field: _text(value) for field, value in kind.example.items()}}
        forms["several operations"] = {"operations": _encoded(_PIPELINE), "max_bytes": 60_000}
        forms["several results"] = {"variants": _encoded(_VARIANTS)}
        forms["another format"] = {"operations": "[]", "format": "webp", "quality": 75}
    forms |= {f"preset {name}": {"preset": name} for name in presets.by_name}
    return {name: {"value": {"file": FILE, **form}} for name, form in forms.items()}


def _operation_form(name: str, kind: type[Operation]) -> Schema:
    own = {field: _as_field(schema) for field, schema in parameters(kind).items()}
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    overlay = OVERLAY if takes_overlay(kind) else {}
    output = {
        field: schema
        for field, schema in _referred("OutputFields", Output.__struct_fields__).items()
        if field not in own
    }
    return _form(_first_line(kind), {"operation": {"const": name}, **own, **overlay}, output, required)


def _form_name(kind: type[Operation]) -> str:
    return f"{kind.__name__}Form"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _form(
    description: str, own: Mapping[str, Schema], others: Mapping[str, Schema] = NOTHING, required: Sequence[str] = ()
) -> Schema:
    """Return the schema of a form that must have the first of `own` and those that are required."""
    return {
        "description": description,
        **_object({**own, **others, **_referred("PictureFields", PICTURE)}),
        "required": [next(iter(own)), *required],
        "oneOf": [{"required": ["file"]}, {"required": ["url"]}],
        "additionalProperties": False,
    }


def _json_components(output: Mapping[str, Schema], max_operations: int) -> dict[str, Schema]:
    """Return the schemas of what is written as JSON in fields."""
    # Answers show every parameter, and null for one that is not given; requests leave it out.
    given = {"$ref": "#/components/schemas/Step", "additionalProperties": {"not": {"type": "null"}}}
    variant = {"operations": _reference("Pipeline"), **output}
    return {
        "Pipeline": {"type": "array", "items": given, "maxItems": max_operations, "examples": [_PIPELINE]},
        "VariantWish": {**_object(variant), "additionalProperties": False},
        "Variants": {
            "type": "object",
            "propertyNames": {"pattern": f"^{VARIANT_NAME.pattern}$"},
            "additionalProperties": _reference("VariantWish"),
            "minProperties": 1,
            "maxProperties": MAX_VARIANTS,
            "examples": [_VARIANTS],
        },
    }


def _json(component: str, description: str) -> Schema:
    return {"type": "string", **_JSON, "contentSchema": _reference(component), "description": description}


def _as_field(schema: Schema) -> Schema:
    """Return the schema of a field of the form: lists come as JSON, truth also as 1 or 0."""
    description = {"description": schema["description"]} if "description" in schema else {}
    content = {key: value for key, value in schema.items() if key not in ("description", "default")}
    default = {"default": schema["default"]} if "default" in schema else {}
    match schema.get("type"):
        case "array":
            return {"type": "string", **_JSON, "contentSchema": content, **description}
        case "boolean":
            return {"anyOf": [content, {"enum": [0, 1]}], **default, **description}
    return schema


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties)}


def _referred(component: str, fields: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/schemas/{component}/properties/{name}"} for name in fields}


def _reference(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def _text(value: Any) -> Any:
    return _encoded(value) if isinstance(value, list) else value


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
