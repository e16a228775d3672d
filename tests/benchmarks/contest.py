"""Every contender through every case, in turn, on one machine, in one run."""

import logging
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders import BarePillow, Contender, Darkroom, Unavailable
from tests.benchmarks.variants import LIMITS
from worker.imaging.formats import InputFormat
from worker.imaging.parsing import parse_plan
from worker.imaging.reading import Upload
from worker.imaging.render import render

logger = logging.getLogger(__name__)

Figures = dict[str, float]


@dataclass
class Contest:
    """What was measured: (case, contender, clients) -> the figures of each round, in order."""

    figures: dict[tuple[str, str, int], list[Figures]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Contender -> why."""
    fidelity: dict[str, dict[str, Figures]] = field(default_factory=dict)
    """Case -> contender -> bytes of its results and mean psnr_db to a full decoding with Lanczos; for a case with a
    quality also bytes_at_equal_psnr, what Darkroom takes for that PSNR."""

    def ratios(
        self, case: Case, figure: str, one: type[Contender], other: type[Contender], clients: int
    ) -> list[float]:
        """Return one's figure by the other's, round by round; nothing where one of them is missing."""
        mine = self.figures.get((case.name, one.name, clients), [])
        theirs = self.figures.get((case.name, other.name, clients), [])
        return [a[figure] / b[figure] for a, b in zip(mine, theirs, strict=False)]

    def differences(
        self, case: Case, figure: str, one: type[Contender], other: type[Contender], clients: int
    ) -> list[float]:
        """Return one's figure minus the other's, round by round; nothing where one of them is missing."""
        mine = self.figures.get((case.name, one.name, clients), [])
        theirs = self.figures.get((case.name, other.name, clients), [])
        return [a[figure] - b[figure] for a, b in zip(mine, theirs, strict=False)]

    def median(self, case: Case, figure: str, contender: type[Contender], clients: int = 8) -> float | None:
        rounds = self.figures.get((case.name, contender.name, clients))
        return None if rounds is None else statistics.median(each[figure] for each in rounds)


@contextmanager
def running(
    kinds: Sequence[type[Contender]], contest: Contest, environments: Path, directory: Path, pictures: dict[str, bytes]
) -> Iterator[list[Contender]]:
    """Set up and start what can be had; what cannot is left out with its reason."""
    started: list[Contender] = []
    try:
        for kind in kinds:
            home = directory / kind.name.replace(" ", "-")
            home.mkdir()
            contender = kind(environments, home, pictures)
            try:
                contender.set_up()
                contender.start()
            except Unavailable as exc:
                logger.warning("%s is left out: %s", kind.name, exc)
                contest.left_out[kind.name] = str(exc)
                contender.stop()
            else:
                started.append(contender)
        yield started
    finally:
        for contender in started:
            contender.stop()


def hold(
    contest: Contest, contenders: list[Contender], cases: Sequence[Case], clients: int, rounds: int, seconds: float
) -> None:
    """Measure `rounds` times what every contender makes of each case, in an order that turns round each time."""
    for case in cases:
        able = [each for each in contenders if each.job(case) is not None]
        for contender in able:
            contender.results(case)  # warm
        for number in range(rounds):
            for contender in able if number % 2 == 0 else reversed(able):
                measured = contender.measure(case, clients, seconds).check(f"{contender.name}, {case.name}")
                key = case.name, contender.name, clients
                contest.figures.setdefault(key, []).append(measured.figures)
        for contender in able:
            logger.info(
                "%-16s %d clients  %-13s %8.1f/s  %7.2f ms CPU each  p50 %7.1f ms",
                case.name,
                clients,
                contender.name,
                *(contest.median(case, each, type(contender), clients) for each in ("per_s", "cpu_ms", "p50_ms")),
            )


def compare_results(contest: Contest, contenders: list[Contender], cases: Sequence[Case]) -> None:
    """Hold each result's size against Darkroom's, Darkroom's bytes against plain Pillow's, and measure fidelity."""
    for case in cases:
        results = {type(each): each.results(case) for each in contenders if each.job(case) is not None}
        kinds = {
            kind: [(image.size, image.format) for image in map(_decoded, images)] for kind, images in results.items()
        }
        first = kinds[type(contenders[0])]
        if any(each != first for each in kinds.values()) or (not case.outputs and first[0][1] != case.format.upper()):
            raise RuntimeError(f"{case.name}: the results differ in size or format: {kinds}")
        if Darkroom in results and BarePillow in results and results[Darkroom] != results[BarePillow]:
            raise RuntimeError(f"{case.name}: Darkroom's result is not plain Pillow's")
        source = contenders[0].pictures[case.picture]
        references = [_reference(source, size, case) for size, _ in first]
        contest.fidelity[case.name] = {
            kind.name: _fidelity(images, references, source, case) for kind, images in results.items()
        }


def _reference(source: bytes, size: tuple[int, int], case: Case) -> Image.Image:
    """Decode in full, and scale by Lanczos in floats: Pillow's filter for 8 bits rounds between its two passes."""
    original = _decoded(source)
    if case.fields.get("operation") == "grayscale":
        return original.convert("L").convert("RGB")
    bands = [
        band.convert("F").resize(size, Image.Resampling.LANCZOS).point(lambda value: value * 1 + 0.5)
        for band in original.split()
    ]
    return Image.merge("RGB", [band.convert("L") for band in bands])


def _fidelity(results: list[bytes], references: list[Image.Image], source: bytes, case: Case) -> Figures:
    psnr_db = statistics.mean(
        _psnr_db(_decoded(result), reference) for result, reference in zip(results, references, strict=True)
    )
    figures = {"bytes": float(sum(map(len, results))), "psnr_db": psnr_db}
    if "quality" in case.fields:
        figures["bytes_at_equal_psnr"] = _bytes_for(psnr_db, references[0], source, case)
    return figures


def _bytes_for(psnr_db: float, reference: Image.Image, source: bytes, case: Case) -> float:
    """Return the bytes that Darkroom takes for this PSNR, read off between two of its qualities."""
    upload = Upload(source, InputFormat.JPEG)
    better = 1, 0.0
    for quality in range(95, 0, -1):
        plan = parse_plan({**case.fields, "quality": str(quality)}, InputFormat.JPEG, 1)
        data = render(upload, plan, LIMITS)[""].data
        reached_db = _psnr_db(_decoded(data), reference)
        if reached_db <= psnr_db:
            share = (psnr_db - reached_db) / (better[1] - reached_db) if better[1] > reached_db else 0.0
            return float(len(data) * (better[0] / len(data)) ** share)
        better = len(data), reached_db
    raise RuntimeError(f"{case.name}: no quality gives {psnr_db:.2f} dB")


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def _psnr_db(image: Image.Image, reference: Image.Image) -> float:
    """Peak signal to noise ratio of 8-bit RGB pictures in decibels; infinite for equal ones."""
    statistic = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), reference.convert("RGB")))
    mean_square = sum(statistic.sum2) / (image.width * image.height * 3)
    return math.inf if mean_square == 0 else 10 * math.log10(255**2 / mean_square)
