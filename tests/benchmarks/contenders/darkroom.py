import re
import sys
from contextlib import suppress

import psutil

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Connection, Job, Pauses, expect, form, get, submit, wait


class Darkroom(Contender):
    """As README starts it: `python -m app`, every write synced to disk."""

    name = "Darkroom"

    def start(self) -> None:
        self.spawn(
            sys.executable,
            *("-m", "app", "--port", str(self.port), "--data-dir", str(self.directory)),
            WORKER_THREADS=str(cores()),
        )
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job:
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


def _fetched(connection: Connection, answer: bytes) -> bytes:
    path = re.search(rb'"result":"([^"]+)"', answer)
    if path is None:
        raise ValueError("a task that succeeded names no result")
    return expect(connection.exchange(get(f"/{path[1].decode()}")), 200)
