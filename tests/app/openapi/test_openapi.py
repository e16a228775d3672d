"""The OpenAPI document."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from arq.connections import ArqRedis
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from app.api_settings import Settings
from app.http.description import describe, description_of
from app.openapi.document import document
from app.openapi.rendering import Documents
from app.openapi.schemas import FILE
from app.routes import make_routes
from app.tasks.presets import Presets, read_presets
from tests.app.tasks.test_presets import EXAMPLE
from tests.conftest import PHOTO, Client, problem_fields
from tests.support.callers import NOBODY, callers
from worker.operations import OPERATIONS

NONE = Presets({}, is_required=False)

DOCUMENT: dict[str, Any] = msgspec.to_builtins(document(make_routes(), Settings(), NONE))
COMPONENTS = DOCUMENT["components"]
FORM = DOCUMENT["paths"]["/process-image/"]["post"]["requestBody"]["content"]["multipart/form-data"]


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def holds(schema: dict[str, Any], value: Any) -> None:
    """Raise `ValidationError` if a value is not what one of the document's schemas admits."""
    whole = {**schema, "components": COMPONENTS}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


async def test_openapi_json_is_openapi_3_1(api: Client) -> None:
    answer = await api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {**DOCUMENT, "servers": [{"url": str(api.base_url).rstrip("/")}]}
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(answer.json()).iter_errors()] == []


@pytest.mark.parametrize("route", make_routes(), ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_route_is_described(route: Route) -> None:
    """Describe a new one beside its handler with `app.http.description.describe`, or say `include_in_schema=False`."""
    if route.include_in_schema:
        assert description_of(route.endpoint).answers
        [method] = (route.methods or set()) - {"HEAD"}
        assert len(DOCUMENT["paths"][route.path_format][method.lower()]["summary"]) > 10, "the handler has no docstring"
    else:
        assert route.path in ("/", "/monitor", "/static/{name:path}", "/process-image")


def test_a_route_without_a_description_stops_the_document() -> None:
    async def forgotten(request: Any) -> Any:
        """Nothing is said of it."""

    with pytest.raises(KeyError, match="forgotten"):
        document([Route("/forgotten", forgotten)], Settings(), NONE)
    describe("Tasks")(forgotten)
    assert "/forgotten" in document([Route("/forgotten", forgotten)], Settings(), NONE)["paths"]


@pytest.mark.parametrize(
    ("name", "operation"), list(described()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_answer_has_examples_that_its_schema_admits(name: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if not content:
                continue  # the bytes of a picture
            assert content.get("examples") or media_type.startswith(("text/html", "application/openmetrics")), status
            for example in content.get("examples", {}).values():
                if "$ref" in example:
                    example = COMPONENTS["examples"][example["$ref"].rpartition("/")[2]]  # noqa: PLW2901
                holds(content["schema"], example["value"])


def test_every_parameter_has_an_example_or_a_default_that_its_schema_admits() -> None:
    for name, operation in described():
        for parameter in operation["parameters"]:
            if parameter["in"] == "header":
                holds(parameter["schema"], parameter["example"])
            assert parameter["in"] == "path" or parameter["description"], name


def test_every_operation_has_an_example_that_the_form_admits_and_no_nonsense_is_admitted() -> None:
    examples = {name: example["value"] for name, example in FORM["examples"].items()}
    assert set(OPERATIONS) <= set(examples)
    for form in examples.values():
        holds(FORM["schema"], form)
        for text in form.values():
            if isinstance(text, str) and text.startswith(("[", "{")):
                msgspec.json.decode(text)
    for wrong in (
        {"url": "https://example.com/a.jpg"},
        {"file": FILE},
        {"operation": "grayscale"},
        {"file": FILE, "operation": "reverse"},
        {"file": FILE, "operation": "resize", "width": 0},
        {"file": FILE, "operation": "resize", "radius": 2},
        {"file": FILE, "url": "https://example.com/a.jpg", "operation": "grayscale"},
        {"file": FILE, "operation": "redact"},
        {"file": FILE, "operation": "grayscale", "operations": "[]"},
        {"file": FILE, "operation": "grayscale", "preset": "thumbnail"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            holds(FORM["schema"], wrong)


def test_the_json_in_fields_is_described_too() -> None:
    schemas = COMPONENTS["schemas"]
    pipeline = schemas["PipelineForm"]["properties"]["operations"]["contentSchema"]
    variants = schemas["VariantsForm"]["properties"]["variants"]["contentSchema"]
    holds(pipeline, [{"operation": "resize", "width": 800}])
    holds(variants, {"thumb": {"operations": [{"operation": "grayscale"}], "format": "webp"}})
    wrong: Any
    for wrong in ([{"width": 800}], [{"operation": "resize", "width": None}], [{"operation": "blur", "width": 8}], {}):
        with pytest.raises(jsonschema.ValidationError):
            holds(pipeline, wrong)
    for wrong in ({}, {"No Name": {}}, {"a": {"quality": 0}}, {"a": {"width": 3}}):
        with pytest.raises(jsonschema.ValidationError):
            holds(variants, wrong)


@pytest.mark.parametrize("name", FORM["examples"])
async def test_every_example_of_a_form_is_carried_out(service: Client, name: str) -> None:
    form = {field: str(value) for field, value in FORM["examples"][name]["value"].items() if value != FILE}
    answer = await service.post(
        "/process-image/", files={"file": (FILE, PHOTO)}, data=form, headers={"Prefer": "wait=20"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "SUCCESS", answer.text


def test_presets_are_part_of_the_form(tmp_path: Path) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(EXAMPLE)
    for only in (False, True):
        settings = Settings(presets_file=str(file), only_presets=only)
        paths = document(
            make_routes(), settings, read_presets(settings.presets_file, settings, is_required=settings.only_presets)
        )["paths"]
        form = paths["/process-image/"]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert {"$ref": "#/components/schemas/PresetForm"} in form["schema"]["anyOf"]
        assert ("grayscale" in form["examples"]) is not only
        assert "preset thumbnail" in form["examples"]


async def test_what_is_processed_is_called_an_image(api: Client) -> None:
    text = (await api.get("/openapi.json")).text
    assert re.findall(r'"(?:description|summary)":"(?:[^"\\]|\\.)*picture', text, re.IGNORECASE) == []


async def test_who_needs_a_key_is_told(redis: ArqRedis, settings: Settings) -> None:
    async with callers(settings) as clients:
        paths = (await clients[NOBODY].get("/openapi.json")).json()["paths"]
    assert paths["/tasks"]["get"]["security"] == [{"key": []}]
    assert paths["/processed/{task_id}/{name}"]["get"]["security"] == [{"key": []}, {"link": []}]
    assert paths["/operations"]["get"]["security"] == []
    assert {"401", "403"} <= set(paths["/metrics"]["get"]["responses"])
    assert all(operation["security"] == [] for _, operation in described())


ADDRESSED = ("/openapi.json", "/postman.json", "/llms.txt")
"""The documents that contain the address from which they were fetched."""

BAD_HOSTS = ("a.example;reboot", "$(reboot)", "a b", "`reboot`", 'a"b', "a.example/x?", "a'b", "[::1", "é.example")


def has_address(text: str, address: str) -> bool:
    return f'"{address}"' in text or f"({address}/docs)" in text


@pytest.mark.parametrize("path", ADDRESSED)
async def test_a_document_has_the_address_from_which_it_was_fetched(api: Client, path: str) -> None:
    """That of `Host`; behind a proxy that is trusted, 127.0.0.1 by default, with the scheme of X-Forwarded-Proto."""
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "192.0.2.7"}
    for headers, address in (
        ({}, str(api.base_url).rstrip("/")),
        ({"Host": "localhost:8080"}, "http://localhost:8080"),
        ({"Host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"Host": "localhost", **forwarded}, "https://localhost"),
    ):
        text = (await api.get(path, headers=headers)).text
        assert has_address(text, address)
        assert "evil.example" not in text


@pytest.mark.parametrize("path", ADDRESSED)
async def test_a_host_that_is_not_allowed_gets_no_document(api: Client, path: str) -> None:
    answer = await api.get(path, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs#host-not-allowed")


@pytest.mark.parametrize("path", ADDRESSED)
async def test_with_keys_any_host_is_the_address_if_it_is_a_name(
    redis: ArqRedis, settings: Settings, path: str
) -> None:
    async with callers(settings) as clients:
        for host in ("images.example", "images.example:8443", "192.168.1.5", "[fe80::1]:80", "my_host"):
            answer = await clients[NOBODY].get(path, headers={"Host": host})
            assert has_address(answer.text, f"http://{host}")
        for host in BAD_HOSTS:
            answer = await clients[NOBODY].get(path, headers=[(b"Host", host.encode())])
            assert answer.status_code == 400 or (answer.status_code == 200 and f"//{host}" not in answer.text), host


@pytest.mark.parametrize("path", ["/docs", *ADDRESSED])
async def test_a_document_is_sent_once(api: Client, path: str) -> None:
    first = await api.get(path)
    again = await api.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first.headers["content-encoding"] == "gzip"


def test_a_document_is_written_when_it_is_first_asked_for_and_kept() -> None:
    documents = Documents(make_routes(), Settings(), NONE)
    assert "_document" not in vars(documents)
    for by_address in (documents.openapi, documents.page, documents.postman, documents.llms):
        assert by_address("http://a") is by_address("http://a")
        assert by_address("http://a").etag != by_address("http://b").etag


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/tasks"), ("POST", "/tasks/retry"), ("POST", "/tasks/delete"), ("GET", "/stats")]
)
async def test_the_described_parameters_are_those_that_are_accepted(api: Client, method: str, path: str) -> None:
    """As the message for an unknown one has them."""
    described = {
        each["name"] for each in DOCUMENT["paths"][path][method.lower()]["parameters"] if each["in"] == "query"
    }
    message = problem_fields(await api.request(method, f"{path}?nonsense=1"))["nonsense"]
    assert set(message.partition(", which takes ")[2].split(", ")) == described
    missing = set(problem_fields(await api.request(method, f"{path}?nonsense=1"))) - {"nonsense"}
    required = {each["name"] for each in DOCUMENT["paths"][path][method.lower()]["parameters"] if each.get("required")}
    assert missing == required
