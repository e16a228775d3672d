"""The matrix of faults: each kind of fault in each part of the system, under load, and what came of it."""

import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import boto3
import httpx2
import psutil

from app.standalone.valkey import free_port
from tests.chaos.proxy import Proxy
from tests.chaos.system import System
from tests.conftest import eventually
from tests.support.pictures import jpeg
from worker.tasks.connection import connect
from worker.tasks.status import FINAL_STATES
from worker.tasks.store import Tasks

PHOTO = jpeg((640, 480))
LARGE = jpeg((5000, 4000))
"""For workers without memory: larger than the blocks that Pillow keeps."""

PAUSE_S = 0.1
"""Pause between two uploads of the load."""

BEFORE_S, AFTER_S = 2.0, 3.0
"""How long the load goes on before and after the fault."""

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

DISK_MB = 24

S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
}  # fmt: skip


@dataclass
class Outcome:
    """What a cell of the matrix shows."""

    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Error codes of the tasks that ended as FAILURE."""
    refused: Counter[str] = field(default_factory=Counter)
    """What clients saw that were not answered with 202."""
    still_s: float = 0.0
    """The longest time without an end of a task from the fault on."""
    slowest_s: float = 0.0
    """The longest time from the creation of a task to its end."""


def mount(folder: Path) -> None:
    """Mount a small file system; raise `subprocess.CalledProcessError` without the right to."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", folder], check=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", folder], check=True)


class Rig(System):
    """A system whose connections go through proxies, on a store of S3 if asked for."""

    async def prepare(self, stack: AsyncExitStack, *, on_s3: bool, disk: str | None) -> None:
        """Start everything. `disk` is the folder (storage or valkey) that gets a small file system of its own."""
        self.disk = None
        if disk is not None:
            self.disk = self.directory / disk
            self.disk.mkdir()
            mount(self.disk)
            stack.callback(unmount, self.disk)
        self.start_server()
        self.api_link, self.worker_link = Proxy(self.server_port), Proxy(self.server_port)
        self.store_link = Proxy(free_port())
        for proxy in (self.api_link, self.worker_link, self.store_link):
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        if on_s3:
            await self._start_s3(stack)
        for name in self.commands:
            self.start_process(name)
        supervisor = asyncio.create_task(self.supervise())
        stack.callback(supervisor.cancel)
        await self.ready()

    async def _start_s3(self, stack: AsyncExitStack) -> None:
        port = self.store_link._target_port
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        self.store = psutil.Popen(command, stdout=self.log, stderr=self.log)
        stack.callback(self.store.wait)
        stack.callback(self.store.kill)
        url = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
        )

        async def has_bucket() -> bool:
            with suppress(Exception):
                await asyncio.to_thread(client.create_bucket, Bucket="bucket")
                return True
            return False

        await eventually(has_bucket)
        environ = {**S3_KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.store_link.port}"}
        self.environ |= {**environ, "STORAGE_URL": "s3://bucket/darkroom"}

    def environ_of(self, name: str) -> dict[str, str]:
        link = self.api_link if name.startswith("api") else self.worker_link
        return {**super().environ_of(name), "REDIS_URL": f"redis://127.0.0.1:{link.port}", "MIN_FREE_MB": "2"}

    async def supervise(self) -> None:
        """Start processes again that exit by themselves, as Docker's restart policy does."""
        while True:
            await asyncio.sleep(0.3)
            for name, process in self.processes.items():
                if name not in self.struck and process.poll() is not None:
                    self.start_process(name)

    def named(self, part: str) -> list[str]:
        return [name for name in self.commands if name.startswith(part)]

    def fill_disk(self) -> None:
        if self.disk is not None:
            with (self.disk / "filler").open("wb") as filler, suppress(OSError):
                while True:
                    filler.write(bytes(65_536))
                    filler.flush()

    def free_disk(self) -> None:
        if self.disk is not None:
            (self.disk / "filler").unlink()


Fault = Callable[[Rig, random.Random], Awaitable[None]]


async def kill(rig: Rig, part: str, chance: random.Random) -> None:
    name = chance.choice(rig.named(part))
    rig.struck.add(name)
    rig.processes[name].kill()
    rig.processes[name].wait()
    await asyncio.sleep(0.5)
    rig.start_process(name)
    rig.struck.remove(name)


async def kill_server(rig: Rig) -> None:
    await asyncio.to_thread(rig.server.terminate)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(rig.start_server)


async def freeze(process: psutil.Process, seconds: float = 30) -> None:
    process.suspend()
    await asyncio.sleep(seconds)
    process.resume()


async def fill(rig: Rig, seconds: float = 4) -> None:
    rig.fill_disk()
    await asyncio.sleep(seconds)
    rig.free_disk()


async def squeeze_server(rig: Rig) -> None:
    redis = connect(rig.settings.redis_url)
    await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"]) + 10_000)
    await asyncio.sleep(4)
    await redis.config_set("maxmemory", 0)
    await redis.aclose(close_connection_pool=True)


async def squeeze_workers(rig: Rig) -> None:
    for name in rig.named("worker"):
        process = rig.processes[name]
        process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms, resource.RLIM_INFINITY))
    await asyncio.sleep(4)
    for name in rig.named("worker"):
        with suppress(psutil.NoSuchProcess):  # it has been restarted
            rig.processes[name].rlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def truncate_log(rig: Rig) -> None:
    """Cut the last bytes of the append-only file, as a power cut may."""
    await asyncio.to_thread(rig.server.terminate)
    [log] = (rig.directory / "valkey").rglob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 300)
    await asyncio.to_thread(rig.start_server)


async def shift_clock(rig: Rig, part: str, offset: str) -> None:
    for name in rig.named(part):
        rig.environ_by_name[name] = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}
        await restart(rig, name)


async def lose_replies(proxy: Proxy) -> None:
    for _ in range(3):
        proxy.loses_replies = True
        await asyncio.sleep(1)
        proxy.loses_replies = False
        proxy.cut()
        await asyncio.sleep(0.3)


async def cut(proxy: Proxy) -> None:
    for _ in range(10):
        proxy.cut()
        await asyncio.sleep(0.3)


async def restart(rig: Rig, name: str) -> None:
    process = rig.processes[name]
    rig.struck.add(name)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 60)
    rig.start_process(name)
    rig.struck.remove(name)
    await rig.ready()


async def roll(rig: Rig, part: str) -> None:
    for name in rig.named(part):
        await restart(rig, name)


CELLS: dict[tuple[str, str], Fault] = {
    ("kill -9", "API"): lambda rig, chance: kill(rig, "api", chance),
    ("kill -9", "worker"): lambda rig, chance: kill(rig, "worker", chance),
    ("kill -9", "Valkey"): lambda rig, _: kill_server(rig),
    ("frozen for 30 s", "API"): lambda rig, chance: freeze(rig.processes[chance.choice(rig.named("api"))]),
    ("frozen for 30 s", "worker"): lambda rig, chance: freeze(rig.processes[chance.choice(rig.named("worker"))]),
    ("frozen for 30 s", "Valkey"): lambda rig, _: freeze(rig.server_process),
    ("frozen for 30 s", "store"): lambda rig, _: freeze(rig.store),
    ("disk full", "Valkey"): lambda rig, _: fill(rig),
    ("disk full", "store"): lambda rig, _: fill(rig),
    ("out of memory", "worker"): lambda rig, _: squeeze_workers(rig),
    ("out of memory", "Valkey"): lambda rig, _: squeeze_server(rig),
    ("log truncated", "Valkey"): lambda rig, _: truncate_log(rig),
    ("clock an hour ahead", "API"): lambda rig, _: shift_clock(rig, "api", "+1h"),
    ("clock an hour ahead", "worker"): lambda rig, _: shift_clock(rig, "worker", "+1h"),
    ("clock an hour behind", "API"): lambda rig, _: shift_clock(rig, "api", "-1h"),
    ("clock an hour behind", "worker"): lambda rig, _: shift_clock(rig, "worker", "-1h"),
    ("replies lost", "API and Valkey"): lambda rig, _: lose_replies(rig.api_link),
    ("replies lost", "worker and Valkey"): lambda rig, _: lose_replies(rig.worker_link),
    ("replies lost", "store"): lambda rig, _: lose_replies(rig.store_link),
    ("connections cut", "API and Valkey"): lambda rig, _: cut(rig.api_link),
    ("connections cut", "worker and Valkey"): lambda rig, _: cut(rig.worker_link),
    ("connections cut", "store"): lambda rig, _: cut(rig.store_link),
    ("rolling restart", "API"): lambda rig, _: roll(rig, "api"),
    ("rolling restart", "worker"): lambda rig, _: roll(rig, "worker"),
    ("rolling restart", "Valkey"): lambda rig, _: kill_server(rig),
}
"""Fault and part -> how it is done. Killing a store that keeps nothing, as the tests' S3 does, would show nothing."""

NEEDS_S3 = {("frozen for 30 s", "store"), ("replies lost", "store"), ("connections cut", "store")}
DISKS = {("disk full", "Valkey"): "valkey", ("disk full", "store"): "storage"}


async def load(rig: Rig, stop: asyncio.Event, outcome: Outcome, *, is_heavy: bool) -> list[str]:
    """Upload until stopped, at the next API after a failure to connect, as a load balancer does; return the ids."""
    accepted: list[str] = []
    photo, data = (LARGE, {"operation": "blur"}) if is_heavy else (PHOTO, {"operation": "resize", "width": "64"})

    async def upload(client: httpx2.AsyncClient) -> None:
        ports = random.sample(rig.api_ports, len(rig.api_ports))
        for number, port in enumerate(ports, start=1):
            try:
                files = {"file": ("a.jpg", photo)}
                answer = await client.post(f"http://127.0.0.1:{port}/process-image/", files=files, data=data)
            except httpx2.ConnectError:
                if number == len(ports):
                    outcome.refused["no connection"] += 1
                continue
            except httpx2.HTTPError:
                outcome.refused["connection lost"] += 1
                return
            if answer.status_code == 202:
                accepted.append(answer.json()["task_id"])
            else:
                outcome.refused[str(answer.status_code)] += 1
            return

    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits()) as client:
        uploads = []
        while not stop.is_set():
            uploads.append(asyncio.create_task(upload(client)))
            await asyncio.sleep(10 * PAUSE_S if is_heavy else PAUSE_S)
        await asyncio.gather(*uploads)
    return accepted


async def run_cell(cell: tuple[str, str], directory: Path, seed: int) -> Outcome:
    """Do one cell of the matrix on a fresh system."""
    rig, outcome, stop = Rig(directory), Outcome(), asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(rig.stop)
        await rig.prepare(stack, on_s3=cell in NEEDS_S3, disk=DISKS.get(cell))
        redis = connect(rig.settings.redis_url)
        stack.push_async_callback(redis.aclose, close_connection_pool=True)
        tasks = Tasks(redis, rig.settings)
        loading = asyncio.create_task(load(rig, stop, outcome, is_heavy=cell == ("out of memory", "worker")))
        await asyncio.sleep(BEFORE_S)
        began_ms = int((await redis.time())[0]) * 1000
        await CELLS[cell](rig, random.Random(seed))
        await asyncio.sleep(AFTER_S)
        stop.set()
        accepted = await loading

        async def has_drained() -> bool:
            with suppress(Exception):
                return not sum([await redis.zcard(f"tasks:{state}") for state in ("PENDING", "STARTED")])
            return False

        await eventually(has_drained, 120)
        ends, times, outcome.slowest_s = await ends_of(redis)
        outcome.accepted = len(accepted)
        for task_id in accepted:
            outcome.lost += task_id not in ends
            outcome.doubled += len(ends.get(task_id, [])) > 1
            if ends.get(task_id) == ["FAILURE"]:
                outcome.failed[str((await tasks.get(task_id)).error_code)] += 1
        moments = [began_ms, *(at for at in times if at > began_ms)]
        outcome.still_s = max((b - a for a, b in pairwise(moments)), default=0) / 1000
    return outcome


async def ends_of(redis: object) -> tuple[dict[str, list[str]], list[int], float]:
    """Return the ends of each task, the times of all ends (Unix ms), and how long the slowest task took in seconds."""
    ends: dict[str, list[str]] = {}
    created: dict[str, int] = {}
    times, slowest_ms = [], 0
    for entry_id, entry in await redis.xrange("tasks:events"):  # type: ignore[attr-defined]
        status, task_id = entry.get(b"status", b"").decode(), entry[b"task_id"].decode()
        at_ms = int(entry_id.partition(b"-")[0])
        created.setdefault(task_id, at_ms)
        if status in FINAL_STATES:
            ends.setdefault(task_id, []).append(status)
            times.append(at_ms)
            slowest_ms = max(slowest_ms, at_ms - created[task_id])
    return ends, times, slowest_ms / 1000


def row(cell: tuple[str, str], outcome: Outcome) -> str:
    """Return a row of the table in README."""
    fault, part = cell
    refused = ", ".join(f"{count} x {kind}" for kind, count in sorted(outcome.refused.items())) or "202 only"
    kept = f"{outcome.accepted - outcome.lost} of {outcome.accepted}"
    failed = "".join(f", {count} failed ({code})" for code, count in sorted(outcome.failed.items()))
    return f"| {fault} | {part} | {refused} | {kept}{failed} | {outcome.still_s:.1f} s | {outcome.slowest_s:.1f} s |"
