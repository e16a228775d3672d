"""Presets from a TOML file: `preset=thumbnail` instead of operations and their parameters.

Each table is a form: the same fields with the same checks, in TOML's own numbers, lists and tables; beside them a
`description`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.tasks.views import ShownVariant, Step, WholeOutput, plan_view
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import VARIANT_NAME, InvalidParameters, parse_plan
from worker.imaging.plan import Plan
from worker.settings import InvalidSettings, Settings
from worker.validation.fields import Problem, shorten


class Preset(Struct, frozen=True):
    """One table of the file."""

    description: str | None
    fields: Mapping[str, str]
    """Those of the form that it stands for."""
    plan: Plan


class ShownPreset(Struct, frozen=True):
    """A preset's name, its description if it has one, and how it was understood: with every default."""

    preset: str
    description: str | UnsetType = UNSET
    variants: dict[str, ShownVariant] | UnsetType = UNSET
    operations: list[Step] | UnsetType = UNSET
    output: WholeOutput | UnsetType = UNSET


class Presets(Struct, frozen=True):
    """The file's presets by name."""

    by_name: Mapping[str, Preset]
    is_only: bool
    """Whether a request must name one."""

    def form_fields(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Return the fields that a request means: those of the preset that it names, or its own."""
        if "preset" not in given and not self.is_only:
            return given
        message = (
            "cannot be combined with preset" if "preset" in given else "is not accepted by this server; use a preset"
        )
        problems = [Problem(name, message) for name in given if name != "preset"]
        preset = self.by_name.get(given.get("preset", ""))
        if preset is None:
            problems.append(self._unknown(given.get("preset")))
        if preset is None or problems:
            raise InvalidParameters(problems)
        return preset.fields

    def _unknown(self, name: str | None) -> Problem:
        choices = f"choose one of {', '.join(self.by_name)}" if self.by_name else "this server has none"
        return Problem(
            "preset", f"is missing; {choices}" if name is None else f"{shorten(name)} is not a preset; {choices}"
        )

    def view(self) -> list[ShownPreset]:
        """Return each as JSON shows it."""
        return [
            ShownPreset(name, UNSET if preset.description is None else preset.description, **plan_view(preset.plan))
            for name, preset in self.by_name.items()
        ]


def read_presets(path: str | None, settings: Settings, *, is_only: bool) -> Presets:
    """Read the presets in the file at `path`, if there is one; raise `InvalidSettings` with every problem of each.

    `settings` has the upload formats for which they are checked, and the limits.
    """
    if path is None:
        return Presets({}, is_only=False)
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as exc:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise InvalidSettings(f"PRESETS_FILE: {path}: {exc}") from exc
    problems: list[str] = []
    by_name = {name: preset for name, table in tables.items() if (preset := _preset(name, table, settings, problems))}
    if not tables:
        problems.append("has no preset; give each a table such as [thumbnail]")
    if problems:
        raise InvalidSettings(f"PRESETS_FILE: {path}: {'; '.join(problems)}")
    return Presets(by_name, is_only)


def _preset(name: str, table: Any, settings: Settings, problems: list[str]) -> Preset | None:
    """Check one table for every format that may be uploaded; add what is wrong to `problems`, each with its field."""
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
    fields = {field: _text(value) for field, value in msgspec.to_builtins(table).items()}
    plan, found = _parsed(fields, settings)
    problems += [f"[{name}] {problem}" for problem in found]
    return None if plan is None else Preset(description, fields, plan)


def _parsed(fields: Mapping[str, str], settings: Settings) -> tuple[Plan | None, list[str]]:
    """Return the plan, which is the same for every format, and what is wrong with it for which uploads."""
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


def _text(value: Any) -> str:
    """Write a value as a form has it."""
    return msgspec.json.encode(value).decode() if isinstance(value, bool | list | dict) else str(value)
