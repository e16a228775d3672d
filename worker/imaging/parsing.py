"""Parse form fields to a `Plan`, or raise `InvalidParameters` with all problems."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from worker.imaging.formats import ALIASES, InputFormat
from worker.imaging.guards import Limits
from worker.imaging.pipeline import ImpossibleStep, check_sizes
from worker.imaging.plan import Output, Plan, Variant
from worker.operations import OPERATIONS
from worker.operations.base import Operation
from worker.pixels.geometry import Size
from worker.validation.fields import Problem, convert_fields, decode_json, missing_fields, shorten, suggestion

MAX_VARIANTS = 20

VARIANT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

_ONE_OF = f"one of {', '.join(OPERATIONS)}"

_MEANT = "; to only convert the format, send format and no operation"

_REQUEST = (
    "operation",
    "operations",
    "variants",
    "preset",
    "file",
    "url",
    "source",
    "overlay",
    "callback_url",
    "output_url",
    "output_prefix",
    "priority",
    "queue_group",
    "start_at",
    "expires_in",
    "reuse",
    "tags",
)
"""Fields of a request besides those of operations and outputs, for suggestions."""

SYNONYMS = {"greyscale": "grayscale", "thumbnail": "resize", "scale": "resize", "mirror": "flip", "gray": "grayscale"}
"""Names of operations in other libraries, for suggestions."""

_OUTPUT = Output.__struct_fields__


MAX_PROBLEMS = 100
"""Maximum number of problems in a response: 64 KB of unknown names made 1.7 MB of them."""


class InvalidParameters(Exception):
    """The fields of the request are invalid; `problems` has all of them, `shown` those for a response."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = self.shown = problems
        if len(problems) > MAX_PROBLEMS:
            more = Problem("", f"and {len(problems) - MAX_PROBLEMS:,} more problems")
            self.shown = [*problems[:MAX_PROBLEMS], more]
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in self.shown))


def parse_plan(
    fields: Mapping[str, str], source: InputFormat | None, max_operations: int, *, has_overlay: bool | None = False
) -> Plan:
    """Build the plan for an upload in the format `source`, or raise `InvalidParameters` with every problem.

    `source` is None if the upload has not been fetched or was rejected; the fields are still checked, so that one
    response names all problems. `has_overlay` is None if it is not known.
    """
    parser = _Parser(source, max_operations)
    if "variants" in fields:
        variants = parser.variants(fields)
    elif "operations" in fields:
        variants = {"": parser.pipeline(fields)}
    elif "format" in fields and set(fields) <= set(_OUTPUT):
        variants = {"": parser.pipeline({**fields, "operations": "[]"})}
    else:
        variants = {"": parser.single(fields)}
    plan = Plan(variants)
    if not parser.problems and has_overlay is not None:
        parser.problems += _overlay_problems(plan, has_overlay)
    if parser.problems:
        raise InvalidParameters(parser.problems)
    return plan


def check_plan_sizes(plan: Plan, size: Size, limits: Limits) -> None:
    """Raise `InvalidParameters` for operations that are not possible with an upload of this size."""
    problems = []
    for name, variant in plan.variants.items():
        try:
            check_sizes(variant.operations, size, 1, limits)
        except ImpossibleStep as exc:
            field = f"variants.{name}.operations" if name else "operations" if len(variant.operations) > 1 else ""
            problems.append(Problem(f"{field}[{exc.number}]" if field else "operation", str(exc.reason)))
    if problems:
        raise InvalidParameters(problems)


def _overlay_problems(plan: Plan, has_overlay: bool) -> list[Problem]:
    if plan.uses_overlay and not has_overlay:
        return [Problem("overlay", "is missing; send the image to place over the first as a second file")]
    if has_overlay and not plan.uses_overlay:
        return [Problem("overlay", "is not used by any operation; omit it, or add the operation watermark")]
    return []


class _Parser:
    """Builds the plan and collects problems."""

    def __init__(self, source: InputFormat | None, max_operations: int) -> None:
        self._source = source
        self._max_operations = max_operations
        self.problems: list[Problem] = []

    def single(self, fields: Mapping[str, str]) -> Variant:
        """Parse a single operation, whose parameters are fields of the form."""
        output = self._output(fields, "", is_text=True)
        # A parameter that the output has as well, such as background, applies to both.
        kind = OPERATIONS.get(fields.get("operation", ""))
        own = kind.__struct_fields__ if kind is not None else ()
        step = self._step(
            {name: text for name, text in fields.items() if name not in _OUTPUT or name in own}, "", is_text=True
        )
        return self._variant((step,) if step is not None else (), output, "")

    def pipeline(self, fields: Mapping[str, str]) -> Variant:
        """Parse `operations`, a JSON array."""
        output = self._output(fields, "", is_text=True)
        for name in fields:
            if name not in ("operations", *_OUTPUT):
                self._add(name, "cannot be combined with operations; set the parameters in each operation")
        value = self._json("operations", fields["operations"], list)
        return self._variant(() if value is None else self._steps(value, "operations"), output, "")

    def variants(self, fields: Mapping[str, str]) -> dict[str, Variant]:
        """Parse `variants`, a JSON object: name -> operations, format, quality, ..."""
        for name in fields:
            if name != "variants":
                self._add(name, "cannot be combined with variants; set it in each variant")
        value = self._json("variants", fields["variants"], dict)
        if value is not None and not 1 <= len(value) <= MAX_VARIANTS:
            self._add("variants", f"must have 1 to {MAX_VARIANTS} entries; got {len(value)}")
            value = None
        return {name: self._with_name(name, variant) for name, variant in (value or {}).items()}

    def _with_name(self, name: str, variant: Any) -> Variant:
        prefix = f"variants.{name[:32]}"
        if not VARIANT_NAME.fullmatch(name):
            self._add(prefix, "is not a valid name; use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit")
        if not isinstance(variant, dict):
            self._add(prefix, f"must be an object {{operations, {', '.join(_OUTPUT)}}}; got {shorten(variant)}")
            return Variant((), Output())
        for field in variant:
            if field not in ("operations", *_OUTPUT):
                self._add(f"{prefix}.{field}", f"is not allowed here; allowed: operations, {', '.join(_OUTPUT)}")
        output = self._output(variant, f"{prefix}.", is_text=False)
        return self._variant(self._steps(variant.get("operations", []), f"{prefix}.operations"), output, f"{prefix}.")

    def _variant(self, operations: tuple[Operation, ...], output: Output, prefix: str) -> Variant:
        variant = Variant(operations, output)
        if variant.is_report:
            for name in _OUTPUT:
                if name not in ("frame", "on_damage") and getattr(output, name) != getattr(Output(), name):
                    self._add(f"{prefix}{name}", "does not apply to a JSON result; omit it")
        self.problems += [Problem(prefix + each.field, each.message) for each in variant.problems(self._source)]
        return variant

    def _output(self, value: Mapping[str, Any], prefix: str, *, is_text: bool) -> Output:
        format_name = value.get("format")
        if isinstance(format_name, str) and format_name in ALIASES:
            value = {**value, "format": ALIASES[format_name]}
        values, problems = convert_fields(Output, value, prefix, is_text=is_text)
        self.problems += problems
        return Output(**values)

    def _steps(self, value: Any, name: str) -> tuple[Operation, ...]:
        if not isinstance(value, list) or not all(isinstance(step, dict) for step in value):
            self._add(name, f'must be a list like [{{"operation": "grayscale"}}]; got {shorten(value)}')
            return ()
        if len(value) > self._max_operations:
            self._add(name, f"must have at most {self._max_operations} entries; got {len(value)}")
            return ()
        steps = [self._step(step, f"{name}[{number}].", is_text=False) for number, step in enumerate(value)]
        for number, step in enumerate(steps[:-1]):
            if step is not None and step.is_report:
                self._add(f"{name}[{number}]", "does not return an image; it must be the last operation")
        return tuple(step for step in steps if step is not None)

    def _step(self, value: Mapping[str, Any], prefix: str, *, is_text: bool) -> Operation | None:
        name = value.get("operation")
        if name is None:
            self._add(f"{prefix}operation", f"is missing; must be {_ONE_OF}{_MEANT if is_text else ''}")
            return None
        kind = OPERATIONS.get(name) if isinstance(name, str) else None
        if kind is None:
            hint = _MEANT if name == "convert" else suggestion(SYNONYMS.get(str(name).lower(), name), OPERATIONS)
            self._add(f"{prefix}operation", f"unknown operation {shorten(name)}; must be {_ONE_OF}{hint}")
            return None
        known = kind.__struct_fields__
        takes = ", ".join(dict.fromkeys((*known, *_OUTPUT)) if is_text else known) or "none"
        values, problems = convert_fields(kind, value, prefix, is_text=is_text)
        problems += [
            Problem(
                prefix + field,
                f"is not a parameter of {name}, which takes {takes}{suggestion(field, (*known, *_OUTPUT, *_REQUEST))}",
            )
            for field in value
            if field not in (*known, "operation")
        ]
        problems += missing_fields(kind, value, prefix)
        self.problems += problems
        if problems:
            return None
        step = kind(**values)
        self.problems += [Problem(prefix + each.field, each.message) for each in step.problems()]
        return step

    def _json(self, name: str, text: str, kind: type) -> Any:
        try:
            value = decode_json(text)
        except msgspec.DecodeError as exc:
            self._add(name, f"is not valid JSON: {exc}")
            return None
        if not isinstance(value, kind):
            self._add(name, f"must be a JSON {'array' if kind is list else 'object'}; got {shorten(value)}")
            return None
        return value

    def _add(self, field: str, message: str) -> None:
        self.problems.append(Problem(field, message))
