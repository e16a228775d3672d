"""What is on disk when a client gets its 202 and its SUCCESS: the order of system calls of all processes."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.app.standalone.test_local import ENVIRON
from tests.conftest import DEADLINE_S, PATIENT, PHOTO, Client, eventually

UNFINISHED = "<unfinished ...>"

CALLS = "fsync,fdatasync,write,writev,sendto,sendmsg"


@dataclass(frozen=True)
class Call:
    """A system call, as strace prints it, and the lines of the trace at which it begins and ends."""

    text: str
    begin: int
    end: int


def calls(trace: str) -> Iterator[Call]:
    """Read a trace of several processes, in which a call may end some lines after it began."""
    begun: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(trace.splitlines()):
        process, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith(UNFINISHED):
            begun[process] = text.removesuffix(UNFINISHED).rstrip(), number
        elif text.startswith("<...") and process in begun:
            beginning, first = begun.pop(process)
            yield Call(beginning + text.partition("resumed>")[2], first, number)
        else:
            yield Call(text, number, number)


class Traced:
    """`python -m app` under strace."""

    def __init__(self, directory: Path, sync_writes: str) -> None:
        if shutil.which("strace") is None:
            pytest.fail("no strace here; install Debian's package strace")
        self._trace = directory / "trace"
        options = ["-f", "-y", "-s", "20000", "-e", f"trace={CALLS}", "-o", str(self._trace)]
        command = [
            "strace",
            *options,
            sys.executable,
            "-m",
            "app",
            "--port",
            "0",
            "--data-dir",
            str(directory / "data"),
        ]
        with (directory / "log").open("w") as log:
            self.process = psutil.Popen(command, env={**ENVIRON, **PATIENT, "SYNC_WRITES": sync_writes}, stdout=log)
        self._log = directory / "log"

    async def task(self) -> tuple[str, list[Call]]:
        """Run a task to its end; return its id and the calls until then."""

        async def url() -> str | None:
            found = re.search(r"running at (\S+)", self._log.read_text())
            return found and found[1]

        async with Client(base_url=await eventually(url, DEADLINE_S)) as client:
            task_id = await client.upload(PHOTO, "photo.jpg", operation="resize")
            assert (await client.ended(task_id))["status"] == "SUCCESS"
        return task_id, list(calls(self._trace.read_text(errors="replace")))


@pytest.fixture
def started() -> Iterator[list[Traced]]:
    """The services of a test, which are stopped at its end."""
    services: list[Traced] = []
    yield services
    for service in services:
        for child in service.process.children():
            child.terminate()
        service.process.wait(DEADLINE_S)


async def test_with_sync_writes_files_and_records_are_on_disk_before_the_answers(
    started: list[Traced], tmp_path: Path
) -> None:
    started.append(Traced(tmp_path, "true"))
    task_id, trace = await started[0].task()

    def ended(pattern: str, after: int = 0) -> int:
        """Return the line where the first such call that begins after a line has ended."""
        return min(each.end for each in trace if each.begin >= after and re.match(pattern, each.text, re.DOTALL))

    def began(pattern: str) -> int:
        return min(each.begin for each in trace if re.match(pattern, each.text, re.DOTALL))

    storage = re.escape(str(tmp_path / "data" / "storage"))
    accepted = began(r"(write|writev|sendto|sendmsg)\(.*HTTP/1\.1 202 ")
    created = ended(rf"write\([^ ]*\.aof>.*task:{task_id}.*PENDING")
    succeeded = began(rf"write\([^ ]*\.aof>.*task:{task_id}.*SUCCESS")
    told = began(rf"(write|writev|sendto|sendmsg)\(\d+<socket.*{task_id}.{{,30}}status.{{,5}}SUCCESS")
    for path in (f"{storage}/uploads/{task_id}", f"{storage}/uploads", storage):
        assert ended(rf"fsync\(\d+<{path}>\)") < began(rf"write\([^ ]*\.aof>.*task:{task_id}.*PENDING")
    assert ended(r"(fsync|fdatasync)\(\d+<[^>]*\.aof>\)", after=created) < accepted
    for path in (f"{storage}/processed/{task_id}/photo.jpg", f"{storage}/processed/{task_id}", f"{storage}/processed"):
        assert ended(rf"fsync\(\d+<{path}>\)") < succeeded
    assert ended(r"(fsync|fdatasync)\(\d+<[^>]*\.aof>\)", after=succeeded) < told


async def test_without_sync_writes_no_picture_is_synced(started: list[Traced], tmp_path: Path) -> None:
    started.append(Traced(tmp_path, "false"))
    task_id, trace = await started[0].task()
    assert [each for each in trace if each.text.startswith("fsync") and "/storage" in each.text] == []
    assert any(re.match(rf"write\([^ ]*\.aof>.*task:{task_id}.*SUCCESS", each.text, re.DOTALL) for each in trace)
