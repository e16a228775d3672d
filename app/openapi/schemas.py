"""JSON Schemas of forms and parameters, from the types that parse them, without the null of responses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.api_settings import Settings
from app.http.description import JSON, NOTHING
from app.tasks.presets import Presets
from worker.imaging.parsing import MAX_VARIANTS, VARIANT_NAME
from worker.imaging.plan import Output
from worker.operations import OPERATIONS
from worker.operations.base import Operation
from worker.outbound.client import MAX_URL_LENGTH
from worker.storage import MAX_STORE_PATH
from worker.tasks.schedule import Schedule

Schema = dict[str, Any]
"""A JSON Schema 2020-12, as OpenAPI 3.1 uses it."""


def takes_overlay(kind: type[Operation]) -> bool:
    """Return whether an operation can use a second image."""
    return kind.uses_overlay is not Operation.uses_overlay


def parameters(kind: type[msgspec.Struct]) -> dict[str, Schema]:
    """Return the JSON Schema of each field by name, with all references resolved, without the tag of a tagged union."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    properties: Schema = components[schema["$ref"]]["properties"]
    return {
        name: _resolve(field, components)
        for name, field in properties.items()
        if name != kind.__struct_config__.tag_field
    }


def _resolve(schema: Schema, components: Schema) -> Schema:
    """Replace a reference by its component, and remove null, which a form cannot send."""
    if "anyOf" in schema:
        [chosen] = [option for option in schema["anyOf"] if option != {"type": "null"}]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _resolve({**rest, **chosen}, components)
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**components[schema["$ref"]], **rest}
    if "allOf" in schema:
        [chosen] = schema["allOf"]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        return _resolve({**rest, **chosen}, components)
    if "items" in schema:
        return {**schema, "items": _resolve(schema["items"], components)}
    return schema


FILE = "photo.jpg"
"""File name that stands for the bytes of a file in examples."""

_PIPELINE = [{"operation": "resize", "width": 800}, {"operation": "sharpen"}]

_VARIANTS = {
    "thumb": {"operations": [{"operation": "resize", "width": 200, "height": 200, "fit": "cover"}], "format": "webp"},
    "large": {"format": "avif", "quality": 50},
}

_BINARY = {"type": "string", "format": "binary"}

_JSON = {"contentMediaType": "application/json"}

# No `format: uri`: URLs with spaces and non-ASCII letters are accepted as well.
_URL = {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://", "maxLength": MAX_URL_LENGTH}


def _as_field(schema: Schema) -> Schema:
    """Return the schema of a form field: lists are JSON, booleans may also be 1 or 0."""
    description = {"description": schema["description"]} if "description" in schema else {}
    content = {key: value for key, value in schema.items() if key not in ("description", "default")}
    default = {"default": schema["default"]} if "default" in schema else {}
    match schema.get("type"):
        case "array" if "pattern" in schema["items"]:
            return {"type": "string", "examples": schema["examples"], **description}
        case "array":
            return {"type": "string", **_JSON, "contentSchema": content, **description}
        case "boolean":
            return {"anyOf": [content, {"enum": [0, 1]}], **default, **description}
    return schema


_STORE_PATH = {"type": "string", "maxLength": MAX_STORE_PATH}

PICTURE: dict[str, Schema] = {
    "file": {**_BINARY, "description": "The image. Its format is detected from its content, not from its name."},
    "url": {
        **_URL,
        "description": "URL of the image, which the worker fetches, instead of `file`. Only public addresses.",
    },
    "source": {
        **_STORE_PATH,
        "description": "Instead of `file`: the id of an earlier task whose upload is still in storage, or the name of "
        "a delivery store and the path of the image in it.",
    },
    "output_url": {
        "type": "string",
        "description": "URL to which the result is sent with PUT when it is ready, such as a presigned URL of an "
        "object store; for variants, a JSON object that maps their names to URLs. Only public addresses.",
    },
    "output_prefix": {
        **_STORE_PATH,
        "description": "Name of a delivery store and the directory in it to which the results are copied. Requires "
        "`DELIVERY_STORES`.",
    },
    "callback_url": {
        **_URL,
        "description": "URL that gets a webhook when the task ends (Standard Webhooks). Requires `WEBHOOK_SECRETS`.",
    },
    **{name: _as_field(schema) for name, schema in parameters(Schedule).items()},
}
"""Fields of every form."""

IMAGES = ("file", "url", "source")
"""Fields that give the image, of which a form has one."""

OVERLAY: dict[str, Schema] = {
    "overlay": {**_BINARY, "description": "A second image, which `watermark` places over the first."}
}


def form_components(settings: Settings, presets: Presets) -> dict[str, Schema]:
    """Return the schemas of the form by name."""
    output = parameters(Output)
    shared = {
        "PictureFields": _object(PICTURE),
        "OutputFields": _object({name: _as_field(schema) for name, schema in output.items()}),
    }
    components = {**shared, **_json_components(output, settings.max_operations)}
    if not settings.only_presets:
        components |= {_form_name(kind): _operation_form(name, kind) for name, kind in OPERATIONS.items()}
        components["PipelineForm"] = _form(
            "A pipeline of operations.",
            {
                "operations": _json("Pipeline", "The operations in order; an empty list only converts the format."),
                **OVERLAY,
            },
            _references("OutputFields", output),
        )
        components["ConvertForm"] = _form(
            "Convert the image to another format.",
            {"format": output["format"]},
            _references("OutputFields", set(output) - {"format"}),
        )
        components["VariantsForm"] = _form(
            "Several results of one image, which is decoded once.",
            {
                "variants": _json(
                    "Variants", "The operations and the output of each result, by the name of the variant."
                ),
                **OVERLAY,
            },
        )
    if presets.by_name:
        preset = {"enum": list(presets.by_name), "description": "A preset of the server."}
        components["PresetForm"] = _form("The name of the preset.", {"preset": preset, **OVERLAY})
    return components


def form_schema(components: Mapping[str, Schema]) -> Schema:
    """Return the schema of the form, which is one of the forms among the components.

    It repeats the file fields, because tools that send forms do not search the components for them.
    """
    forms = [_reference(name) for name in components if name.endswith("Form")]
    return {**_object({**_references("PictureFields", PICTURE), **OVERLAY}), "anyOf": forms}


def batch_content(settings: Settings) -> dict[str, Any]:
    """Return the bodies of a request for a batch, as JSON and as a form, by media type."""
    shared: dict[str, Schema] = {
        **_references("PictureFields", [name for name in PICTURE if name not in IMAGES]),
        "task_callback_url": {**_URL, "description": "URL that gets a webhook when each task ends."},
    }
    each: Schema = {
        "type": "object",
        "description": "Fields in which an image differs: those of its operations, its output, `preset`, `output_url` "
        "and `output_prefix`.",
    }
    several = {"minItems": 1, "maxItems": settings.max_batch}
    in_json: dict[str, Schema] = {
        "url": {"type": "array", "items": _URL, **several},
        "each": {"type": "array", "items": each},
    }
    in_form: dict[str, Schema] = {
        "file": {"type": "array", "items": _BINARY},
        "url": {"type": "array", "items": _URL},
        "each": {"type": "string", **_JSON, "contentSchema": {"type": "array", "items": each}},
    }
    recipe = {"operation": "resize", "width": 400}
    return {
        JSON: {
            "schema": {**_object({**in_json, **shared}), "required": ["url"]},
            "example": {"url": ["https://example.com/1.jpg", "https://example.com/2.jpg"], **recipe},
        },
        "multipart/form-data": {
            "schema": {**_object({**in_form, **shared}), "anyOf": [{"required": ["file"]}, {"required": ["url"]}]},
            "encoding": {"file": {"contentType": "image/*"}},
        },
    }


def form_examples(settings: Settings, presets: Presets) -> dict[str, Any]:
    """Return an example form for each kind of request, by name; `FILE` stands for the bytes of files."""
    forms: dict[str, Any] = {}
    if not settings.only_presets:
        for name, kind in OPERATIONS.items():
            forms[name] = {"operation": name, **{field: _text(value) for field, value in kind.example.items()}}
        forms["several operations"] = {"operations": _encoding(_PIPELINE), "max_bytes": 60_000}
        forms["several results"] = {"variants": _encoding(_VARIANTS)}
        forms["another format"] = {"format": "webp", "quality": 75}
    forms |= {f"preset {name}": {"preset": name} for name in presets.by_name}
    return {name: {"value": {"file": FILE, **form}} for name, form in forms.items()}


def _operation_form(name: str, kind: type[Operation]) -> Schema:
    own = {field: _as_field(schema) for field, schema in parameters(kind).items()}
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    overlay = OVERLAY if takes_overlay(kind) else {}
    output = {
        field: schema
        for field, schema in _references("OutputFields", Output.__struct_fields__).items()
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
    """Return the schema of a form that requires the first field of `own` and `required`."""
    return {
        "description": description,
        **_object({**own, **others, **_references("PictureFields", PICTURE)}),
        "required": [next(iter(own)), *required],
        "oneOf": [{"required": [name]} for name in IMAGES],
        "additionalProperties": False,
    }


def _json_components(output: Mapping[str, Schema], max_operations: int) -> dict[str, Schema]:
    """Return the schemas of fields that contain JSON."""
    # Responses contain every parameter, with null for one that is not set; requests omit it.
    step = {"$ref": "#/components/schemas/Step", "additionalProperties": {"not": {"type": "null"}}}
    variant = {"operations": _reference("Pipeline"), **output}
    return {
        "Pipeline": {"type": "array", "items": step, "maxItems": max_operations, "examples": [_PIPELINE]},
        "VariantFields": {**_object(variant), "additionalProperties": False},
        "Variants": {
            "type": "object",
            "propertyNames": {"pattern": f"^{VARIANT_NAME.pattern}$"},
            "additionalProperties": _reference("VariantFields"),
            "minProperties": 1,
            "maxProperties": MAX_VARIANTS,
            "examples": [_VARIANTS],
        },
    }


def _json(component: str, description: str) -> Schema:
    return {"type": "string", **_JSON, "contentSchema": _reference(component), "description": description}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties)}


def _references(component: str, fields: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/schemas/{component}/properties/{name}"} for name in fields}


def _reference(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def _text(value: Any) -> Any:
    return _encoding(value) if isinstance(value, list) else value


def _encoding(value: Any) -> str:
    return msgspec.json.encode(value).decode()
