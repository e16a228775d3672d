"""`python -m tests.benchmarks`: all of it takes about ten minutes; `--short` one, to see that it works."""

import argparse
import asyncio
import logging
import platform
import statistics
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import PIL
import psutil

from tests.benchmarks import saturation, scaling, variants
from tests.benchmarks.cases import CASES, FIT_JPEG, LARGE_RESIZE, RESIZE, RESPONSIVE, TINY_RESIZE
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.contenders.base import cores
from tests.benchmarks.contest import Contest, compare_results, hold, running
from tests.benchmarks.goals import reached
from tests.benchmarks.photographs import photographs
from tests.benchmarks.report import tables

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".benchmarks"
"""What the contenders need, and the pictures; kept from run to run."""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    seconds: float
    waiting: int
    samples: int
    slots: int


FULL = Extent(rounds=5, seconds=1.2, waiting=100_000, samples=500, slots=100)
SHORT = Extent(rounds=1, seconds=0.2, waiting=500, samples=10, slots=10)


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    ENVIRONMENTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        record = measure(SHORT if options.short else FULL, Path(directory), is_short=options.short)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    print(tables(record))  # noqa: T201


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Darkroom beside its peers.")
    parser.add_argument("--short", action="store_true", help="see that it works; the figures mean nothing")
    parser.add_argument(
        "--json", type=Path, default=Path("benchmarks.json"), help="where the figures go (default: ./%(default)s)"
    )
    return parser.parse_args()


def measure(extent: Extent, directory: Path, *, is_short: bool) -> dict[str, Any]:
    pictures = photographs(ENVIRONMENTS / "pictures")
    contest = Contest()
    with running(CONTENDERS, contest, ENVIRONMENTS, directory, pictures) as contenders:
        cases = (TINY_RESIZE, FIT_JPEG, RESPONSIVE) if is_short else CASES
        compare_results(contest, contenders, cases)
        hold(contest, contenders, cases, 8, extent.rounds, extent.seconds)
        alone = (TINY_RESIZE,) if is_short else (TINY_RESIZE, RESIZE, LARGE_RESIZE)
        hold(contest, contenders, alone, 1, extent.rounds, extent.seconds)
    scaled = {
        "full_queue": asyncio.run(scaling.full_queue(directory, pictures, extent.waiting, extent.samples)),
        "fair_turns": asyncio.run(scaling.fair_turns(directory, pictures, max(10, extent.samples // 10))),
        "two_workers": {"rates": scaling.two_workers(directory, pictures, extent.rounds, extent.seconds)},
        "api_alone": scaling.api_alone(directory, pictures, 64, extent.seconds * 3),
        "variants": {"cpu": variants.measure(pictures, extent.rounds)},
        "saturation": saturation.measure(extent.slots, extent.seconds),
    }
    return {
        "machine": _machine(),
        "left_out": contest.left_out,
        "figures": [
            {"case": case, "contender": contender, "clients": clients, **_medians(rounds)}
            for (case, contender, clients), rounds in contest.figures.items()
        ],
        "fidelity": contest.fidelity,
        "scaling": scaled,
        "goals": [asdict(row) for row in reached(contest, scaled)],
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, Any]:
    figures = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    return {**figures, "rounds": rounds}


def _machine() -> dict[str, Any]:
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "pillow": PIL.__version__,
    }


if __name__ == "__main__":
    main()
