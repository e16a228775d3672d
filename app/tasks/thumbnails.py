"""Thumbnails of results for lists, made when they are asked for."""

import asyncio
from collections import OrderedDict

from worker.errors import PictureError
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.guards import Limits
from worker.imaging.plan import Output, Plan, Variant
from worker.imaging.reading import Upload
from worker.imaging.render import render
from worker.operations.resize import Resize
from worker.storage import Storage
from worker.tasks.model import OutputRecord, Task

SIDE = 96
"""Longest side of a thumbnail in pixels; pages show it at half of that, for screens with two pixels for each."""

MOST_PIXELS = 16_000_000
MOST_BYTES = 8_000_000
"""Larger results have no thumbnail. One of this size takes up to 0.3 s of CPU time, in a thread."""

KEPT = 1000
"""Thumbnails in memory, each about 2 KB."""

FORMATS = {InputFormat.JPEG, InputFormat.PNG, InputFormat.WEBP, InputFormat.AVIF, InputFormat.GIF}
"""Formats whose decoders release the GIL."""

_PLAN = Plan(
    {
        "": Variant(
            (Resize(width=SIDE, height=SIDE, fit="inside", enlarge=False),), Output(format="webp", quality=70, frame=0)
        )
    }
)


class Thumbnails:
    """Makes thumbnails one at a time; the results that it decodes were encoded by this service."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._turn = asyncio.Semaphore(1)
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, task: Task) -> bytes | None:
        """Return the WebP thumbnail of the smallest result of a task, or None if it has none that can be shown.

        Raises `StorageUnavailable`.
        """
        shown = [output for output in task.outputs.values() if _is_small(output)]
        if not shown:
            return None
        output = min(shown, key=lambda each: each.bytes)
        async with self._turn:
            if output.sha256 not in self._kept:
                made = await self._make(output)
                if made is None:
                    return None
                self._kept[output.sha256] = made
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(output.sha256)
            return self._kept[output.sha256]

    async def _make(self, output: OutputRecord) -> bytes | None:
        try:
            data = await self._storage.read(output.path)
            return await asyncio.to_thread(_rendered, data)
        except (FileNotFoundError, PictureError):
            return None


def _is_small(output: OutputRecord) -> bool:
    pixels = (output.width or 0) * (output.height or 0) * (output.frames or 1)
    return 0 < pixels <= MOST_PIXELS and output.bytes <= MOST_BYTES


def _rendered(data: bytes) -> bytes | None:
    source = sniff(data)
    if source not in FORMATS:
        return None
    limits = Limits(max_pixels=MOST_PIXELS, max_frames=1, max_output_pixels=MOST_PIXELS)
    return render(Upload(data, source), _PLAN, limits)[""].data
