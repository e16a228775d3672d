"""`GET /operations` and `GET /presets`: the catalog of operations, output parameters, formats and presets."""

import inspect
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.problems import error_code_uri
from app.http.responses import File, compress, json_response, send
from app.openapi.examples import DONE
from app.openapi.schemas import Schema, parameters, takes_overlay
from app.state import Request
from app.tasks.presets import PresetView
from app.tasks.views import plan_view
from worker.errors import CAUSES, ErrorCode
from worker.imaging.plan import Output
from worker.operations import OPERATIONS


class OperationEntry(msgspec.Struct, frozen=True):
    """An operation and its parameters."""

    operation: str
    description: str
    parameters: Annotated[dict[str, Schema], Meta(description="The JSON Schema of each parameter, by name.")]
    takes_overlay: Annotated[bool, Meta(description="Whether the operation can use a second image.")]


class ErrorCodeEntry(msgspec.Struct, frozen=True):
    """What an `error_code` of failed tasks means."""

    meaning: str
    retry_helps: Annotated[bool, Meta(description="Whether the same task may succeed if it is retried.")]
    docs: Annotated[str, Meta(description="Where the code is described.")]


class Catalog(msgspec.Struct, frozen=True):
    """The catalog."""

    operations: list[OperationEntry]
    output: Annotated[dict[str, Schema], Meta(description="The JSON Schema of each output parameter, by name.")]
    input: Annotated[list[str], Meta(description="The accepted input formats.")]
    presets: Annotated[list[str], Meta(description="The names of the presets.")]
    only_presets: Annotated[bool, Meta(description="Whether uploads must use a preset.")]
    error_codes: Annotated[dict[ErrorCode, ErrorCodeEntry], Meta(description="The error codes of failed tasks.")]


class PresetList(msgspec.Struct, frozen=True):
    presets: list[PresetView]


def _catalog() -> Catalog:
    return Catalog(
        operations=[
            OperationEntry(
                name,
                inspect.cleandoc(kind.__doc__ or ""),
                parameters(kind),
                takes_overlay=takes_overlay(kind),
            )
            for name, kind in OPERATIONS.items()
        ],
        output=parameters(Output),
        input=[],
        presets=[],
        only_presets=False,
        error_codes={
            code: ErrorCodeEntry(cause.meaning, cause.retry_helps, error_code_uri(code))
            for code, cause in CAUSES.items()
        },
    )


CATALOG = _catalog()
"""The part of the catalog that does not depend on the settings."""


@describe(
    "Catalog",
    Answer(
        200,
        "The catalog.",
        Catalog,
        {"one": msgspec.structs.replace(CATALOG, operations=CATALOG.operations[:1], input=["jpeg", "png"])},
    ),
)
async def operations(request: Request) -> Response:
    """List the operations and the output parameters with their bounds, the input formats and the presets."""
    settings, presets = request.state["settings"], request.state["presets"]
    catalog = msgspec.structs.replace(
        CATALOG,
        input=[known.value for known in settings.input_formats],
        presets=list(presets.by_name),
        only_presets=presets.is_required,
    )
    return send(request, _compressed(msgspec.json.encode(catalog) + b"\n"))


@lru_cache(maxsize=4)
def _compressed(body: bytes) -> File:
    return compress(body, "application/json")


@describe(
    "Catalog",
    Answer(
        200,
        "The presets.",
        PresetList,
        {"one": PresetList([PresetView("thumbnail", "A square thumbnail.", **plan_view(DONE.spec.plan))])},
    ),
)
async def presets(request: Request) -> Response:
    """List the presets with their operations and output, including defaults."""
    return json_response(PresetList(request.state["presets"].view()))
