"""The OpenAPI 3.1 document, built from the metadata of the route handlers and the types that they use."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any

import msgspec
from redis.exceptions import RedisError
from starlette.routing import BaseRoute, Route

from app.api_settings import Settings
from app.auth.access import ADMIN_PATHS, HEALTH_PATHS, LINKED_PATHS, PUBLIC_PATHS
from app.auth.sessions import SAFE_METHODS
from app.http.description import JSON, Answer, Body, Description, Header, description_of, texts_of
from app.http.exceptions import (
    AdminOnly,
    ForeignOrigin,
    HostNotAllowed,
    NotServedHere,
    ReadOnlySession,
    Unauthorized,
    WrongToken,
)
from app.http.middleware import DESCRIBED as REQUEST_ID
from app.http.problem_types import PROBLEM_TYPES
from app.http.problems import HEADERS, PROBLEM_JSON, ProblemDocument, example, type_uri
from app.openapi.examples import DONE, MESSAGE_ID
from app.openapi.schemas import Schema, batch_content, form_components, form_examples, form_schema, parameters
from app.tasks.presets import Presets
from app.tasks.views import TaskEvent, task_status
from worker.imaging.parsing import InvalidParameters
from worker.imaging.plan import Output
from worker.operations import AnyOperation
from worker.tasks.batches import BatchNotFound
from worker.tasks.status import EndedTask, TaskNotFound, UnreadableTask
from worker.webhooks.messages import EVENT_TYPES, WebhookEvent

SUMMARY = (
    "Image processing with a queue: upload an image and choose an operation, get a task id at once, watch the "
    "task, fetch the result. Errors are `application/problem+json` (RFC 9457); their `type` links to a description."
)

_REFERENCE = "#/components/schemas/{name}"

_FORM_TYPES = (JSON, "application/x-www-form-urlencoded", "multipart/form-data")


def document(routes: Sequence[BaseRoute], settings: Settings, presets: Presets) -> dict[str, Any]:
    """Return the document of the routes with `include_in_schema`; raise `KeyError` for one without metadata.

    The schemas of the form depend on the settings: the number of operations, the presets, whether keys are required.
    """
    described = [
        (route, description_of(route.endpoint))
        for route in routes
        if isinstance(route, Route) and route.include_in_schema
    ]
    forms = form_components(settings, presets)
    form = {
        "multipart/form-data": {
            "schema": form_schema(forms),
            "examples": form_examples(settings, presets),
            "encoding": {"file": {"contentType": "image/*"}, "overlay": {"contentType": "image/*"}},
        }
    }
    writer = _Writer(form, batch_content(settings), needs_key=bool(settings.api_keys))
    paths: dict[str, dict[str, Any]] = {}
    for route, description in described:
        [method] = sorted(set(route.methods or ()) - {"HEAD"})
        paths.setdefault(route.path_format, {})[method.lower()] = writer.operation(route, description)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Darkroom",
            "version": version("darkroom"),
            "summary": "An asynchronous image-processing service",
            "description": SUMMARY,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(description.tag for _, description in described)],
        "paths": paths,
        "webhooks": {"task-ended": {"post": _webhook()}},
        "components": {
            "schemas": {**_schemas(description for _, description in described), **forms},
            "examples": {_short(kind): _problem_example(kind) for kind in PROBLEM_TYPES},
            "headers": {REQUEST_ID.name: _header(REQUEST_ID)},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "`python -m app.keys NAME` creates one."},
                "link": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "The signature of a link from `POST /tasks/{task_id}/link`.",
                },
            },
        },
    }


def _schemas(descriptions: Iterable[Description]) -> dict[str, Schema]:
    """Return the schemas of all types in responses and JSON bodies."""
    kinds: list[Any] = [ProblemDocument, TaskEvent, WebhookEvent, AnyOperation, Output]
    for description in descriptions:
        kinds += [answer.kind for answer in description.answers if answer.kind is not None]
        kinds += [description.body.kind] if isinstance(description.body, Body) else []
    schemas, components = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REFERENCE)
    return {**components, "Step": schemas[kinds.index(AnyOperation)]}


def _schema(kind: type) -> Schema:
    return {"type": "object"} if kind is dict else {"$ref": _REFERENCE.format(name=kind.__name__)}


class _Writer:
    """Builds the operations (methods of paths) of the document."""

    def __init__(self, form: dict[str, Any], batch: dict[str, Any], *, needs_key: bool) -> None:
        self._form = form
        self._batch = batch
        self._needs_key = needs_key

    def operation(self, route: Route, description: Description) -> dict[str, Any]:
        summary, details = texts_of(route.endpoint)
        body = self._body(description)
        return {
            "operationId": route.endpoint.__name__,
            "tags": [description.tag],
            "summary": summary,
            **({"description": details} if details else {}),
            "parameters": list(_parameters(route, description)),
            **({} if body is None else {"requestBody": body}),
            "responses": {
                **{str(answer.status): _response(answer) for answer in description.answers},
                **_problem_responses(_problems(route, description)),
            },
            "security": self._security(route.path),
        }

    def _body(self, description: Description) -> dict[str, Any] | None:
        match description.body:
            case Body(kind=kind, example=value):
                schema = _schema(kind)
                return {"content": {each: {"schema": schema, "example": value} for each in _FORM_TYPES}}
            case "form":
                return {"required": True, "content": self._form}
            case "batch":
                return {"required": True, "content": self._batch}
        return None

    def _security(self, path: str) -> list[dict[str, list[str]]]:
        if path in PUBLIC_PATHS or not self._needs_key:
            return []
        return [{"key": []}, {"link": []}] if path.startswith(LINKED_PATHS) else [{"key": []}]


def _parameters(route: Route, description: Description) -> Iterator[dict[str, Any]]:
    for name in route.param_convertors:
        schema = (
            {"type": "string", "format": "uuid"} if name in ("task_id", "batch_id", "upload_id") else {"type": "string"}
        )
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, schema in parameters(description.query).items() if description.query is not None else ():
        text = schema.pop("description", None)
        if "default" in schema and not schema["default"] and schema.get("type") == "array":
            del schema["default"]  # the only type that msgspec cannot encode
        style = {"explode": False} if schema.get("type") == "array" else {}
        required = {"required": True} if name in _required_names(description.query) else {}
        yield {"name": name, "in": "query", "description": text, "schema": schema, **style, **required}
    for header in description.headers:
        required = {"required": True} if header.is_required else {}
        yield {"name": header.name, "in": header.place, **_header(header), **required}


def _required_names(kind: type[msgspec.Struct] | None) -> set[str]:
    return set() if kind is None else {field.name for field in msgspec.structs.fields(kind) if field.required}


def _header(header: Header) -> dict[str, Any]:
    return {"description": header.description, "schema": dict(header.schema), "example": header.example}


def _headers(headers: Iterable[Header]) -> dict[str, Any]:
    return {
        **{header.name: _header(header) for header in headers},
        REQUEST_ID.name: {"$ref": f"#/components/headers/{REQUEST_ID.name}"},
    }


def _response(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.kind is not None:
        examples = {name: {"value": msgspec.to_builtins(value)} for name, value in answer.examples.items()}
        content[answer.kind_type] = {"schema": _schema(answer.kind), "examples": examples}
    for media_type in answer.media_types:
        content[media_type] = _text(answer) if media_type.startswith(("text/", "application/openmetrics")) else {}
    links = {name: {"operationId": name, "parameters": {"task_id": "$response.body#/task_id"}} for name in answer.links}
    return {
        "description": answer.description,
        "headers": _headers(answer.headers),
        **({"content": content} if content else {}),
        **({"links": links} if links else {}),
    }


def _text(answer: Answer) -> dict[str, Any]:
    return {
        "schema": {"type": "string"},
        "examples": {name: {"value": value} for name, value in answer.examples.items() if isinstance(value, str)},
    }


def _problems(route: Route, description: Description) -> list[type[Exception]]:
    """Return the possible problems: those of the description, the path and the parameters."""
    path, problems = route.path, list(description.problems)
    if path not in PUBLIC_PATHS:
        problems += [Unauthorized, RedisError]
    if TaskNotFound in problems:
        problems.append(UnreadableTask)
    if (TaskNotFound in problems or BatchNotFound in problems) and not SAFE_METHODS & (route.methods or set()):
        problems += [WrongToken, ReadOnlySession]
    if path in ADMIN_PATHS:
        problems.append(AdminOnly)
    if path not in HEALTH_PATHS:
        problems += [NotServedHere, HostNotAllowed]
    if not SAFE_METHODS & (route.methods or set()):
        problems.append(ForeignOrigin)
    if description.query is not None:
        problems.append(InvalidParameters)
    return sorted(dict.fromkeys(problems), key=lambda kind: (PROBLEM_TYPES[kind].status, _short(kind)))


def _problem_responses(kinds: list[type[Exception]]) -> dict[str, Any]:
    by_status = groupby(kinds, key=lambda kind: PROBLEM_TYPES[kind].status)
    return {str(status): _problem_response(list(group)) for status, group in by_status}


def _problem_response(kinds: list[type[Exception]]) -> dict[str, Any]:
    schema = {
        **_schema(ProblemDocument),
        "properties": {"type": {"enum": [type_uri(kind) for kind in kinds]}},
    }
    examples = {_short(kind): {"$ref": f"#/components/examples/{_short(kind)}"} for kind in kinds}
    return {
        "description": " Or: ".join(PROBLEM_TYPES[kind].meaning for kind in kinds),
        "headers": _headers(HEADERS[kind][0] for kind in kinds if kind in HEADERS),
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
    }


def _short(kind: type[Exception]) -> str:
    return type_uri(kind).rpartition("#")[2]


def _problem_example(kind: type[Exception]) -> dict[str, Any]:
    return {"summary": PROBLEM_TYPES[kind].meaning, "value": msgspec.to_builtins(example(kind))}


def _webhook() -> dict[str, Any]:
    event = WebhookEvent(
        "task.succeeded", "2026-03-01T12:00:00.061Z", EndedTask(**msgspec.structs.asdict(task_status(DONE)))
    )
    headers = (
        Header("webhook-id", "The id of the message, the same for every attempt.", MESSAGE_ID),
        Header("webhook-timestamp", "The time of the attempt (Unix seconds).", "1772366400"),
        Header(
            "webhook-signature",
            "`v1,` and an HMAC-SHA256 in base64; two of them during a rotation of secrets.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    )
    return {
        "operationId": "taskEnded",
        "summary": "Sent to the `callback_url` of a task when it ends, following the Standard Webhooks specification",
        "description": f"`type` says how the task ended: {', '.join(f'`{name}`' for name in EVENT_TYPES.values())}. "
        "The `callback_url` of a batch gets one message, `batch.completed`, when all tasks have ended.",
        "parameters": [{"name": each.name, "in": "header", "required": True, **_header(each)} for each in headers],
        "requestBody": {
            "content": {
                JSON: {
                    "schema": _schema(WebhookEvent),
                    "example": msgspec.to_builtins(event),
                }
            }
        },
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "No more attempts for this message."},
            "default": {"description": "Up to ten attempts over three days; `Retry-After` is respected."},
        },
    }
