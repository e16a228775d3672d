"""Convert an OpenAPI document to a Postman Collection v2.1.0 (https://schema.postman.com), one request per route."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from app.http.description import JSON
from app.openapi.schemas import FILE

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

FORM = "multipart/form-data"

SHOWN_FORM = "resize"
"""Name of the example in the request that creates a task."""

KEEP_TASK = [
    "if (pm.response.code === 202) {",
    "    pm.collectionVariables.set('task_id', pm.response.json().task_id);",
    "}",
]
"""Script that Postman runs after an upload: the other requests then use the id of the new task."""


def collection(document: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return the collection for an API with the base URL `address`."""
    info = document["info"]
    return {
        "info": {
            "name": info["title"],
            "version": info["version"],
            "description": info["description"],
            "schema": SCHEMA,
        },
        "variable": [
            {"key": "baseUrl", "value": address},
            {"key": "apiKey", "value": "", "description": "Only if the server requires one."},
            {"key": "task_id", "value": "", "description": "Set by the last upload."},
        ],
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]},
        "item": [{"name": tag["name"], "item": list(_items(document, tag["name"]))} for tag in document["tags"]],
    }


def _items(document: Mapping[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if tag in operation["tags"]:
                yield _item(document, path, method, operation)


def _item(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    request = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [_entry(each) for each in operation["parameters"] if each["in"] == "header"],
        "url": _url(path, operation["parameters"]),
        **({"body": _body(document, content)} if content else {}),
    }
    keeps_task = [{"listen": "test", "script": {"type": "text/javascript", "exec": KEEP_TASK}}]
    return {
        "name": operation["summary"],
        **({"event": keeps_task} if FORM in content and JSON not in content else {}),
        "request": request,
        "response": list(_responses(operation, request)),
    }


def _entry(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header or a query parameter with its example value, disabled until the user enables it."""
    example = parameter.get("example", parameter["schema"].get("default", ""))
    return {
        "key": parameter["name"],
        "value": str(example),
        "description": parameter["description"] or "",
        "disabled": True,
    }


def _url(path: str, parameters: list[Mapping[str, Any]]) -> dict[str, Any]:
    segments = re.sub(r"\{(\w+)\}", r":\1", path).strip("/").split("/")
    raw = "/".join(["{{baseUrl}}", *segments]) + ("/" if path.endswith("/") and path != "/" else "")
    names = [each["name"] for each in parameters if each["in"] == "path"]
    return {
        "raw": raw,
        "host": ["{{baseUrl}}"],
        "path": [*segments, ""] if raw.endswith("/") else segments,
        "query": [_entry(each) for each in parameters if each["in"] == "query"],
        "variable": [{"key": name, "value": "{{task_id}}" if name == "task_id" else ""} for name in names],
    }


def _body(document: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    if JSON in content:
        text = msgspec.json.format(msgspec.json.encode(content[JSON]["example"])).decode()
        return {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    examples = content[FORM]["examples"]
    shown = examples.get(SHOWN_FORM, next(iter(examples.values())))["value"]
    schemas = document["components"]["schemas"]
    others = {**schemas["PictureFields"]["properties"], **schemas["OutputFields"]["properties"]}
    return {
        "mode": "formdata",
        "formdata": [
            *(_field(name, value) for name, value in shown.items()),
            *(
                {**_field(name, schema.get("default", "")), "description": schema["description"], "disabled": True}
                for name, schema in others.items()
                if name not in shown
            ),
        ],
    }


def _field(name: str, value: Any) -> dict[str, Any]:
    if value == FILE:
        return {"key": name, "type": "file", "src": []}
    return {
        "key": name,
        "type": "text",
        "value": value if isinstance(value, str) else msgspec.json.encode(value).decode(),
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
                    "body": value
                    if isinstance(value, str)
                    else msgspec.json.format(msgspec.json.encode(value)).decode(),
                    "_postman_previewlanguage": "text" if isinstance(value, str) else "json",
                }
