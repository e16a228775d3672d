"""Each kind of fault in each part: nothing that was accepted is lost or done twice, and work goes on."""

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.matrix import CELLS, DISKS, mount, row, run_cell, unmount

pytestmark = pytest.mark.chaos

MAY_LOSE = {("log truncated", "Valkey"): 20}
"""Tasks that may be lost: those whose record was in the bytes that were cut off."""

MAY_FAIL = {("out of memory", "worker"): {"internal", "timeout"}}
"""Error codes with which tasks may end, so that their clients can send them again."""

NO_REFUSAL: Sequence[tuple[str, str]] = [
    ("rolling restart", "API"), ("rolling restart", "worker"), ("kill -9", "worker"),
    ("clock an hour ahead", "worker"), ("clock an hour behind", "worker"),
]  # fmt: skip
"""Faults that no client sees, behind a load balancer that tries the next API."""


def may_mount(folder: Path) -> bool:
    try:
        mount(folder)
    except (subprocess.CalledProcessError, OSError):
        return False
    unmount(folder)
    return True


@pytest.mark.parametrize("cell", CELLS, ids=" in ".join)
async def test_a_fault_loses_nothing(
    cell: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if cell in DISKS and not may_mount(tmp_path):
        pytest.skip("needs the right to mount a file system")
    seed = request.config.getoption("--chaos-seed") or random.randrange(10**6)
    outcome = await run_cell(cell, tmp_path, seed)
    with capsys.disabled():
        print(f"\n{row(cell, outcome)} seed {seed}")  # noqa: T201
    assert outcome.accepted > 5
    assert outcome.doubled == 0
    assert outcome.lost <= MAY_LOSE.get(cell, 0)
    assert set(outcome.failed) <= MAY_FAIL.get(cell, set())
    if cell in NO_REFUSAL:
        assert outcome.refused.total() <= outcome.refused["connection lost"] <= 2  # cut off in the middle of an upload
