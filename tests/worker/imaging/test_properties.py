"""What holds of every pipeline and of every request, whatever they are made of."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from PIL import Image

from tests.support.pictures import Size, decoded, encoded
from tests.support.rendering import transform, upload
from worker.errors import PictureError
from worker.imaging.formats import InputFormat, OutputFormat
from worker.imaging.guards import Limits
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.imaging.plan import Output
from worker.imaging.render import render
from worker.operations import OPERATIONS
from worker.operations.base import WORKING_MODES, Assets, Operation
from worker.operations.trim import Trim
from worker.tasks.model import Spec

MAX_OPERATIONS = 20

OUTPUT_PIXELS = 50_000
"""Small, so that AVIF's encoder takes no time; what would be larger is one of the errors that may be raised."""

LIMITS = Limits(OUTPUT_PIXELS, 256, OUTPUT_PIXELS)

PICTURE_NAMES = [name for name, kind in OPERATIONS.items() if not kind.is_report]

TEXTS = st.text(min_size=1, max_size=20)

# Drawn from a fixed seed, without a clock: what passes once passes always.
every = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Draw JSON values that a type admits, small numbers as often as any."""
    match kind:
        case inspect.Metadata(extra_json_schema={"format": "color"}):
            return st.sampled_from(["red", "white", "#123", "#80402080", "#1234", "transparent"])
        case inspect.Metadata(type=inner):
            return values(inner)
        case inspect.UnionType(types=types):
            return st.one_of([values(each) for each in types if not isinstance(each, inspect.NoneType)])
        case inspect.IntType(ge=int(least), le=int(most)):
            return st.integers(least, most) | st.integers(max(least, -40), min(most, 40))
        case inspect.FloatType():
            lower = kind.ge if kind.gt is None else kind.gt
            drawn = st.floats(lower, kind.le, exclude_min=kind.gt is not None)
            return drawn | drawn.map(lambda value: round(value, 1) or 1.0)
        case inspect.LiteralType(values=choices):
            return st.sampled_from(choices)
        case inspect.BoolType():
            return st.booleans()
        case inspect.StrType(pattern=str(pattern), max_length=most):
            printable = st.text(st.characters(min_codepoint=32, max_codepoint=255), min_size=1, max_size=most)
            return (printable | st.sampled_from(["16:9", "1.5", "2:3", "Darkroom"])).filter(
                lambda text: re.search(pattern, text) is not None
            )
        case inspect.VarTupleType(item_type=inspect.StructType(cls=items)):
            fields = {
                field.encode_name: values(inspect.type_info(field.type)) for field in msgspec.structs.fields(items)
            }
            return st.lists(st.fixed_dictionaries(fields), min_size=kind.min_length or 0, max_size=4)
    raise TypeError(f"no values for {kind!r}; add them here")


@st.composite
def operations(
    draw: Callable[[st.SearchStrategy[Any]], Any], names: tuple[str, ...] = tuple(PICTURE_NAMES)
) -> Operation:
    """Draw a valid operation with at most four of the parameters that it can do without."""
    name = draw(st.sampled_from(names))
    fields = msgspec.structs.fields(OPERATIONS[name])
    optional = (
        draw(st.lists(st.sampled_from([each for each in fields if not each.required]), max_size=4)) if fields else []
    )
    given = {
        field.encode_name: draw(values(inspect.type_info(field.type)))
        for field in fields
        if field.required or field in optional
    }
    try:
        operation: Operation = msgspec.convert({"operation": name, **given}, OPERATIONS[name])
    except msgspec.ValidationError:  # rounded over a bound
        assume(False)
    assume(not operation.problems())
    return operation


pipelines = st.lists(operations(), min_size=1, max_size=6)


@st.composite
def pictures(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Image.Image:
    """Draw a picture in a working mode: noise, or few colors in blocks."""
    size: Size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    mode = draw(st.sampled_from(WORKING_MODES))
    seed = random.Random(draw(st.integers(0, 2**32)))
    small = size if seed.random() < 0.5 else (min(3, size[0]), min(3, size[1]))
    length = len(Image.new(mode, small).tobytes())
    return Image.frombytes(mode, small, seed.randbytes(length)).resize(size, Image.Resampling.NEAREST)


def is_sentence(exc: PictureError) -> bool:
    return len(str(exc)) > 20 and "object at" not in str(exc)


OVERLAY = Image.linear_gradient("L").resize((9, 5)).convert("RGBA")


@every
@given(pictures(), pipelines)
def test_any_pipeline_gives_the_size_that_it_says_or_a_sentence(image: Image.Image, pipeline: list[Operation]) -> None:
    before = image.mode, image.size, image.tobytes()
    picture = image
    for operation in pipeline:
        source = picture.tobytes()
        try:
            expected = operation.output_size(picture.size)
            result = transform(picture, [operation], OUTPUT_PIXELS, Assets(OVERLAY))
        except PictureError as exc:
            assert is_sentence(exc)  # noqa: PT017 - some give a picture
            break
        assert picture.tobytes() == source, operation
        assert result.mode in WORKING_MODES, operation
        if isinstance(operation, Trim):
            assert all(1 <= side <= most for side, most in zip(result.size, expected, strict=True))
        else:
            assert result.size == expected, operation
        picture = result
    assert (image.mode, image.size, image.tobytes()) == before


@every
@given(pictures(), pipelines)
def test_any_pipeline_from_its_request_to_a_file_of_every_format(image: Image.Image, pipeline: list[Operation]) -> None:
    """Read, stored and read again it stays the same; the result has the size that is told, as its file has."""
    uses_overlay = any(step.uses_overlay for step in pipeline)
    text = msgspec.json.encode(pipeline).decode()
    plan = parse_plan({"operations": text}, InputFormat.TIFF, MAX_OPERATIONS, has_overlay=uses_overlay)
    assert plan.variants[""].operations == tuple(pipeline)
    variants = {
        name: {"operations": json.loads(text), "format": name} for name in (each.value for each in OutputFormat)
    }
    plan = parse_plan({"variants": json.dumps(variants)}, InputFormat.TIFF, MAX_OPERATIONS, has_overlay=uses_overlay)
    spec = Spec(plan, InputFormat.TIFF, "name")
    assert msgspec.json.decode(msgspec.json.encode(spec), type=Spec) == spec
    overlay = upload(encoded(OVERLAY, "PNG")) if uses_overlay else None
    try:
        results = render(upload(encoded(image, "TIFF")), plan, LIMITS, overlay=overlay)
    except PictureError as exc:
        assert is_sentence(exc)  # noqa: PT017 - some give a picture
        return
    sizes = {decoded(result.data).size for result in results.values()}
    assert sizes == {(result.width, result.height) for result in results.values()}
    assert len(sizes) == 1
    size = image.size
    for step in pipeline:
        size = step.output_size(size)
    if not any(isinstance(step, Trim) for step in pipeline):
        assert sizes == {size}


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
    | st.sampled_from([10**18, 2**63, 2**64, 10**300, -(10**30), -0.0, "", "null", "1e999", "\0", "true", "NaN"])
)  # fmt: skip

WORDS = sorted(
    {"operation", "operations", *OPERATIONS, *Output.__struct_fields__}
    | {field for kind in OPERATIONS.values() for field in kind.__struct_fields__}
)

keys = st.sampled_from(WORDS) | TEXTS

wild = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)

steps = st.lists(
    st.dictionaries(keys, wild, max_size=4).flatmap(
        lambda other: st.sampled_from(list(OPERATIONS)).map(lambda name: {**other, "operation": name})
    )
    | wild,
    max_size=4,
)

wishes = st.dictionaries(keys, wild, max_size=3).flatmap(
    lambda other: steps.map(lambda given: {**other, "operations": given})
)

BROKEN = [
    "", "[", "nul", "NaN", "[NaN]", "1e999", "[1e999]", "-0", "[-0]", "[" + "1" * 5000 + "]", "\0", "{1: 2}",
    '{"a": 1, "a": 2}', '[{"operation": "blur", "operation": "crop"}]', '"\\ud800"', '[{"operation": "\\u0000"}]',
    "[" * 65_000, '{"a":' * 10_000, "[" * 900 + "]" * 900, '[{"operation":' + "[" * 980 + "]" * 980 + "}]",
    '{"a": {"operations": [{"operation": "blur", "radius": 1' + "0" * 400 + "}]}}",
    '[{"operation": "blur", "radius": 1' + "0" * 400 + "}]", '[{"operation": "resize", "width": 1' + "0" * 400 + "}]",
    "[" + "{}," * 20_000 + "{}]", '"' + "x" * 65_000 + '"', "\ufeff[]", "[\u2028]", '[{"operation": "red\\n"}]',
    '{"' + "n" * 65_000 + '": 3}', '{"a": null, "": 3, "ä": [], "..": {}, "a.b": {"c.d": 1}, "A": {}}',
]  # fmt: skip

json_texts = (st.lists(wild, max_size=3) | steps | st.dictionaries(keys, wishes | wild, max_size=4) | wild).map(
    json.dumps
)

requests = (
    st.dictionaries(keys, TEXTS | json_texts | st.sampled_from(BROKEN), max_size=5)
    | st.fixed_dictionaries({"operations": json_texts | TEXTS})
    | st.fixed_dictionaries({"variants": json_texts | TEXTS})
    | st.dictionaries(keys, TEXTS | json_texts, max_size=5).flatmap(
        lambda other: st.sampled_from(list(OPERATIONS)).map(lambda name: {**other, "operation": name})
    )
)


def problems_of(fields: dict[str, str], *, has_overlay: bool = False) -> list[str]:
    """Return the fields that are named as wrong."""
    try:
        parse_plan(fields, InputFormat.JPEG, MAX_OPERATIONS, has_overlay=has_overlay)
    except InvalidParameters as exc:
        problems = exc.problems
    else:
        return []
    assert problems
    assert all(problem.message for problem in problems)
    msgspec.json.encode(problems)
    return [
        problem.field
        for problem in problems
        if not problem.message.startswith("is missing") and not (problem.field == "overlay" and has_overlay)
    ]


def paths(fields: dict[str, str]) -> Iterator[str]:
    """Yield the name of every field of a request, down to the parameters within JSON."""
    for name, text in fields.items():
        yield name
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            continue
        yield from paths_within(name, value, is_variants=name == "variants")


def paths_within(prefix: str, value: Any, *, is_variants: bool = False) -> Iterator[str]:
    if prefix.count(".") + prefix.count("[") > 20:
        return
    inner = (
        [(f"{prefix}.{str(key)[:32] if is_variants else key}", each) for key, each in value.items()]
        if isinstance(value, dict)
        else [(f"{prefix}[{number}]", each) for number, each in enumerate(value)]
        if isinstance(value, list)
        else []
    )
    for name, each in inner:
        yield name
        yield from paths_within(name, each)


@settings(every, max_examples=600)
@given(requests, st.booleans())
def test_any_request_is_a_plan_or_problems_of_fields_that_it_has(fields: dict[str, str], has_overlay: bool) -> None:
    assert set(problems_of(fields, has_overlay=has_overlay)) <= set(paths(fields))


@pytest.mark.parametrize("field", ["operations", "variants", "operation", "boxes", "radius", "format", "background"])
@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:30])
def test_no_text_in_any_field_breaks_more_than_its_request(field: str, text: str) -> None:
    fields = {field: text} if field in ("operations", "variants") else {"operation": "redact", field: text}
    assert set(problems_of(fields)) <= set(paths(fields))


@pytest.mark.parametrize("field", ["operations", "variants", "boxes"])
@pytest.mark.parametrize("depth", range(850, 1000, 3))
def test_nesting_of_any_depth_is_a_problem_of_its_field(field: str, depth: int) -> None:
    """Also where Python's stack just suffices to read it, and no more to quote it."""
    fields = {"operation": "redact"} if field == "boxes" else {}
    assert problems_of({**fields, field: "[" * depth + "]" * depth}) == [field]
