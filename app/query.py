"""A request's query, read like a form."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from app.state import Request
from worker.fields import Problem, convert_fields, missing_fields, unknown_fields
from worker.imaging.parsing import InvalidParameters

Query = TypeVar("Query", bound=msgspec.Struct)


def read_query(request: Request, kind: type[Query]) -> Query:
    """Build `kind` from the query's parameters, or raise `InvalidParameters` naming each wrong or unknown one."""
    return built(kind, request.query_params.multi_items())


def built(kind: type[Query], given: Sequence[tuple[str, Any]], *, is_text: bool = True) -> Query:
    """Build `kind` from names and values, texts unless they come from JSON; raise `InvalidParameters`."""
    fields = dict(given)
    values, problems = convert_fields(kind, fields, is_text=is_text)
    problems += missing_fields(kind, fields)
    problems += unknown_fields(kind, fields, "", "this request")
    counts = Counter(name for name, _ in given)
    problems += [Problem(name, "is given more than once") for name, count in counts.items() if count > 1]
    if problems:
        raise InvalidParameters(problems)
    return kind(**values)
