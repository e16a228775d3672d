"""Convert an OpenAPI document to a Postman Collection v2.1.0 (https://schema.postman.com), which can run as a whole."""

import re
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from app.http.description import JSON
from app.openapi.postman.folders import FOLDERS, Folder, Step
from app.openapi.postman.pictures import picture_for
from app.openapi.postman.scripts import BEFORE_EACH, has_status
from app.openapi.schemas import FILE
from worker.imaging.formats import InputFormat

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

FORM = "multipart/form-data"

SHOWN_FORM = "resize"
"""Name of the form's example in uploads, if the server has it."""

RUN = (
    "\n\nSet the variable `apiKey` if the server requires a key. The requests can be sent one by one or all at once, "
    "from top to bottom: ids and names come from earlier responses."
)

VARIABLES = {
    "apiKey": "Only if the server requires one.",
    "task_id": "Set by the last upload.",
    "name": "File name of a result. Set by Status.",
    "expires": "Set by Link.",
    "signature": "Set by Link.",
    "upload_id": "Set by the last resumable upload.",
    "batch_id": "Set by the last batch.",
    "csrf_token": "Set by Sign in.",
}
"""Variables of the collection that are empty at first, besides `baseUrl` and `picture`."""


def collection(document: Mapping[str, Any], address: str, input_formats: Collection[InputFormat]) -> dict[str, Any]:
    """Return the collection for an API with the base URL `address` that accepts these formats."""
    info = document["info"]
    input_format, picture = picture_for(input_formats)
    return {
        "info": {
            "name": info["title"],
            "version": info["version"],
            "description": info["description"] + RUN,
            "schema": SCHEMA,
        },
        "variable": [
            {"key": "baseUrl", "value": address},
            {
                "key": "picture",
                "value": picture,
                "description": f"A small {input_format.name} in base64, which is sent where no file is chosen.",
            },
            *({"key": key, "value": "", "description": text} for key, text in VARIABLES.items()),
        ],
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]},
        "event": [_event("prerequest", BEFORE_EACH)],
        "item": list(_Writer(document).folders()),
    }


def _event(listen: str, *scripts: str) -> dict[str, Any]:
    lines = [line for script in scripts for line in script.split("\n")]
    return {"listen": listen, "script": {"type": "text/javascript", "exec": lines}}


class _Writer:
    """Writes the folders and requests of the collection."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self._routes = {
            operation["operationId"]: (path, method.upper(), operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }
        _, _, upload = self._routes["process_image"]
        self._examples: Mapping[str, Any] = upload["requestBody"]["content"][FORM]["examples"]
        self._shown: set[str] = set()
        """Routes whose example responses are in the collection already."""

    def folders(self) -> Iterator[dict[str, Any]]:
        for folder in FOLDERS:
            if any(name.startswith(folder.example) for name in self._examples):
                items = [self._item(folder, step) for step in folder.steps]
                yield {"name": folder.name, "description": folder.description, "item": items}

    def _item(self, folder: Folder, step: Step) -> dict[str, Any]:
        path, method, operation = self._routes[step.route]
        fields = self._fields(folder, step)
        query = {**step.query, **fields} if step.has_query_fields else step.query
        body = self._body(operation, step, fields)
        request = {
            "method": method,
            "description": f"{operation['summary']}.\n\n{operation.get('description', '')}".strip(),
            "header": _entries(operation["parameters"], "header", step.headers),
            "url": _url(path, operation["parameters"], query),
            **({} if body is None else {"body": body}),
            **({} if step.needs_key else {"auth": {"type": "noauth"}}),
        }
        responses = [] if step.route in self._shown else list(_responses(operation, request))
        self._shown.add(step.route)
        return {
            "name": step.name,
            "event": [_event("test", has_status(step.statuses), *step.scripts)],
            "request": request,
            "response": responses,
        }

    def _fields(self, folder: Folder, step: Step) -> dict[str, str]:
        """Return the fields of the form: those of an example, without the file, and of the step."""
        shown = folder.example or SHOWN_FORM
        name = next((name for name in self._examples if name.startswith(shown)), next(iter(self._examples)))
        example = {key: value for key, value in self._examples[name]["value"].items() if value != FILE}
        return {key: _text(value) for key, value in example.items()} | dict(step.fields)

    def _body(self, operation: Mapping[str, Any], step: Step, fields: Mapping[str, str]) -> dict[str, Any] | None:
        content = operation.get("requestBody", {}).get("content", {})
        if step.body is not None:
            return _raw(step.body)
        if step.has_file_body:
            return {"mode": "file", "file": {"src": None}}
        if step.has_query_fields:
            return None
        if "encoding" in content.get(FORM, {}):  # of its files
            return self._form(content[FORM]["schema"]["properties"], fields)
        return _raw(content[JSON]["example"]) if content else None

    def _form(self, properties: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
        """Return a form with these fields, a file unless `source` replaces it, and all other fields disabled."""
        files = [] if "source" in fields else [{"key": "file", "type": "file", "src": []}]
        others = self._resolved({**properties, **self._schemas["OutputFields"]["properties"]})
        return {
            "mode": "formdata",
            "formdata": [
                *files,
                *({"key": name, "type": "text", "value": value} for name, value in fields.items()),
                *(
                    {
                        **({"type": "file", "src": []} if _is_file(schema) else _default(schema)),
                        "key": name,
                        "description": schema.get("description", ""),
                        "disabled": True,
                    }
                    for name, schema in others.items()
                    if name not in fields and not (files and name == "file")
                ),
            ],
        }

    def _resolved(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Replace references to fields of other schemas by these fields."""
        found = {}
        for name, schema in properties.items():
            match = re.fullmatch(r"#/components/schemas/(\w+)/properties/(\w+)", schema.get("$ref", ""))
            found[name] = self._schemas[match[1]]["properties"][match[2]] if match else schema
        return found


def _is_file(schema: Mapping[str, Any]) -> bool:
    return "binary" in (schema.get("format"), schema.get("items", {}).get("format"))


def _default(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "text", "value": _text(schema.get("default", ""))}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _raw(body: Any) -> dict[str, Any]:
    if isinstance(body, str):
        return {"mode": "raw", "raw": body}
    text = msgspec.json.format(msgspec.json.encode(body)).decode()
    return {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}


def _entries(parameters: list[Mapping[str, Any]], place: str, enabled: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the headers or query parameters: `enabled` with these values, all others disabled with their examples."""
    described = {each["name"]: each for each in parameters if each["in"] == place}
    entries = []
    for name in dict.fromkeys([*enabled, *described]):
        parameter = described.get(name, {"schema": {}})
        example = parameter.get("example", parameter["schema"].get("default", ""))
        entry = {
            "key": name,
            "value": enabled.get(name, str(example)),
            "description": parameter.get("description") or "",
        }
        entries.append(entry if name in enabled else {**entry, "disabled": True})
    return entries


def _url(path: str, parameters: list[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    segments = re.sub(r"\{(\w+)\}", r":\1", path).strip("/").split("/")
    raw = "/".join(["{{baseUrl}}", *segments]) + ("/" if path.endswith("/") and path != "/" else "")
    names = [each["name"] for each in parameters if each["in"] == "path"]
    given = "&".join(f"{name}={value}" for name, value in query.items())
    return {
        "raw": f"{raw}?{given}" if given else raw,
        "host": ["{{baseUrl}}"],
        "path": [*segments, ""] if raw.endswith("/") else segments,
        "query": _entries(parameters, "query", query),
        "variable": [{"key": name, "value": f"{{{{{name}}}}}"} for name in names],
    }


def _responses(operation: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            for name, example in content.get("examples", {}).items():
                if "value" not in example:
                    continue  # the documentation describes the problems, which are the same for all requests
                value = example["value"]
                yield {
                    "name": f"{status} {name}",
                    "originalRequest": request,
                    "code": int(status),
                    "status": HTTPStatus(int(status)).phrase,
                    "header": [{"key": "Content-Type", "value": media_type}],
                    "body": _raw(value)["raw"],
                    "_postman_previewlanguage": "text" if isinstance(value, str) else "json",
                }
