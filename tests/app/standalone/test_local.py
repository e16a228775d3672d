"""`python -m app`: everything with one command, in real processes."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, PATIENT, Client, eventually
from tests.support.pictures import decoded, jpeg
from worker import settings as engine
from worker.settings import misspelled_settings

ENVIRON = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "STORAGE_URL")}


class Run:
    """A running `python -m app`: its process, and what its banner says."""

    def __init__(self, *options: str, **environ: str) -> None:
        command = [sys.executable, "-m", "app", "--port", "0", *options]
        self.log = Path(tempfile.mkdtemp()) / "log"
        with self.log.open("w") as log:
            self.process = psutil.Popen(
                command,
                env={**ENVIRON, **PATIENT, **environ},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.banner = ""
        for line in self.process.stdout:
            self.banner += line
            if line.startswith("Ctrl-C"):
                break
        found = re.search(r"running at (\S+)", self.banner)
        assert found is not None, self.banner
        self.url = found[1]
        self.family = [self.process, *self.process.children(recursive=True)]

    def child(self, part: str) -> psutil.Process:
        [found] = self.children(part)
        return found

    def children(self, part: str) -> list[psutil.Process]:
        """Return the running children whose command holds `part`."""
        found = []
        for each in self.process.children():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                if part in " ".join(each.cmdline()):
                    found.append(each)
        return found

    def stop(self, number: signal.Signals) -> int:
        """Do what a terminal does at Ctrl-C (SIGINT) or when it is closed (SIGHUP): signal the whole process group."""
        os.killpg(self.process.pid, number)
        return int(self.process.wait(DEADLINE_S))

    def client(self) -> Client:
        return Client(base_url=self.url)


@contextmanager
def running(*options: str, **environ: str) -> Iterator[Run]:
    run = Run(*options, **environ)
    try:
        yield run
    finally:
        for each in run.family:
            if each.is_running():
                each.kill()
        run.process.stdout.close()
        run.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_one_command_serves_and_ctrl_c_leaves_no_process_and_every_task(
    tmp_path: Path, number: signal.Signals
) -> None:
    options = ("--data-dir", str(tmp_path / "data"))
    with running(*options) as run:
        async with run.client() as client:
            view = await client.ended(await client.upload(operation="resize"))
            run.child("worker_process").suspend()
            waiting = await client.upload(operation="resize")
            run.child("worker_process").resume()
        assert run.stop(number) == 0
        _, alive = psutil.wait_procs(run.family, timeout=5)
        assert not alive
        assert len(run.family) == 3
        log = run.log.read_text()
        assert "Fatal" not in log
        assert "Traceback" not in log
        assert "Valkey has exited" not in log

    with running(*options) as run:
        async with run.client() as client:
            assert await client.ended(view["task_id"]) == view
            assert decoded((await client.get("/" + view["result"])).content).size == (100, 100)
            assert (await client.ended(waiting))["status"] == "SUCCESS"


async def test_the_curl_line_of_the_banner_works(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    with running("--data-dir", str(tmp_path / "data")) as run:
        [line] = [line.strip() for line in run.banner.splitlines() if "curl -F" in line]
        answer = await asyncio.to_thread(
            subprocess.run, f"{line} --silent --fail", shell=True, cwd=tmp_path, capture_output=True, check=True
        )
        assert b'"message":"Image processing started"' in answer.stdout
        assert f"data         {tmp_path / 'data'}" in run.banner


async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path)) as run:
        first = run.child("worker_process")
        first.kill()

        async def another() -> bool:
            return bool({each.pid for each in run.children("worker_process")} - {first.pid})

        await eventually(another)
        run.family.append(run.child("worker_process"))
        async with run.client() as client:
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"


async def test_after_kill_9_the_worker_goes_too_and_the_next_run_takes_over(tmp_path: Path) -> None:
    options = ("--data-dir", str(tmp_path))
    with running(*options) as run:
        async with run.client() as client:
            view = await client.ended(await client.upload())
        worker, valkey = run.child("worker_process"), run.child("valkey-server")
        run.process.kill()
        await asyncio.to_thread(worker.wait, DEADLINE_S)
        with running(*options) as again:
            await asyncio.to_thread(valkey.wait, DEADLINE_S)
            async with again.client() as client:
                assert await client.ended(view["task_id"]) == view


async def test_a_valkey_that_dies_is_started_again_with_all_it_held(tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path)) as run:
        async with run.client() as client:
            view = await client.ended(await client.upload())
            await asyncio.sleep(1.1)  # its append-only file is synced once a second
            run.child("valkey-server").kill()

            async def known() -> bool:
                return (await client.get(f"/task-status/{view['task_id']}")).status_code == 200

            await eventually(known)
            run.family.append(run.child("valkey-server"))
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis://no.such.host.invalid"])
def test_a_redis_that_does_not_answer_is_one_line(tmp_path: Path, url: str) -> None:
    said = refusal("--port", "0", "--data-dir", str(tmp_path), REDIS_URL=url)
    assert said.startswith("darkroom: REDIS_URL: cannot connect: ")
    assert said.count("\n") == 1


async def test_redis_url_replaces_the_embedded_server(redis: ArqRedis, settings: Settings, tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path), REDIS_URL=settings.redis_url) as run:
        assert len(run.family) == 2
        async with run.client() as client:
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"


def refusal(*options: str, **environ: str) -> str:
    """Return what `python -m app` says when it will not start."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *options],
        env={**ENVIRON, **environ}, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal("--port", str(port), "--data-dir", str(tmp_path))
    assert said == (
        f"darkroom: cannot listen on 127.0.0.1:{port} ([Errno 98] Address already in use); "
        "choose another with --port or --host\n"
    )


@pytest.mark.parametrize("options", [("--port", "99999"), ("--host", "no.such.host.invalid"), ("--host", "192.0.2.1")])
def test_an_address_that_is_not_ours_is_one_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    said = refusal(*options, "--data-dir", str(tmp_path))
    assert said.startswith("darkroom: cannot listen on ")
    assert said.count("\n") == 1


def test_a_data_directory_in_use_is_one_line(tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path)):
        said = refusal("--port", "0", "--data-dir", str(tmp_path))
    assert said == f"darkroom: {tmp_path} is in use by another run; stop it or give another --data-dir\n"


async def test_a_misspelt_variable_is_named_with_the_right_one(tmp_path: Path) -> None:
    with running("--data-dir", str(tmp_path / "data"), QEUE_LIMIT="5", STORAGE_URL=str(tmp_path / "plain path")) as run:
        async with run.client() as client:
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"
        assert "QEUE_LIMIT is not a setting; did you mean QUEUE_LIMIT?\n" in run.log.read_text()
        assert f"studio       {run.url}/" in run.banner
    assert [path for path in (tmp_path / "plain path").rglob("*") if path.is_file()]


def test_no_setting_is_taken_for_another_that_is_misspelt() -> None:
    environ = {name.upper(): "" for name in Settings.__struct_fields__} | dict(ENVIRON)
    assert misspelled_settings(engine.Settings, environ) == misspelled_settings(Settings, environ) == []


def test_a_wrong_variable_is_one_line(tmp_path: Path) -> None:
    said = refusal("--port", "0", "--data-dir", str(tmp_path), MAX_PIXELS="lots")
    assert said == "darkroom: MAX_PIXELS: must be a whole number at least 1; got 'lots'\n"


def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file where a directory should be")
    said = refusal("--port", "0", "--data-dir", str(tmp_path))
    assert said == f"darkroom: STORAGE_URL: the directory {tmp_path / 'storage'} cannot be created: File exists\n"
