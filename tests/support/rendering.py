"""The engine, called as a worker calls it."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from worker.imaging.formats import sniff
from worker.imaging.guards import Limits
from worker.imaging.picture import Picture
from worker.imaging.pipeline import Work, apply_operations
from worker.imaging.plan import Output, Plan, Variant
from worker.imaging.reading import Upload
from worker.imaging.render import Rendered, render
from worker.operations.base import Assets, Operation

LIMIT = 100_000_000
LIMITS = Limits(max_pixels=LIMIT, max_frames=256, max_output_pixels=LIMIT)


def upload(data: bytes) -> Upload:
    """Take a file for what its first bytes say."""
    source = sniff(data)
    assert source is not None
    return Upload(data, source)


def one(operations: Sequence[Operation], **output: Any) -> Plan:
    """Wish for one result."""
    return Plan({"": Variant(tuple(operations), Output(**output))})


def result(data: bytes, *operations: Operation, limits: Limits = LIMITS, **output: Any) -> Rendered:
    return render(upload(data), one(operations, **output), limits)[""]


def rendered(data: bytes, *operations: Operation, limits: Limits = LIMITS, **output: Any) -> bytes:
    """Return the file that these operations make of a file."""
    return result(data, *operations, limits=limits, **output).data


def transform(
    image: Image.Image, operations: Sequence[Operation], limit: int = LIMIT, assets: Assets | None = None
) -> Image.Image:
    """Return what `operations` make of a picture in a working mode."""
    work = Work(Limits(limit, 256, limit), assets or Assets(), lambda: False)
    [frame] = apply_operations(Picture([image], None, None), operations, work).frames
    return frame
