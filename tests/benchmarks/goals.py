"""What is to be reached, each a ratio of two things measured in turn in one run."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.cases import (
    FIT_AVIF,
    FIT_JPEG,
    FIT_PNG,
    FIT_WEBP,
    GRAYSCALE,
    LARGE_FIT,
    LARGE_GRAYSCALE,
    LARGE_RESIZE,
    RESIZE,
    RESPONSIVE,
    TINY_RESIZE,
    Case,
)
from tests.benchmarks.contenders import BarePillow, CeleryDemo, Contender, Darkroom, SharpServer, Thumbor
from tests.benchmarks.contest import Contest


@dataclass(frozen=True)
class Goal:
    """`limit` is the least that is wanted, or the most where `is_most`."""

    figure: str
    limit: float
    rounds: Callable[[Contest, dict[str, Any]], list[float]]
    is_most: bool = False
    unit: str = "x"


@dataclass(frozen=True)
class Reached:
    """A goal and what was measured for it."""

    figure: str
    goal: str
    median: float
    low: float
    high: float
    is_met: bool


def _versus(
    figure: str, case: Case, key: str, other: type[Contender], limit: float, *, is_most: bool = False, clients: int = 8
) -> Goal:
    return Goal(
        f"{figure}, {case.name}, to {other.name}",
        limit,
        lambda contest, _: contest.ratios(case, key, Darkroom, other, clients),
        is_most,
    )


def _fidelity(case: Case, key: str, limit: float, unit: str, *, is_most: bool) -> Goal:
    def rounds(contest: Contest, _: dict[str, Any]) -> list[float]:
        results = contest.fidelity.get(case.name, {})
        if Darkroom.name not in results or Thumbor.name not in results:
            return []
        theirs = results[Thumbor.name]
        if key == "bytes_at_equal_psnr":
            return [theirs[key] / theirs["bytes"]]
        ours = results[Darkroom.name][key]
        return [ours / theirs[key] if key == "bytes" else 0.0 if ours == theirs[key] else ours - theirs[key]]

    name = {"psnr_db": "PSNR difference"}.get(key, key.replace("_", " ").replace("psnr", "PSNR"))
    return Goal(f"{name}, {case.name}, to {Thumbor.name}", limit, rounds, is_most, unit)


def _scaling(figure: str, part: str, key: str, limit: float, *, is_most: bool = True, unit: str = "x") -> Goal:
    def rounds(_: Contest, scaling: dict[str, Any]) -> list[float]:
        value = scaling.get(part, {}).get(key, [])
        return value if isinstance(value, list) else [value]

    return Goal(figure, limit, rounds, is_most, unit)


def _around(case: Case, limit_ms: float) -> Goal:
    return Goal(
        f"CPU around the picture, {case.name}: task minus {BarePillow.name}",
        limit_ms,
        lambda contest, _: contest.differences(case, "cpu_ms", Darkroom, BarePillow, 8),
        is_most=True,
        unit=" ms",
    )


def _cpu(case: Case, other: type[Contender], limit: float) -> Goal:
    return _versus("CPU", case, "cpu_ms", other, limit, is_most=True)


GOALS = [
    _versus("tasks/s", RESIZE, "per_s", CeleryDemo, 3),
    _versus("tasks/s", LARGE_RESIZE, "per_s", CeleryDemo, 4),
    _versus("tasks/s", TINY_RESIZE, "per_s", CeleryDemo, 1.7),
    _versus("tasks/s", GRAYSCALE, "per_s", CeleryDemo, 1.5),
    _versus("idle latency p50", TINY_RESIZE, "p50_ms", CeleryDemo, 0.6, is_most=True, clients=1),
    *(
        goal
        for case, least in ((FIT_JPEG, 1.2), (FIT_PNG, 1.8), (FIT_WEBP, 1.3), (FIT_AVIF, 1.5))
        for goal in (
            _versus("pictures/s", case, "per_s", Thumbor, least),
            _fidelity(case, "psnr_db", 0, " dB", is_most=False),
            _fidelity(case, "bytes", 1.1, "x", is_most=True),
        )
    ),
    *(_fidelity(case, "bytes_at_equal_psnr", 1.0, "x", is_most=True) for case in (FIT_JPEG, FIT_WEBP, FIT_AVIF)),
    _cpu(LARGE_FIT, SharpServer, 1.0),
    _cpu(LARGE_RESIZE, SharpServer, 1.2),
    _cpu(FIT_JPEG, SharpServer, 1.4),
    _cpu(GRAYSCALE, SharpServer, 0.4),
    _cpu(LARGE_GRAYSCALE, SharpServer, 0.4),
    _cpu(RESPONSIVE, SharpServer, 1.0),
    _cpu(RESPONSIVE, Thumbor, 0.4),
    _cpu(RESPONSIVE, CeleryDemo, 0.25),
    _around(TINY_RESIZE, 3),
    _around(RESIZE, 4),
    _around(LARGE_RESIZE, 8),
    _scaling("CPU, widths 1600, 800, 400 and 100 of 12 MP, to 1600 alone", "variants", "cpu", 1.3),
    _scaling("submit with 100,000 waiting of 1,000 owners, to none", "full_queue", "submit", 1.2),
    _scaling("pick-up with 100,000 waiting of 1,000 owners, to none", "full_queue", "pick_up", 1.2),
    _scaling("Redis memory of a waiting task", "full_queue", "bytes_per_task", 1200, unit=" bytes"),
    _scaling("wait beside a flood of another group, 95th percentile, by the time a task takes", "fair_turns", "p95", 2),
    _scaling("two workers of one thread, to one", "two_workers", "rates", 1.8, is_most=False),
    _scaling("API alone, 64 clients: p99, to p50", "api_alone", "p99_to_p50", 20),
    _scaling("API alone, 64 clients: memory after, to before", "api_alone", "rss_growth", 1.1),
    _scaling("API alone, 64 clients: errors", "api_alone", "errors", 0, unit=""),
]


def reached(contest: Contest, scaling: dict[str, Any]) -> list[Reached]:
    """Hold every goal that could be measured against what was."""
    rows = []
    for goal in GOALS:
        rounds = goal.rounds(contest, scaling)
        if not rounds:
            continue
        median = statistics.median(rounds)
        is_met = median <= goal.limit if goal.is_most else median >= goal.limit
        sign = "<=" if goal.is_most else ">="
        rows.append(Reached(goal.figure, f"{sign} {goal.limit:g}{goal.unit}", median, min(rounds), max(rounds), is_met))
    return rows
