"""The description of the API for language models (https://llmstxt.org), from the OpenAPI document."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from app.http.description import JSON
from app.openapi.examples import TASK_ID
from app.openapi.field_texts import described_fields, field_text, fields_text
from app.openapi.postman.collection import FORM, SHOWN_FORM
from app.openapi.schemas import FILE, Schema
from worker.tasks.schedule import ALLOWED_TAG, MOST_TAGS

UPLOAD = "/process-image/"

REQUEST = """
A request is a form with one image, in `file`, `url` or `source`, and one of {ways}. Fields that are JSON are sent as
text; inside of them, numbers and booleans have the types of JSON. A `color` is a CSS color name, transparent, #rgb,
#rgba, #rrggbb or #rrggbbaa. An `aspect_ratio` is width to height. `tags` are 1 to {most_tags} words, comma-separated,
each of {tag}. An unknown field or a value out of bounds is 422, and the response lists all of them. After 429 or 503,
wait for the seconds in `Retry-After`. An upload with `Idempotency-Key: <UUID>` can be repeated safely.

A batch, `POST /batches`, has the field `file` or `url` once for each image, all other fields once, and in `each` the
fields that differ, such as `each=[{{"width":100}},{{"width":300}}]` for two images.
"""

RESPONSES = """
An upload returns 202 and `{accepted}`. The task is PENDING, then STARTED, then SUCCESS, FAILURE or REVOKED. `GET
/task-status/<id>` returns `{done}`; for several results, as of `variants` and some presets, an object of paths,
`{variants}`; and after a failure `{failed}`. `Prefer: wait=N` waits up to N seconds (60 at most) for the end, so there
is no need to poll; if the task has not ended then, send the request again. With `Prefer`, an upload returns 200 and the
status if the task ends in time.

`GET /task-result/<id>` returns the same path, or object of paths, `{one}`, and 409 before the end and after a failure.
To get the bytes, append a path to the address, as in `GET {address}/processed/<id>/photo.webp`, and percent-encode
letters that are not ASCII. The result of `operation=inspect` is a JSON document; its path ends in .json and is used in
the same way. With `Accept: image/*`, `/task-result/<id>` returns the image itself, as does an upload with `Prefer`. For
several results this is 406; for `operation=inspect` it is still JSON with the path.
"""

Parameter = Mapping[str, Any]
"""A query parameter or header in the OpenAPI document."""


def llms_text(document: Mapping[str, Any], address: str) -> str:
    """Return the text, in Markdown, for an API with the base URL `address`."""
    return "\n\n".join(_Writer(document, address).parts()) + "\n"


class _Writer:
    """Writes the parts of the text."""

    def __init__(self, document: Mapping[str, Any], address: str) -> None:
        self._document = document
        self._address = address
        self._paths = document["paths"]
        self._schemas = document["components"]["schemas"]
        self._examples = [
            each["value"] for each in self._paths[UPLOAD]["post"]["requestBody"]["content"][FORM]["examples"].values()
        ]
        self._forms = {name: schema for name, schema in self._schemas.items() if name.endswith("Form")}
        self._parameters = _parameters(self._paths)

    def parts(self) -> Iterator[str]:
        info = self._document["info"]
        yield f"# {info['title']}"
        yield f"> {info['summary']}. {info['description']}"
        yield from self._steps()
        ways = dict.fromkeys(f"`{schema['required'][0]}`" for schema in self._forms.values())
        yield from _paragraphs(REQUEST.format(ways=", ".join(ways), most_tags=MOST_TAGS, tag=ALLOWED_TAG))
        yield from _paragraphs(self._responses())
        yield from self._sections()

    def _steps(self) -> Iterator[str]:
        """Yield the three steps with their commands."""
        curl, address = "curl -sS", self._address
        if self._paths["/tasks"]["get"]["security"]:
            curl += ' -H "Authorization: Bearer $KEY"'
            yield "This server requires an API key, here in the variable `KEY`, for everything but its documentation."
        example = next((each for each in self._examples if each.get("operation") == SHOWN_FORM), self._examples[0])
        fields = " ".join(f"-F {shlex.quote(f'{name}={value}')}" for name, value in _without_file(example).items())
        steps = {
            "Upload an image with the fields of an operation, and get the id of a task at once:": (
                f"TASK=$({curl} -F file=@{FILE} {fields} {address}{UPLOAD} | grep -oE '[0-9a-f-]{{36}}')"
            ),
            "Wait until the task has ended:": f"{curl} -H 'Prefer: wait=60' {address}/task-status/$TASK",
            "Fetch its results, one or several, into a folder with the id as its name:": (
                f"PATHS=$({curl} --fail {address}/task-result/$TASK | grep -oE 'processed/[^\"]+') &&\n"
                f'  echo "$PATHS" | xargs -I{{}} {curl} --fail --create-dirs --output-dir $TASK -O {address}/{{}}'
            ),
        }
        yield from (
            f"{number}. {text}\n\n```sh\n{command}\n```" for number, (text, command) in enumerate(steps.items(), 1)
        )

    def _responses(self) -> str:
        examples = {
            **self._paths[UPLOAD]["post"]["responses"]["202"]["content"][JSON]["examples"],
            **self._paths["/task-status/{task_id}"]["get"]["responses"]["200"]["content"][JSON]["examples"],
            "one": self._paths["/task-result/{task_id}"]["get"]["responses"]["200"]["content"][JSON]["examples"]["one"],
        }
        texts = {name: _json(example["value"]).replace(TASK_ID, "<id>") for name, example in examples.items()}
        return RESPONSES.format(address=self._address, **texts)

    def _sections(self) -> Iterator[str]:
        """Yield a section for the documentation, the fields of the form, the parameters, and the routes of each tag."""
        routes: dict[str, list[str]] = {tag["name"]: [] for tag in self._document["tags"]}
        for path, methods in self._paths.items():
            for method, about in methods.items():
                [tag] = about["tags"]
                url = f"{self._address}{path}" if tag == "Documentation" else self._docs(about["operationId"])
                routes[tag].append(_link(f"{method.upper()} {path}", url, self._route(about)))
        yield _section("Documentation", routes.pop("Documentation"))
        operations = {name: form for name, form in self._forms.items() if "operation" in form["properties"]}
        others = {name: form for name, form in self._forms.items() if name not in operations}
        if operations:
            yield _section("Operations", (self._form(name, form) for name, form in operations.items()))
        yield _section("Instead of an operation", (self._form(name, form) for name, form in others.items()))
        yield _section("Further fields", self._shared_fields())
        yield _section("Parameters of routes", self._parameter_links())
        for tag, links in routes.items():
            yield _section(f"Routes: {tag}", links)

    def _docs(self, anchor: str) -> str:
        return f"{self._address}/docs#{anchor}"

    def _form(self, name: str, form: Schema) -> str:
        """Return the link to an operation or another kind of form, with its own fields and an example."""
        first = form["required"][0]
        value = form["properties"][first].get("const")
        own = {
            name: field for name, field in form["properties"].items() if "$ref" not in field and "const" not in field
        }
        fields = f"Fields: {fields_text(own, form['required'], self._schemas)}." if own else "No fields."
        example = next(_without_file(each) for each in self._examples if first in each and value in (None, each[first]))
        shown = ", ".join(f"`{name}={value}`" for name, value in example.items())
        end = f" Example: {shown}." if len(example) > 1 or value is None else ""
        return _link(value or first, self._docs(name), f"{form['description']} {fields}{end}")

    def _shared_fields(self) -> Iterator[str]:
        """Yield the fields of the image and the task, with their meanings, and those of the output."""
        task, output = (self._schemas[name]["properties"] for name in ("PictureFields", "OutputFields"))
        url = self._docs("process_image")
        yield _link("file and task", url, f"Fields of all requests. {described_fields(task, self._schemas)}")
        requests = "with `operation`, `operations` or `format`, and of each object in `variants`"
        yield _link("output", url, f"Fields of requests {requests}: {fields_text(output, (), self._schemas)}.")

    def _parameter_links(self) -> Iterator[str]:
        """Yield the query parameters and the headers that are the same in all routes."""
        for place, anchor, text in (
            ("query", "list_tasks", "Several values are comma-separated. "),
            ("header", "process_image", ""),
        ):
            fields = {
                name: {**each["schema"], "description": each["description"]}
                for (kind, name), [each, *others] in self._parameters.items()
                if kind == place and not others
            }
            yield _link(place, self._docs(anchor), text + described_fields(fields, self._schemas))

    def _route(self, about: Mapping[str, Any]) -> str:
        """Return what a route does, its parameters and its body."""
        texts = [f"{about['summary']}."]
        for place, heading in (("query", "Query"), ("header", "Headers")):
            if names := [self._parameter(each) for each in about["parameters"] if each["in"] == place]:
                texts.append(f"{heading}: {', '.join(names)}.")
        content = about.get("requestBody", {}).get("content", {})
        if JSON in content:  # the form of an upload has sections of its own
            schema = content[FORM]["schema"]
            schema = self._schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            own = {name: field for name, field in schema["properties"].items() if "$ref" not in field}
            fields = fields_text(own, schema.get("required", ()), self._schemas)
            texts.append(f"Form: {fields}. Or JSON: `{_json(content[JSON]['example'])}`.")
        return " ".join(texts)

    def _parameter(self, parameter: Parameter) -> str:
        """Return a parameter with its values if they depend on the route, otherwise its name."""
        name, is_required = parameter["name"], parameter.get("required", False)
        if len(self._parameters[parameter["in"], name]) > 1:
            return field_text(name, parameter["schema"], self._schemas, is_required=is_required)
        return f"`{name}` (required)" if is_required else f"`{name}`"


def _parameters(paths: Mapping[str, Any]) -> dict[tuple[str, str], list[Parameter]]:
    """Return (place, name) -> the different parameters of this name of all routes."""
    found: dict[tuple[str, str], list[Parameter]] = {}
    for about in (about for methods in paths.values() for about in methods.values()):
        for each in about["parameters"]:
            known = found.setdefault((each["in"], each["name"]), [])
            if all(each["schema"] != other["schema"] for other in known):
                known.append(each)
    return found


def _paragraphs(text: str) -> Iterator[str]:
    """Yield each paragraph as one line."""
    yield from (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _section(heading: str, links: Iterable[str]) -> str:
    return f"## {heading}\n\n" + "\n".join(links)


def _link(name: str, url: str, text: str) -> str:
    return f"- [{name}]({url}): {' '.join(text.split())}"


def _without_file(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in example.items() if value != FILE}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
