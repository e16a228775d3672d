"""The service against its own description: schemathesis, with all its checks."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import serving, working
from tests.support.callers import MADE, with_keys

HERE = Path(__file__).parent

EXAMPLES = 10
"""Of each operation and phase, beside what the document's bounds make it try."""

SEED = 1


@pytest.fixture
async def address(redis: ArqRedis, settings: Settings) -> AsyncIterator[str]:
    """A service with keys, that sends webhooks and fetches, on this machine alone."""
    given = msgspec.structs.replace(
        with_keys(settings), webhook_secrets=("whsec_" + "A" * 32,), outbound_allow=("127.0.0.0/8",)
    )
    async with serving(given) as url, working(given):
        yield url


async def test_schemathesis_finds_nothing(address: str, tmp_path: Path) -> None:
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"),
        *("--checks", "all", "--header", f"Authorization: Bearer {MADE['ops'][0]}"),
        *("--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-shrink", "--continue-on-failure"),
    ]
    environ = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.app.openapi.schemathesis_hooks",
        "PYTHONPATH": str(HERE.parents[2]),
    }
    run = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await run.communicate()
    assert run.returncode == 0, told.decode()
