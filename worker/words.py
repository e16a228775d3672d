"""What a field admits and what a client sent, in words for problem documents."""

from enum import EnumMeta
from typing import Any

import msgspec
from msgspec import inspect


def shortened(value: Any) -> str:
    """Quote what a client sent, at most 40 characters of it."""
    if not isinstance(value, str):
        try:
            text = msgspec.json.encode(value).decode()
        except RecursionError:  # it could just be read, with fewer calls on the stack
            return "what is nested so deeply"
        return text if len(text) <= 40 else text[:37] + "..."
    text = value
    return repr(text if len(text) <= 40 else text[:37] + "...")


def allowed(kind: inspect.Type) -> str:  # noqa: C901, PLR0911, PLR0912 - a table
    """Say in words which values a type admits: "a whole number from 1 to 100"."""
    match kind:
        case inspect.Metadata(extra={"allowed": words}):
            return str(words)
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
        case inspect.StrType(pattern=None, max_length=None):
            return "text"
        case inspect.StrType(pattern=None, max_length=most):
            return f"text of {kind.min_length or 0} to {most} characters"
        case inspect.StrType(pattern=pattern):
            return f"text that matches {pattern}"
        case inspect.VarTupleType(item_type=inspect.EnumType() as items):
            return f"some {allowed(items).removeprefix('one ')}, with commas"
        case inspect.VarTupleType(item_type=inspect.StructType(cls=items)):
            return f"a list of {_lengths(kind)}objects {{{', '.join(items.__struct_fields__)}}}"
    raise TypeError(f"no words for {kind!r}; add them here")


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
