"""Batches under faults, and a large one through curl."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil
import pytest

from tests.benchmarks.photographs import photographs
from tests.chaos.system import System
from tests.conftest import eventually
from tests.support.pictures import jpeg
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.chaos


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path)
    system.settings = msgspec.structs.replace(
        system.settings, webhook_secrets=("whsec_" + "A" * 32,), outbound_allow=("127.0.0.0/8",)
    )
    system.start()
    await system.ready()
    yield system
    system.stop()


async def ended(port: int, batch_id: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(timeout=10) as client:

        async def view() -> dict[str, Any] | None:
            try:
                answer = await client.get(f"http://127.0.0.1:{port}/batches/{batch_id}?limit=200")
            except httpx2.HTTPError:
                return None
            found: dict[str, Any] = answer.json()
            return found if answer.status_code == 200 and found["status"] == "completed" else None

        found: dict[str, Any] = await eventually(view, 180)
        return found


async def test_a_batch_ends_once_whatever_is_killed(system: System, receiver: Receiver) -> None:
    """Both APIs, both workers and the Valkey server, one after the other, while its pictures are processed."""
    pictures = [("file", (f"{number}.jpg", jpeg((1600, 1200), number))) for number in range(60)]
    fields = {"operation": "resize", "width": "1500", "format": "webp", "callback_url": receiver.url}
    async with httpx2.AsyncClient(timeout=60) as client:
        url = f"http://127.0.0.1:{system.api_ports[0]}/batches"
        accepted = (await client.post(url, files=pictures, data=fields)).json()
    for name in system.commands:
        system.processes[name].kill()
        await asyncio.to_thread(system.processes[name].wait, 60)
        system.start_process(name)
        await system.ready()
    system.server_process.kill()
    await asyncio.to_thread(system.server.terminate)
    await asyncio.to_thread(system.start_server)
    view = await ended(system.api_ports[1], accepted["batch_id"])
    assert view["counts"] == {"PENDING": 0, "STARTED": 0, "SUCCESS": 60, "FAILURE": 0, "REVOKED": 0}
    assert [task["task_id"] for task in view["tasks"]] == accepted["task_ids"]

    async def is_sent() -> bool:
        return bool(receiver.received)

    await eventually(is_sent, 60)
    assert {each.headers["webhook-id"] for each in receiver.received} == {
        f"msg_{accepted['batch_id'].replace('-', '')}_1"
    }
    assert json.loads(receiver.received[0].body)["data"]["counts"]["SUCCESS"] == 60


async def test_500_pictures_of_2_mp_in_one_command_of_curl(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory of the API does not grow with the number of pictures, neither for the upload nor for the archive."""
    picture = tmp_path / "2mp.jpg"
    picture.write_bytes(photographs(tmp_path / "photographs")["2mp.jpg"])
    port = system.api_ports[0]
    api = psutil.Process(system.processes[f"api {port}"].pid)

    async def post(count: int) -> str:
        command = ["curl", "-sS", "--fail-with-body", *(["-F", f"file=@{picture}"] * count)]
        command += ["-F", "operation=resize", "-F", "width=400", f"http://127.0.0.1:{port}/batches"]
        run = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        body, _ = await run.communicate()
        assert run.returncode == 0, body
        return str(json.loads(body)["batch_id"])

    await ended(port, await post(20))
    before = api.memory_info().rss / 1e6
    batch_id = await post(500)
    uploaded = api.memory_info().rss / 1e6
    view = await ended(port, batch_id)
    assert view["counts"]["SUCCESS"] == 500
    async with httpx2.AsyncClient(timeout=60) as client:
        archive = (await client.get(f"http://127.0.0.1:{port}/batches/{batch_id}/result.zip")).content
    after = api.memory_info().rss / 1e6
    with capsys.disabled():
        print(f"\nAPI: {before:.0f} MB, {uploaded:.0f} after 500 pictures, {after:.0f} after their archive")  # noqa: T201
    assert len(zipfile.ZipFile(io.BytesIO(archive)).namelist()) == 501
    assert max(uploaded, after) < before + 40
