import json
import math
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image

from tests.benchmarks.cases import CASES, FIT_PNG, Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Job, Measured, Pauses

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 80},
    "png": {},
    "webp": {"quality": 80, "method": 4},
    "avif": {"quality": 65, "speed": 7, "max_threads": 1},
}
"""Darkroom's encoder settings, written out a second time so that its results can be held against plain Pillow's."""


RESULT_GAP = 1.75


def processed(data: bytes, case: Case) -> list[bytes]:
    """Do what Darkroom does, in the fewest calls of Pillow and its resampler that do it."""
    image: Image.Image = Image.open(BytesIO(data))
    if case.outputs:
        return _several(image, case)
    if case.fields["operation"] == "grayscale":
        image.draft("L", None)
        image = image.convert("L")
    else:
        size = int(case.fields.get("width", 100)), int(case.fields.get("height", 100))
        if case.fields.get("fit") == "inside":
            scale = min(size[0] / image.width, size[1] / image.height)
            size = round(image.width * scale), round(image.height * scale)
        gap = max(2.7, 128 / max(size))
        draft = image.draft(None, (math.ceil(size[0] * gap), math.ceil(size[1] * gap)))
        image = _resized(image, size, draft[1] if draft else None)
    return [_saved(image, case.format, case.fields.get("quality"), is_fit_png=case.name == FIT_PNG.name)]


def _several(image: Image.Image, case: Case) -> list[bytes]:
    """Scale the widest from the whole image, and the others from the smallest one that is wide enough."""
    image.load()
    scaled: dict[int, Image.Image] = {}
    sources = [image]
    for width in sorted({output.width for output in case.outputs}, reverse=True):
        source = next(each for each in reversed(sources) if each.width >= width * RESULT_GAP or each is image)
        scaled[width] = _resized(source, (width, round(image.height * width / image.width)))
        if width * scaled[width].height * 2 <= sources[-1].width * sources[-1].height:
            sources.append(scaled[width])
    return [_saved(scaled[output.width], output.format, str(output.quality)) for output in case.outputs]


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, ...] | None = None) -> Image.Image:
    image.load()
    left, upper, right, lower = box or (0, 0, *image.size)
    options = ResizeOptions()
    options.resize_alg = ResizeAlg.convolution(FilterType.lanczos3)
    options.crop_box = CropBox(left, upper, right - left, lower - upper)
    result = Image.new(image.mode, size)
    Resizer().resize_pil(image, result, options)
    return result


def _saved(image: Image.Image, target: str, quality: str | None, *, is_fit_png: bool = False) -> bytes:
    options = dict(SAVE_OPTIONS[target])
    if target == "jpeg":
        options["progressive"] = image.width * image.height <= 640 * 480
    if is_fit_png:
        options["compress_type"] = zlib.Z_RLE  # what Darkroom finds by trying; 100 x 100 pixels it compresses as usual
    if quality is not None:
        options["quality"] = int(quality)
    with TemporaryFile(
        dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as file:  # into a buffer threads would wait
        image.save(file, target, **options)
        file.seek(0)
        return file.read()


class BarePillow(Contender):
    """Pillow alone, in memory, in a loop on as many threads as there are cores: the limit."""

    name = "bare Pillow"

    def start(self) -> None:
        """Each turn is a process of its own."""

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job:
        return lambda _: processed(self.pictures[case.picture], case)

    def results(self, case: Case) -> list[bytes]:
        return processed(self.pictures[case.picture], case)

    def measure(self, case: Case, clients: int, seconds: float) -> Measured:
        picture = self.directory / case.picture
        picture.write_bytes(self.pictures[case.picture])
        order = json.dumps([str(picture), case.name, min(clients, cores()), seconds])
        answer = subprocess.run([sys.executable, "-m", __name__, order], check=True, capture_output=True, text=True)
        wall_s, latencies_s, cpu_s = json.loads(answer.stdout)
        return Measured(wall_s, latencies_s, cpu_s, 0.0)


def main() -> None:
    path, name, threads, seconds = json.loads(sys.argv[1])
    [case] = [each for each in CASES if each.name == name]
    data = Path(path).read_bytes()
    Image.core.set_blocks_max(4 * threads)  # type: ignore[attr-defined]
    processed(data, case)  # Pillow loads its plugins
    began, used = time.perf_counter(), time.process_time()

    def loop(_: int) -> list[float]:
        latencies: list[float] = []
        while not latencies or time.perf_counter() - began < seconds:
            start = time.perf_counter()
            processed(data, case)
            latencies.append(time.perf_counter() - start)
        return latencies

    with ThreadPoolExecutor(threads) as pool:
        latencies_s = [each for part in pool.map(loop, range(threads)) for each in part]
    print(json.dumps([time.perf_counter() - began, latencies_s, time.process_time() - used]))  # noqa: T201


if __name__ == "__main__":
    main()
