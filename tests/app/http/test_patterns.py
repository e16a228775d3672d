"""No text of a client's takes the event loop long: every pattern and every reader of a header, field, name or URL.

64 KB is the longest head, and the longest field of a form. Time is CPU time of this thread, the least of several runs.
"""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import inspect
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.routing import Route

import app
import worker
from app.api_settings import Settings
from app.auth.origins import OriginPolicy
from app.http.exceptions import ForeignOrigin, HostNotAllowed, InvalidKey, MalformedForm
from app.http.multipart import FormReader
from app.http.negotiation import bounded_header, prefers, wait_s
from app.http.parameters import parse_fields
from app.routes import make_routes
from app.routes.bulk import DeleteQuery, RetryQuery
from app.routes.event_streams import EventsQuery
from app.routes.monitoring import StatsQuery
from app.routes.results import _is_fresh, parse_range
from app.routes.session import SignIn
from app.routes.task_lists import ListQuery, TasksQuery
from app.server import MAX_TARGET_BYTES
from app.uploads.form_fields import safe_stem
from app.uploads.idempotency import parse_key
from app.uploads.locations import Locations, url_problems
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.parsing import InvalidParameters
from worker.imaging.plan import Output
from worker.operations import OPERATIONS
from worker.outbound.client import MAX_URL_LENGTH
from worker.tasks.status import TaskNotFound, parse_task_id
from worker.validation.fields import convert_fields, decode_json

LENGTH = 64 * 1024
LIMIT_S = 0.010
RUNS = 2

FILES = [path for package in (app, worker) for path in Path(package.__path__[0]).rglob("*.py")]


WAYS = ("search", "match", "fullmatch", "findall", "finditer", "sub", "split")


class Known(NamedTuple):
    """A pattern, and how it is applied."""

    pattern: re.Pattern[Any]
    ways: tuple[str, ...]


def literal_patterns() -> Iterator[tuple[str, Known]]:
    """Yield each pattern that is a literal in a call such as `re.fullmatch`, by its file and line."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=way),
                    args=[ast.Constant(value=str() | bytes() as pattern), *_],
                ) if way in WAYS:
                    yield f"{path.parent.name}/{path.name}:{node.lineno}", Known(re.compile(pattern), (way,))


def compiled_patterns() -> Iterator[tuple[str, Known]]:
    """Yield each compiled pattern that is an attribute of one of our modules, applied as its module does."""
    for package in (app, worker):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name.endswith("__main__"):
                continue
            module = importlib.import_module(info.name)
            text = Path(str(module.__file__)).read_text()
            for name, value in vars(module).items():
                ways = tuple(way for way in WAYS if f"{name}.{way}(" in text)
                if isinstance(value, re.Pattern) and ways:
                    yield f"{info.name}.{name}", Known(value, ways)
    for known in InputFormat:
        yield f"InputFormat.{known.name}", Known(known.mark, ("match",))


def field_patterns() -> Iterator[tuple[str, Known]]:
    """Yield the pattern of each field of a request or an operation; msgspec searches for it."""
    kinds: list[type[msgspec.Struct]] = [
        *OPERATIONS.values(),
        ListQuery,
        RetryQuery,
        DeleteQuery,
        StatsQuery,
        EventsQuery,
        SignIn,
        Output,
    ]
    for kind in kinds:
        for field in msgspec.structs.fields(kind):
            for each in types_of(inspect.type_info(field.type)):
                if isinstance(each, inspect.StrType) and each.pattern is not None:
                    yield f"{kind.__name__}.{field.name}", Known(re.compile(each.pattern), ("search",))


def types_of(info: inspect.Type) -> Iterator[inspect.Type]:
    yield info
    for inner in [getattr(info, "type", None), getattr(info, "item_type", None), *getattr(info, "types", ())]:
        if isinstance(inner, inspect.Type):
            yield from types_of(inner)


def route_patterns() -> Iterator[tuple[str, Known]]:
    for route in make_routes():
        if isinstance(route, Route):
            yield f"route {route.path}", Known(route.path_regex, ("match",))


PATTERNS = dict(chain(literal_patterns(), compiled_patterns(), field_patterns(), route_patterns()))

PIECES = [
    *(
        " ",
        "\t",
        ",",
        ";",
        "=",
        '"',
        "\\",
        "/",
        "-",
        ".",
        ":",
        "0",
        "1",
        "9",
        "a",
        "x",
        "Z",
        "_",
        "%",
        "&",
        "<",
        "[",
        "{",
        "`",
        "é",
    ),
    *(
        "\0",
        "\n",
        "\r\n",
        "a=",
        ";a=",
        ",a",
        'a="',
        '\\"',
        '",',
        "a,",
        "a;",
        "a.",
        ".a",
        "-a",
        "0.",
        "1-",
        "a=b;",
        "ab ",
        "/a",
    ),
    *("wait ", "../", "%2f", "a=b&", "a&", "signature=", "bytes=", "bearer ", "[::", "a:", "http://", "ftyp"),
    *("<xmp:Thumbnails", "tiff:Orientation="),
]
ENDINGS = ("", "!", '"')


def adversarial(start: str = "") -> list[str]:
    """Return long texts of each piece repeated behind `start`, ended as expected and not."""
    return [(start + piece * LENGTH)[: LENGTH - 1] + ending for piece in PIECES for ending in ENDINGS]


def is_quick(action: Callable[[Any], object], text: Any) -> bool:
    """Whether `action` keeps to the limit or, on a machine or under a tracer that is slow, grows with the length alone.

    Four times the text takes four times as long then; a quadratic pattern would take sixteen times.
    """
    long_s = least_s(action, text)
    return long_s < LIMIT_S or long_s < 8 * least_s(action, text[: LENGTH // 4])


def least_s(action: Callable[[Any], object], text: Any) -> float:
    """Return the least CPU time that `action` takes, as soon as one run keeps to the limit."""
    least = float("inf")
    for _ in range(RUNS):
        began = time.thread_time()
        action(text)
        least = min(least, time.thread_time() - began)
        if least < LIMIT_S and len(text) > LENGTH // 4:
            break
    return least


def beginning(pattern: str | bytes) -> str:
    """Return the literal beginning of a pattern, which brings a search into its middle."""
    text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
    literal = re.match(r"[\w ,:;=\"<>/-]*", re.sub(r"\\(.)|[\^$]|\(\?:|\(\?[^)]*\)", r"\1", text))
    return literal[0] if literal else ""


@pytest.mark.parametrize("place", PATTERNS)
def test_a_pattern_takes_no_long_time_on_any_text(place: str) -> None:
    pattern, ways = PATTERNS[place]
    actions: dict[str, Callable[[Any], object]] = {
        "sub": lambda subject: pattern.sub("" if isinstance(pattern.pattern, str) else b"", subject),
        "finditer": lambda subject: list(pattern.finditer(subject)),
    }
    for text in [text for start in {"", beginning(pattern.pattern)} for text in adversarial(start)]:
        subject = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
        for way in ways:
            action = actions.get(way) or getattr(pattern, way)
            assert is_quick(action, subject), (way, text[:20], text[-20:])


def test_there_are_patterns_of_every_kind() -> None:
    assert len(PATTERNS) > 40
    assert {"worker.imaging.containers.xmp._STALE", "app.http.middleware._SAFE_ID", "Watermark.text"} <= set(PATTERNS)


SETTINGS = Settings(webhook_secrets=("whsec_" + "A" * 32,), allowed_hosts=("images.example.org",))


def refused(action: Callable[[str], object], *errors: type[Exception]) -> Callable[[str], object]:
    """Return the action as one that may raise these errors, which are answers to a client."""

    def attempt(text: str) -> object:
        try:
            return action(text)
        except errors as exc:
            return exc

    return attempt


async def application(*_: object) -> None:
    """Nothing: the policy is asked, not called."""


def check_origin(text: str) -> None:
    """Read `text` as each of the headers that the policy looks at."""
    policy = OriginPolicy(application, has_keys=False, allowed_hosts=("images.example.org",), cors_origins=())
    for name in ("host", "origin", "sec-fetch-site"):
        scope = {"type": "http", "path": "/", "method": "POST"}
        with suppress(HostNotAllowed, ForeignOrigin):
            policy._check(scope, Headers({"host": "localhost", name: text}))


def is_fresh(name: str) -> Callable[[str], object]:
    return lambda text: _is_fresh(Headers({name: text}), '"x"', datetime(2026, 1, 1, tzinfo=UTC))


def form(text: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b""

    with suppress(MalformedForm):
        FormReader(bounded_header({"content-type": f"multipart/form-data; boundary={text}"}, "content-type"), body())


def query(text: str) -> object:
    """Read a query, which the server holds to 8 KB."""
    return parse_fields(TasksQuery, QueryParams(text[:MAX_TARGET_BYTES]).multi_items())


def part(text: str) -> None:
    """Read a part's header, which python-multipart holds to 4 KB."""
    parse_options_header("form-data; name=" + text[:4096])


READERS: dict[str, Callable[[str], object]] = {
    "Prefer": lambda text: wait_s({"prefer": text}),
    "Accept": lambda text: prefers(bounded_header({"accept": text}, "accept"), "image/png", "application/json"),
    "Range": lambda text: parse_range(text, 1000),
    "If-None-Match": is_fresh("if-none-match"),
    "If-Modified-Since": is_fresh("if-modified-since"),
    "Idempotency-Key": refused(lambda text: parse_key([text]), InvalidKey),
    "Content-Type": form,
    "Content-Disposition": part,
    "Cookie": cookie_parser,
    "Host, Origin, Sec-Fetch-Site": check_origin,
    "query": refused(
        lambda text: parse_fields(TasksQuery, QueryParams(text[:MAX_TARGET_BYTES]).multi_items()), InvalidParameters
    ),
    "file name": safe_stem,
    "task id": refused(parse_task_id, TaskNotFound),
    "url": lambda text: url_problems({"url": text, "callback_url": text}, SETTINGS),
    "name in a url": lambda text: Locations("http://a.example/" + text[:MAX_URL_LENGTH], None, None, None).image_name,
    "JSON": refused(decode_json, ValueError),
    "first bytes": lambda text: sniff(text.encode("latin-1", "replace")),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_header_a_field_and_a_name_are_read_in_no_long_time(reader: str) -> None:
    for text in adversarial():
        assert is_quick(READERS[reader], text), text[:20]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_fields_of_an_operation_are_read_in_no_long_time(operation: str) -> None:
    kind = OPERATIONS[operation]
    texts = adversarial()[::4]  # nearly every piece once: msgspec reads numbers and choices itself
    for field in kind.__struct_fields__:
        for text in texts:
            assert is_quick(lambda value: convert_fields(kind, {field: value}), text), (field, text[:20])  # noqa: B023
