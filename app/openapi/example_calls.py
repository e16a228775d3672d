"""Example calls: what a client sends to a route, and what it does with the response."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from app.http.description import JSON, NOTHING
from app.openapi.examples import BATCH_ID, TASK_ID
from app.openapi.schemas import FILE

FORM = "multipart/form-data"

ORIGIN = "https://origin.invalid"
"""Stands for the base URL of the server, which is only known at a request."""

PATH_VALUES = {"task_id": TASK_ID, "batch_id": BATCH_ID, "upload_id": TASK_ID, "name": "photo.webp"}
"""Examples of the parameters in paths."""

WAIT_S = 60
"""The longest time for which the API holds a request with `Prefer: wait=N`."""

_LAST_PART = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1", "Upload-Offset": "100000"}
"""Headers of the request that completes a resumable upload, the only kind of PATCH."""

_SHORT_FORM = {"operation": "grayscale"}

Result = Literal["json", "text", "file", "stream", "nothing"]
"""The kind of a response: printed as JSON or text, saved as a file, printed while it arrives, or without a body."""


class Route(NamedTuple):
    """A route: its path, its method in lower case and its description in the OpenAPI document."""

    path: str
    method: str
    about: Mapping[str, Any]


class Call(Struct, frozen=True):
    """A request with all that it needs, for which `app.openapi.code_examples` writes code."""

    method: str
    url: str
    result: Result
    headers: Mapping[str, str] = NOTHING
    fields: Sequence[tuple[str, str]] = ()
    """Names and values of a form; `file` is the name of a file."""
    json: Any = None
    """The body as JSON."""
    body_file: str = ""
    """Name of a file that is the whole body."""
    saved_as: str = ""
    """Name of the file in which the response is saved."""
    follows_redirects: bool = False
    needs_key: bool = False


def call_of(route: Route) -> Call:
    """Return a call of a route, with required parameters only."""
    about = route.about
    query = {each["name"]: _example(each) for each in about["parameters"] if each["in"] == "query" and _required(each)}
    path = re.sub(r"\{(\w+)\}", lambda match: PATH_VALUES[match[1]], route.path)
    result = _result(about["responses"])
    content = about.get("requestBody", {}).get("content", {})
    is_patch = route.method == "patch"
    return Call(
        method=route.method.upper(),
        url=f"{ORIGIN}{path}{'?' if query else ''}{urlencode(query)}",
        result=result,
        headers=_LAST_PART if is_patch else {},
        fields=_fields(content) if about.get("requestBody", {}).get("required") else (),
        json=content[JSON]["example"] if JSON in content and not about["requestBody"].get("required") else None,
        body_file="rest.bin" if is_patch else "",
        saved_as=path.rpartition("/")[2] if result == "file" else "",
        follows_redirects="307" in about["responses"],
        needs_key=bool(about["security"]),
    )


def upload_call(route: Route, form: Mapping[str, Any], saved_as: str = "") -> Call:
    """Return a call that processes an image with the fields of a form and waits for the end of the task.

    The result is saved if `saved_as` names a file; otherwise the status is printed, which has the paths of results.
    """
    headers = {"Prefer": f"wait={WAIT_S}", **({"Accept": "image/*"} if saved_as else {})}
    return Call(
        method="POST",
        url=f"{ORIGIN}{route.path}",
        result="file" if saved_as else "json",
        headers=headers,
        fields=[(name, _text(value)) for name, value in form.items()],
        saved_as=saved_as,
        needs_key=bool(route.about["security"]),
    )


def _fields(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a short form: one file, or two for a route that takes several."""
    examples = content[FORM].get("examples")
    if examples is None:
        return [("file", FILE), ("file", "second.jpg"), *_SHORT_FORM.items()]
    if _SHORT_FORM["operation"] in examples:
        return [("file", FILE), *_SHORT_FORM.items()]
    form = next(iter(examples.values()))["value"]  # a server that only takes presets
    return [(name, _text(value)) for name, value in form.items()]


def _required(parameter: Mapping[str, Any]) -> bool:
    return bool(parameter.get("required"))


def _example(parameter: Mapping[str, Any]) -> str:
    """Return a value that a required parameter may have."""
    schema = parameter["schema"].get("items", parameter["schema"])
    return str(schema["enum"][0])


def _result(responses: Mapping[str, Any]) -> Result:
    """Return the kind of the successful responses; JSON if there is any, since `Accept` is not sent."""
    good = [each.get("content", {}) for status, each in responses.items() if status < "3"]
    types = {kind for contents in good for kind in contents}
    if any(contents.get(JSON) for contents in good):  # without a schema, JSON is one of many formats of files
        return "json"
    if "text/event-stream" in types:
        return "stream"
    if any(kind.startswith(("text/", "application/openmetrics")) for kind in types):
        return "text"
    return "file" if types else "nothing"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
