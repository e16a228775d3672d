import json
import re
import sys
from contextlib import suppress
from typing import ClassVar

import psutil

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Connection, Job, Pauses, expect, form, get, submit, wait


class Darkroom(Contender):
    """As README starts it: `python -m app`."""

    name = "Darkroom"
    environ: ClassVar[dict[str, str]] = {}

    def start(self) -> None:
        command = ("-m", "app", "--port", str(self.port), "--data-dir", str(self.directory))
        self.spawn(sys.executable, *command, WORKER_THREADS=str(cores()), **self.environ)
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job:
        request = form(case.picture, self.pictures[case.picture], _fields(case))

        def job(connection: Connection) -> list[bytes]:
            answer = wait(connection, submit(connection, request), pauses)
            return _fetched(connection, answer) if case.is_fetched else []

        return job

    def stop(self) -> None:
        for root in self.roots:
            with suppress(psutil.NoSuchProcess):
                root.terminate()
                root.wait(timeout=60)
        super().stop()


class SyncedDarkroom(Darkroom):
    """With everything on disk before each answer: what that promise costs."""

    name = "Darkroom, SYNC_WRITES"
    environ: ClassVar[dict[str, str]] = {"SYNC_WRITES": "true"}


def _fields(case: Case) -> dict[str, str]:
    if not case.outputs:
        return case.fields
    variants = {
        f"{number:02}": {
            "operations": [{"operation": "resize", "width": output.width}],
            "format": output.format,
            "quality": output.quality,
        }
        for number, output in enumerate(case.outputs)
    }
    return {"variants": json.dumps(variants)}


def _fetched(connection: Connection, answer: bytes) -> list[bytes]:
    paths = re.findall(rb'"(processed/[^"]+)"', answer)
    if not paths:
        raise ValueError("a task that succeeded names no result")
    return [expect(connection.exchange(get(f"/{path.decode()}")), 200) for path in sorted(paths)]
