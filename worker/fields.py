"""Text in, typed values out: the one reader of form fields and environment variables."""

import math
from collections.abc import Mapping
from enum import EnumMeta
from typing import Any

import msgspec
from msgspec import inspect


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with one field, and what is allowed there."""

    field: str
    message: str


def convert_fields(struct: type[msgspec.Struct], texts: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Convert those of `texts` that `struct` has a field for; return the values and every problem found."""
    values: dict[str, Any] = {}
    problems = []
    for field in msgspec.structs.fields(struct):
        if field.name not in texts:
            continue
        text = texts[field.name]
        try:
            values[field.name] = _convert(text, field.type)
        except msgspec.ValidationError:
            choice = allowed(inspect.type_info(field.type))
            problems.append(Problem(field.name, f"{shortened(text)} is not allowed; give {choice}"))
    return values, problems


def _convert(text: str, kind: Any) -> Any:
    value = msgspec.convert(text, kind, strict=False)
    # msgspec reads "null" as None and "nan" and "inf" as floats; none of them is a value that a person means.
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise msgspec.ValidationError(text)
    return value


def shortened(text: str) -> str:
    """Quote what a client sent, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def allowed(kind: inspect.Type) -> str:
    """Say in words which values a type admits: "a whole number from 1 to 100"."""
    match kind:
        case inspect.Metadata(type=inner):
            return allowed(inner)
        case inspect.UnionType(types=types):
            return " or ".join(allowed(inner) for inner in types if not isinstance(inner, inspect.NoneType))
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
        case inspect.StrType(pattern=None):
            return "text"
        case inspect.StrType(pattern=pattern):
            return f"text that matches {pattern}"
    raise TypeError(f"no words for {kind!r}; add them here")


def _members(enum: EnumMeta) -> list[Any]:
    return list(enum)


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
