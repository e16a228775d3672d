"""What a client asks for: the operations and the form of the output, parsed from form fields."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from worker.fields import Problem, convert_fields, missing_fields
from worker.formats import ImageFormat
from worker.operations import OPERATIONS, AnyOperation
from worker.operations.base import Operation
from worker.words import shortened

_DEFAULT_QUALITIES = ", ".join(
    f"{choice.default_quality} for {choice.value}" for choice in ImageFormat if choice.default_quality is not None
)


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the result is written."""

    format: Annotated[ImageFormat, Meta(description="Format of the result; the upload's own when not given.")]
    quality: (
        Annotated[
            int,
            Meta(ge=1, le=100, description=f"Encoder quality. Not given: {_DEFAULT_QUALITIES}."),
        ]
        | None
    ) = None


class Plan(Struct, frozen=True):
    """The checked wish: operations in order, then the output."""

    operations: tuple[AnyOperation, ...]
    output: Output


class InvalidParameters(Exception):
    """The request's fields cannot be carried out; `problems` names every one."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


def parse_plan(fields: Mapping[str, str], source: ImageFormat | None) -> Plan:
    """Build the plan for an upload in the format `source`, or raise `InvalidParameters` with every problem.

    `source` is None where the upload itself was refused: the fields are still checked, so that one answer names all.
    """
    values, problems = convert_fields(Output, fields)
    output = Output(**{"format": source or ImageFormat.PNG, **values})
    if output.quality is not None and output.format.default_quality is None and (source or "format" in values):
        problems.append(Problem("quality", f"{output.format.value} has none; leave it out or choose another format"))
    operation, operation_problems = _parse_operation(
        {name: text for name, text in fields.items() if name not in Output.__struct_fields__}
    )
    problems += operation_problems
    if problems or operation is None:
        raise InvalidParameters(problems)
    return Plan((operation,), output)


def _parse_operation(fields: dict[str, str]) -> tuple[Operation | None, list[Problem]]:
    name = fields.pop("operation", None)
    choices = f"one of {', '.join(OPERATIONS)}"
    if name is None:
        return None, [Problem("operation", f"is missing; give {choices}")]
    if name not in OPERATIONS:
        return None, [Problem("operation", f"{shortened(name)} is not an operation; give {choices}")]
    kind = OPERATIONS[name]
    values, problems = convert_fields(kind, fields)
    takes = ", ".join((*kind.__struct_fields__, *Output.__struct_fields__))
    problems += [
        Problem(field, f"is not a parameter of {name}, which takes {takes}")
        for field in fields
        if field not in kind.__struct_fields__
    ]
    problems += missing_fields(kind, fields)
    if problems:
        return None, problems
    operation = kind(**values)
    problems += operation.problems()
    return operation, problems
