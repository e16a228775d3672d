"""`python -m tests.pictures_of_operations`: write the pictures of operations for `/docs`, from a sample."""

import shutil
from typing import Any

import msgspec

from app.http.responses import STATIC
from app.openapi.operation_sections import PICTURE_SIZE, PICTURES, example_of
from tests.support.rendering import rendered
from worker.operations import OPERATIONS
from worker.operations.base import Operation

FOLDER = STATIC / PICTURES
SAMPLE = (STATIC / "samples" / "coffee.jpg").read_bytes()

SOURCES: dict[str, tuple[Operation, ...]] = {
    "autocontrast": (OPERATIONS["adjust"](contrast=0.4),),
    "equalize": (OPERATIONS["adjust"](contrast=0.4),),
    "flatten": (OPERATIONS["round_corners"](radius=100),),
    "trim": (OPERATIONS["pad"](top=40, right=60, bottom=40, left=60, background="white"),),
}
"""Operation -> how its source is made from the sample, where the sample would not show what it does."""

REPORT_FIELDS = ("format", "width", "height", "average_color", "dominant_color", "blurhash")
"""Fields of the report that `/docs` shows."""

MAX_BYTES = 150_000
"""All pictures together."""


def expected() -> dict[str, bytes]:
    """Return file names and contents: the source and the result of each operation's example."""
    fit = OPERATIONS["resize"](width=PICTURE_SIZE[0], height=PICTURE_SIZE[1], fit="contain", background="#00000000")
    files = {"before.webp": rendered(SAMPLE, fit, format="webp", quality=75)}
    for name, kind in OPERATIONS.items():
        source = rendered(SAMPLE, *SOURCES.get(name, ()), format="png")
        if name in SOURCES:
            files[f"before-{name}.webp"] = rendered(source, fit, format="webp", quality=75)
        result = rendered(
            source if name in SOURCES else SAMPLE,
            msgspec.convert({"operation": name, **example_of(name)}, kind),
            **_output(kind),
        )
        files[f"{name}.json" if kind.is_report else f"{name}.webp"] = (
            _excerpt(result) if kind.is_report else rendered(result, fit, format="webp", quality=75)
        )
    return files


def _output(kind: type[Operation]) -> dict[str, Any]:
    """Return a format that keeps transparency, also where the sample has none."""
    return {} if kind.is_report else {"format": "png"}


def _excerpt(report: bytes) -> bytes:
    whole = msgspec.json.decode(report)
    return msgspec.json.format(msgspec.json.encode({name: whole[name] for name in REPORT_FIELDS}), indent=2) + b"\n"


def main() -> None:
    files = expected()
    size = sum(map(len, files.values()))
    assert size < MAX_BYTES, f"{size} bytes"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
