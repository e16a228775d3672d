"""Presets from a TOML file: `preset=thumbnail` instead of operations and their parameters.

Each table has the fields of the form, with the same checks, as TOML numbers, lists and tables, and an optional
`description`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.tasks.views import Step, VariantView, WholeOutput, plan_view
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import VARIANT_NAME, InvalidParameters, parse_plan
from worker.imaging.plan import Plan
from worker.settings import InvalidSettings, Settings
from worker.validation.fields import Problem, shorten


class Preset(Struct, frozen=True):
    """A table of the file."""

    description: str | None
    fields: Mapping[str, str]
    """The form fields that the preset stands for."""
    plan: Plan


class PresetView(Struct, frozen=True):
    """The name and the description of a preset, and its operations and output including defaults."""

    preset: str
    description: str | UnsetType = UNSET
    variants: dict[str, VariantView] | UnsetType = UNSET
    operations: list[Step] | UnsetType = UNSET
    output: WholeOutput | UnsetType = UNSET


class Presets(Struct, frozen=True):
    """The presets by name."""

    by_name: Mapping[str, Preset]
    is_required: bool
    """Whether requests must use a preset."""

    def form_fields(self, fields: Mapping[str, str]) -> Mapping[str, str]:
        """Return the fields of the preset that a request names, or else its own fields."""
        if "preset" not in fields and not self.is_required:
            return fields
        message = (
            "cannot be combined with preset" if "preset" in fields else "is not accepted by this server; use a preset"
        )
        problems = [Problem(name, message) for name in fields if name != "preset"]
        preset = self.by_name.get(fields.get("preset", ""))
        if preset is None:
            problems.append(self._unknown(fields.get("preset")))
        if preset is None or problems:
            raise InvalidParameters(problems)
        return preset.fields

    def _unknown(self, name: str | None) -> Problem:
        choices = f"choose one of {', '.join(self.by_name)}" if self.by_name else "this server has no presets"
        return Problem(
            "preset", f"is missing; {choices}" if name is None else f"unknown preset {shorten(name)}; {choices}"
        )

    def view(self) -> list[PresetView]:
        """Return the presets as JSON views."""
        return [
            PresetView(name, UNSET if preset.description is None else preset.description, **plan_view(preset.plan))
            for name, preset in self.by_name.items()
        ]


def read_presets(path: str | None, settings: Settings, *, is_required: bool) -> Presets:
    """Read the presets from the file at `path`, if it is set; raise `InvalidSettings` naming every problem.

    The presets are checked for the upload formats and the limits of `settings`.
    """
    if path is None:
        return Presets({}, is_required=False)
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as exc:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise InvalidSettings(f"PRESETS_FILE: {path}: {exc}") from exc
    problems: list[str] = []
    by_name = {name: preset for name, table in tables.items() if (preset := _preset(name, table, settings, problems))}
    if is_required and not tables:
        problems.append("must have at least one table such as [thumbnail]")
    if problems:
        raise InvalidSettings(f"PRESETS_FILE: {path}: {'; '.join(problems)}")
    return Presets(by_name, is_required)


def _preset(name: str, table: Any, settings: Settings, problems: list[str]) -> Preset | None:
    """Check a table for each input format; add its problems, with their fields, to `problems`."""
    if not VARIANT_NAME.fullmatch(name):
        problems.append(
            f"[{name}] is not a valid name; use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit"
        )
    if not isinstance(table, dict):
        problems.append(f"{name}: must be a table: [{name}]; got {shorten(msgspec.to_builtins(table))}")
        return None
    description = table.pop("description", None)
    if not isinstance(description, str | None):
        problems.append(f"[{name}] description: must be text; got {shorten(description)}")
    fields = {field: as_text(value) for field, value in msgspec.to_builtins(table).items()}
    plan, plan_problems = _parse_preset(fields, settings)
    problems += [f"[{name}] {problem}" for problem in plan_problems]
    return None if plan is None else Preset(description, fields, plan)


def _parse_preset(fields: Mapping[str, str], settings: Settings) -> tuple[Plan | None, list[str]]:
    """Return the plan, which is the same for each input format, and its problems with the formats concerned."""
    plan, affected = None, dict[Problem, list[InputFormat]]()
    for source in settings.input_formats:
        try:
            plan = parse_plan(fields, source, settings.max_operations, has_overlay=None)
        except InvalidParameters as exc:
            for problem in exc.problems:
                affected.setdefault(problem, []).append(source)
    return plan, [
        f"{problem.field}: {problem.message}"
        + ("" if len(sources) == len(settings.input_formats) else f" (for uploads in {_names(sources)})")
        for problem, sources in affected.items()
    ]


def _names(formats: list[InputFormat]) -> str:
    return ", ".join(each.value for each in formats)


def as_text(value: Any) -> str:
    """Convert a value of TOML or JSON to the text of a form field."""
    return msgspec.json.encode(value).decode() if isinstance(value, bool | list | dict) else str(value)
