"""OpenAPI metadata of route handlers, which `app.openapi.document` turns into the documentation."""

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
    """A header of a request or a response, or a query parameter."""

    name: str
    description: str
    example: str | int
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})
    place: Literal["header", "query"] = "header"
    is_required: bool = False
    """Whether a request must have it."""


class Answer(Struct, frozen=True):
    """A possible response of a route, other than a problem document."""

    status: int
    description: str
    kind: Any = None
    """The type of the JSON body, if there is one."""
    examples: Mapping[str, Any] = NOTHING
    """Name -> example of the body."""
    media_types: Sequence[str] = ()
    """Media types of the body besides that of `kind`."""
    headers: Sequence[Header] = ()
    links: Sequence[str] = ()
    """Names of the handlers of routes that accept the id of the task in the response (OpenAPI links)."""
    kind_type: str = JSON
    """The media type of `kind`."""


class Body(Struct, frozen=True):
    """The body of a request, as JSON or as a form of either media type."""

    kind: type[Struct]
    example: Struct


class Description(Struct, frozen=True):
    """The metadata of a route besides its path, its method and the docstring of its handler."""

    tag: str
    answers: Sequence[Answer]
    problems: Sequence[type[Exception]]
    query: type[Struct] | None
    headers: Sequence[Header]
    body: Body | Literal["form", "batch"] | None


_DESCRIPTIONS: dict[Handler, Description] = {}


def describe(
    tag: str,
    *answers: Answer,
    problems: Sequence[type[Exception]] = (),
    query: type[Struct] | None = None,
    headers: Sequence[Header] = (),
    body: Body | Literal["form", "batch"] | None = None,
) -> Callable[[AnyHandler], AnyHandler]:
    """Attach OpenAPI metadata to a route handler; `problems` are keys of `PROBLEM_TYPES`."""

    def described(handler: AnyHandler) -> AnyHandler:
        _DESCRIPTIONS[handler] = Description(tag, answers, problems, query, headers, body)
        return handler

    return described


def description_of(handler: Handler) -> Description:
    """Return the metadata of a handler; raise `KeyError` if it has none."""
    return _DESCRIPTIONS[handler]


def texts_of(handler: Handler) -> tuple[str, str]:
    """Return the first paragraph of a handler's docstring, as one line without its full stop, and the rest."""
    summary, _, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), rest
