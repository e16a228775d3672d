"""Convert form fields to typed values, and describe invalid ones for problem documents."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import EnumMeta
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect


def shorten(value: Any) -> str:
    """Quote a value from a client, shortened to 40 characters."""
    if not isinstance(value, str):
        try:
            text = msgspec.json.encode(value).decode()
        except RecursionError:  # it was just shallow enough for the decoder
            return "a deeply nested value"
        return text if len(text) <= 40 else text[:37] + "..."
    text = value
    return repr(text if len(text) <= 40 else text[:37] + "...")


def suggestion(text: Any, choices: Iterable[str]) -> str:
    """Return "; did you mean ...?" for the choice that is most like a text, or an empty string if none is."""
    if not isinstance(text, str):
        return ""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(text.strip().lower().replace("-", "_")[:40], by_lower, n=1, cutoff=0.7)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def describe_allowed(kind: inspect.Type) -> str:  # noqa: C901, PLR0911 - a table
    """Describe the values that a type allows: "a whole number from 1 to 100"."""
    match kind:
        case inspect.Metadata(extra={"allowed": words}):
            return str(words)
        case inspect.Metadata(type=inner):
            return describe_allowed(inner)
        case inspect.UnionType(types=types):
            return " or ".join(describe_allowed(inner) for inner in types if not isinstance(inner, inspect.NoneType))
        case inspect.IntType():
            return "a whole number" + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case inspect.LiteralType(values=choices):
            return "one of " + ", ".join(map(str, choices))
        case inspect.EnumType(cls=members):
            return "one of " + ", ".join(str(member.value) for member in _members(members))
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(pattern=None, max_length=None):
            return "text"
        case inspect.StrType(pattern=None, max_length=most):
            return f"text of {kind.min_length or 0} to {most} characters"
        case inspect.VarTupleType(item_type=inspect.EnumType() as items):
            return f"one or more {describe_allowed(items).removeprefix('one ')}, comma-separated"
        case inspect.VarTupleType(item_type=inspect.StructType(cls=items)):
            return f"a list of {_lengths(kind)}objects {{{', '.join(items.__struct_fields__)}}}"
    raise TypeError(f"no description for {kind!r}; add one here")


def _members(enum: EnumMeta) -> list[Any]:
    return list(enum)


def _lengths(kind: inspect.VarTupleType) -> str:
    if kind.max_length is None:
        return ""
    return f"{kind.min_length or 0} to {kind.max_length} "


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    words = [
        f"{relation} {bound}"
        for relation, bound in (
            ("greater than", kind.gt),
            ("at least", kind.ge),
            ("less than", kind.lt),
            ("at most", kind.le),
        )
        if bound is not None
    ]
    return " " + " and ".join(words) if words else ""


class Problem(msgspec.Struct, frozen=True):
    """A problem with a field: the field and a message that says what is allowed."""

    field: str
    message: str


def decode_json(text: str) -> Any:
    """Decode JSON; raise `msgspec.DecodeError` also for JSON that is nested too deeply."""
    try:
        return msgspec.json.decode(text)
    except RecursionError as exc:
        raise msgspec.DecodeError("it is nested too deeply") from exc


@dataclass(frozen=True)
class _Field:
    """A field of a struct, as msgspec describes it."""

    name: str
    type: Any
    info: inspect.Type
    required: bool


@cache
def _fields_of(struct: type[msgspec.Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.name, field.type, inspect.type_info(field.type), field.required)
        for field in msgspec.structs.fields(struct)
    )


def convert_fields(
    struct: type[msgspec.Struct], values_by_name: Mapping[str, Any], prefix: str = "", *, is_text: bool = True
) -> tuple[dict[str, Any], list[Problem]]:
    """Convert the values for the fields of `struct`; return the converted values and all problems.

    With `is_text`, values are text and are parsed by the type of the field (lists as JSON); otherwise they come from
    JSON and must have the type of the field. Problems name the field with `prefix` before it.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in _fields_of(struct):
        if field.name not in values_by_name:
            continue
        value, field_problems = _convert(values_by_name[field.name], field, prefix + field.name, is_text=is_text)
        problems += field_problems
        if not field_problems:
            values[field.name] = value
    return values, problems


def unknown_fields(
    struct: type[msgspec.Struct], values_by_name: Mapping[str, Any], prefix: str, owner: str
) -> list[Problem]:
    """Return a problem for each name without a field in `struct`; `owner` describes the struct in messages."""
    takes = ", ".join(struct.__struct_fields__) or "none"
    return [
        Problem(prefix + name[:100], f"is not a parameter of {owner}, which takes {takes}")
        for name in values_by_name
        if name not in struct.__struct_fields__
    ]


def _convert(value: Any, field: _Field, name: str, *, is_text: bool) -> tuple[Any, list[Problem]]:
    info, given = field.info, value
    if is_text and _is_word_list(info):
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON Schema has one kind of number: 400.0 is an integer (6.1.1)
    if (items := _struct_items(info)) is not None:
        if is_text:
            with suppress(msgspec.DecodeError):
                value = decode_json(value)
        return _convert_items(value, items, info, name)
    try:
        converted = msgspec.convert(value, field.type, strict=not is_text)
        for check in _checks(info) if converted is not None else ():
            check(converted)
        # msgspec parses "null" as None and "nan" and "inf" as floats, which are not valid here.
        is_meant = converted is not None and (not isinstance(converted, float) or math.isfinite(converted))
    except ValueError:  # including msgspec's ValidationError
        is_meant = False
    if not is_meant:
        choices = _choices(info)
        wrong = [item for item in (value if isinstance(value, list) else [value]) if item not in choices]
        hint = suggestion(wrong[0], choices) if wrong else ""
        return None, [Problem(name, f"must be {describe_allowed(info)}; got {shorten(given)}{hint}")]
    return converted, []


def _choices(info: inspect.Type) -> list[str]:
    """Return the texts that a type, or one of its items, allows if they are choices."""
    match info:
        case inspect.Metadata(type=inner):
            return _choices(inner)
        case inspect.UnionType(types=types):
            return [choice for inner in types for choice in _choices(inner)]
        case inspect.VarTupleType(item_type=items):
            return _choices(items)
        case inspect.LiteralType(values=choices):
            return list(map(str, choices))
        case inspect.EnumType(cls=members):
            return [str(member.value) for member in _members(members)]
    return []


def _checks(info: inspect.Type) -> Iterator[Callable[[Any], object]]:
    """Yield the check functions of a type, which raise `ValueError`."""
    match info:
        case inspect.Metadata(type=inner):
            if info.extra is not None and "check" in info.extra:
                yield info.extra["check"]
            yield from _checks(inner)
        case inspect.StrType(pattern=str()):
            yield _refuse_last_newline
        case inspect.UnionType(types=types):
            for each in types:
                yield from _checks(each)


def _refuse_last_newline(text: str) -> None:
    """Raise `ValueError` for a newline at the end, which `$` in Python's patterns does not see (unlike JSON Schema)."""
    if text.endswith("\n"):
        raise ValueError(text)


def _struct_items(info: inspect.Type) -> inspect.StructType | None:
    """Return the struct of the items of a list; None for every other type."""
    match info:
        case inspect.Metadata(type=inner):
            return _struct_items(inner)
        case inspect.VarTupleType(item_type=inspect.StructType() as items):
            return items
    return None


def _is_word_list(info: inspect.Type) -> bool:
    """Return whether the text form of a type is comma-separated."""
    match info:
        case inspect.Metadata(type=inner):
            return _is_word_list(inner)
        case inspect.VarTupleType(item_type=items):
            items = items.type if isinstance(items, inspect.Metadata) else items
            return isinstance(items, inspect.EnumType | inspect.StrType)
    return False


def _convert_items(value: Any, items: inspect.StructType, info: inspect.Type, name: str) -> tuple[Any, list[Problem]]:
    bounds = info.type if isinstance(info, inspect.Metadata) else info
    least, most = bounds.min_length or 0, bounds.max_length or math.inf  # type: ignore[attr-defined]
    is_objects = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if not is_objects or not least <= len(value) <= most:
        return None, [Problem(name, f"must be {describe_allowed(info)}; got {shorten(value)}")]
    converted, problems = [], []
    for number, item in enumerate(value):
        fields, item_problems = convert_fields(items.cls, item, f"{name}[{number}].", is_text=False)
        item_problems += unknown_fields(items.cls, item, f"{name}[{number}].", f"{name}[{number}]")
        item_problems += missing_fields(items.cls, item, f"{name}[{number}].")
        problems += item_problems
        if not item_problems:
            converted.append(items.cls(**fields))
    return tuple(converted), problems


def missing_fields(struct: type[msgspec.Struct], values_by_name: Mapping[str, Any], prefix: str = "") -> list[Problem]:
    """Return a problem for each missing field of `struct` that has no default."""
    return [
        Problem(prefix + field.name, f"is missing; must be {describe_allowed(field.info)}")
        for field in _fields_of(struct)
        if field.required and field.name not in values_by_name
    ]
