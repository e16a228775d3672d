"""A request's query, read like a form."""

from typing import TypeVar

import msgspec

from app.state import Request
from worker.fields import Problem, convert_fields, unknown_fields
from worker.imaging.parsing import InvalidParameters

Query = TypeVar("Query", bound=msgspec.Struct)


def read_query(request: Request, kind: type[Query]) -> Query:
    """Build `kind` from the query's parameters, or raise `InvalidParameters` naming each wrong or unknown one."""
    given = request.query_params
    values, problems = convert_fields(kind, given)
    problems += unknown_fields(kind, given, "", "this request")
    problems += [Problem(name, "is given more than once") for name in given if len(given.getlist(name)) > 1]
    if problems:
        raise InvalidParameters(problems)
    return kind(**values)
