"""What a route takes and answers, said beside its handler; `app.openapi.document` makes the documentation of it."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from worker.imaging.formats import OutputFormat

Handler = Callable[[Request[Any]], Awaitable[Response]]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

JSON = "application/json"

PICTURES = tuple(known.media_type for known in OutputFormat)

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Header(Struct, frozen=True):
    """A header, or another parameter, of a request or an answer."""

    name: str
    description: str
    example: str | int
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})
    place: Literal["header", "query"] = "header"


class Answer(Struct, frozen=True):
    """One way in which a request may be answered, other than by a problem document."""

    status: int
    description: str
    kind: Any = None
    """The type that is sent as JSON, if any."""
    examples: Mapping[str, Any] = NOTHING
    """Name -> what is sent as JSON, or as text."""
    media_types: Sequence[str] = ()
    """What else it may be than JSON."""
    headers: Sequence[Header] = ()
    links: Sequence[str] = ()
    """Handlers' names of routes that take the answer's task."""
    kind_type: str = JSON
    """The media type of `kind`."""


class Body(Struct, frozen=True):
    """What a request may carry, as JSON or as a form of either kind."""

    kind: type[Struct]
    example: Struct


class Description(Struct, frozen=True):
    """What is known of a route beside its path, its method and the docstring of its handler."""

    tag: str
    answers: Sequence[Answer]
    problems: Sequence[type[Exception]]
    query: type[Struct] | None
    headers: Sequence[Header]
    body: Body | Literal["form"] | None


_DESCRIPTIONS: dict[Handler, Description] = {}


def describe(
    tag: str,
    *answers: Answer,
    problems: Sequence[type[Exception]] = (),
    query: type[Struct] | None = None,
    headers: Sequence[Header] = (),
    body: Body | Literal["form"] | None = None,
) -> Callable[[AnyHandler], AnyHandler]:
    """Say of a handler what its docstring does not; `problems` are of `app.http.problems.PROBLEM_TYPES`."""

    def described(handler: AnyHandler) -> AnyHandler:
        _DESCRIPTIONS[handler] = Description(tag, answers, problems, query, headers, body)
        return handler

    return described


def description_of(handler: Handler) -> Description:
    """Return what was said of a handler; raises `KeyError` when nothing was."""
    return _DESCRIPTIONS[handler]


def texts_of(handler: Handler) -> tuple[str, str]:
    """Return the first paragraph of a handler's docstring, as one line without its full stop, and all the others."""
    summary, _, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), rest
