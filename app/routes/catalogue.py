"""`GET /operations` and `GET /presets`: what can be asked for, from the operations' own definitions and by name."""

import inspect
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from app.http.description import Answer, describe
from app.http.responses import json_response
from app.openapi.examples import DONE
from app.openapi.schemas import Schema, parameters, takes_overlay
from app.state import Request
from app.tasks.presets import ShownPreset
from app.tasks.views import plan_view
from worker.imaging.plan import Output
from worker.operations import OPERATIONS


class OperationEntry(msgspec.Struct, frozen=True):
    """What can be done to a picture."""

    operation: str
    description: str
    parameters: Annotated[dict[str, Schema], Meta(description="Name -> JSON Schema.")]
    takes_overlay: Annotated[bool, Meta(description="Whether it can lay a second picture over the first.")]


class Catalogue(msgspec.Struct, frozen=True):
    """What can be asked for."""

    operations: list[OperationEntry]
    output: Annotated[dict[str, Schema], Meta(description="How results are written: name -> JSON Schema.")]
    input: Annotated[list[str], Meta(description="The formats that are read.")]
    presets: Annotated[list[str], Meta(description="The names of the server's presets.")]
    only_presets: Annotated[bool, Meta(description="Whether an upload must name one.")]


class PresetList(msgspec.Struct, frozen=True):
    presets: list[ShownPreset]


def _catalogue() -> Catalogue:
    return Catalogue(
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
    )


CATALOGUE = _catalogue()
"""Without what the settings say: the formats that are read, and the presets."""


@describe(
    "Catalogue",
    Answer(
        200,
        "The catalogue.",
        Catalogue,
        {"one": msgspec.structs.replace(CATALOGUE, operations=CATALOGUE.operations[:1], input=["jpeg", "png"])},
    ),
)
async def operations(request: Request) -> Response:
    """List the operations and the form of outputs, each parameter with its bounds, and the formats that are read."""
    settings, presets = request.state["settings"], request.state["presets"]
    return json_response(
        msgspec.structs.replace(
            CATALOGUE,
            input=[known.value for known in settings.input_formats],
            presets=list(presets.by_name),
            only_presets=presets.is_only,
        )
    )


@describe(
    "Catalogue",
    Answer(
        200,
        "The presets.",
        PresetList,
        {"one": PresetList([ShownPreset("thumbnail", "A square for lists.", **plan_view(DONE.spec.plan))])},
    ),
)
async def presets(request: Request) -> Response:
    """List the presets, each as it is understood."""
    return json_response(PresetList(request.state["presets"].view()))
