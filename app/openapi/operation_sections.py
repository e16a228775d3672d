"""The sections of `/docs` for image operations: pictures, fields, example code, a link to the studio."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.http.responses import STATIC, VERSION
from app.openapi.code_examples import code_block
from app.openapi.example_calls import Route, upload_call
from app.openapi.markup import Html, join_html, line, prose, tag, void_tag
from app.openapi.schema_tables import fields_table, own_fields
from app.openapi.schemas import FILE
from worker.operations import OPERATIONS

UPLOAD_PATH = "/process-image/"

PICTURES = "docs/operations"
"""Folder below `STATIC` of the pictures, which `python -m tests.pictures_of_operations` writes."""

PICTURE_SIZE = (192, 144)
"""Width and height of each picture; smaller results are centered on a transparent canvas."""

_VISIBLE: Mapping[str, Mapping[str, Any]] = {
    "flatten": {"background": "#2f4858"},
    "median": {"size": 9},
    "posterize": {"bits": 2},
    "quantize": {"colors": 5},
    "redact": {"boxes": [{"left": 230, "top": 240, "width": 130, "height": 110}], "method": "pixelate"},
    "sharpen": {"radius": 4, "percent": 300},
    "watermark": {"text": "Darkroom", "size": 60, "position": "center"},
}
"""Parameters that show more in a small picture than those of the operation's own example."""

_REPORT = prose("The response has the path of the document in `result`.")


def operations_of(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the operations that the upload's form accepts."""
    schemas = document["components"]["schemas"]
    return [name for name, kind in OPERATIONS.items() if f"{kind.__name__}Form" in schemas]


def operation_sections(document: Mapping[str, Any]) -> Iterator[Html]:
    route = Route(UPLOAD_PATH, "post", document["paths"][UPLOAD_PATH]["post"])
    for name in operations_of(document):
        kind, schemas = OPERATIONS[name], document["components"]["schemas"]
        summary, _, details = schemas[kind.__name__]["description"].partition("\n\n")
        form = {"file": FILE, "operation": name, **example_of(name)}
        yield tag(
            "section",
            tag("h3", tag("code", name)),
            tag("p", line(summary), class_="summary"),
            prose(details),
            _pictures(name),
            fields_table(own_fields(schemas[anchor_of(name)])),
            code_block(upload_call(route, form, "" if kind.is_report else f"photo-{name}.jpg")),
            *([_REPORT] if kind.is_report else []),
            tag("p", tag("a", "Try in the studio", href=studio_link(name), class_="button small")),
            id=anchor_of(name),
            class_="entry",
            data_kind="operation",
        )


def anchor_of(name: str) -> str:
    return f"{OPERATIONS[name].__name__}Form"


def example_of(name: str) -> Mapping[str, Any]:
    """Return the parameters of the example."""
    return _VISIBLE.get(name, OPERATIONS[name].example)


def studio_link(name: str) -> str:
    """Return the link that opens the studio with the example, in the form of `app/static/studio/recipe/state.js`."""
    recipe = msgspec.json.encode({"operations": [{"operation": name, **example_of(name)}]})
    return f"/#r={urlsafe_b64encode(recipe).decode().rstrip('=')}"


def _pictures(name: str) -> Html:
    """Return the pictures of the example's source and result; of a report, its text. A new operation has none yet."""
    files = {path.name for path in (STATIC / PICTURES).iterdir()}
    if not {f"{name}.webp", f"{name}.json"} & files:
        return Html()
    before = _picture(f"before-{name}" if f"before-{name}.webp" in files else "before", "Before")
    if f"{name}.json" in files:
        after = tag("pre", (STATIC / PICTURES / f"{name}.json").read_text(), tabindex="0")
    else:
        after = _picture(name, f"After {name}")
    shown = (tag("figure", each, tag("figcaption", text)) for each, text in ((before, "before"), (after, "after")))
    return tag("div", join_html(*shown), class_="pictures")


def _picture(name: str, text: str) -> Html:
    width, height = map(str, PICTURE_SIZE)
    source = f"/static/{VERSION}/{PICTURES}/{name}.webp"
    return void_tag("img", src=source, alt=text, width=width, height=height, loading="lazy")
