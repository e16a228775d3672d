"""What every contender is: set up, started, asked, measured, stopped."""

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import psutil

from app.standalone.valkey import free_port
from tests.benchmarks.cases import Case
from tests.benchmarks.load import EAGER, PATIENT, Connection, Job, Measured, Pauses, run

START_TIMEOUT_S = 60


class Unavailable(Exception):
    """The contender cannot be had on this machine; the text says why."""


class Contender:
    """A service under test. `roots` are its processes; their children count as its own."""

    name: ClassVar[str]

    def __init__(self, environments: Path, directory: Path, pictures: dict[str, bytes]) -> None:
        self.environments = environments
        """Where what has been installed is kept from run to run."""
        self.directory = directory
        """For the data of this run."""
        self.pictures = pictures
        self.port = free_port()
        self.roots: list[psutil.Process] = []
        self._log = (directory / "log").open("ab")

    def set_up(self) -> None:
        """Install what is needed, or raise `Unavailable`."""

    def start(self) -> None:
        raise NotImplementedError

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job | None:
        """Return what a client does to have one picture processed; None for what this contender cannot do."""
        raise NotImplementedError

    def results(self, case: Case) -> list[bytes]:
        """Return the processed picture, or one for each of the outputs."""
        job = self.job(replace(case, is_fetched=True))
        if job is None:
            raise ValueError(f"{self.name} cannot do {case.name}")
        return list(job(Connection(self.port)))

    def measure(self, case: Case, clients: int, seconds: float) -> Measured:
        job = self.job(case, PATIENT if clients > 1 else EAGER)
        if job is None:
            raise ValueError(f"{self.name} cannot do {case.name}")
        return run(job, self.port, clients, seconds, self.roots)

    def stop(self) -> None:
        for root in self.roots:
            with suppress(psutil.NoSuchProcess):
                for process in [*root.children(recursive=True), root]:
                    process.kill()
            root.wait()
        self._log.close()

    def spawn(self, *command: str | Path, **environ: str) -> psutil.Popen:
        try:
            process = psutil.Popen(
                [str(part) for part in command],
                cwd=self.directory,
                env={**os.environ, **environ},
                stdout=self._log,
                stderr=self._log,
            )
        except OSError as exc:
            raise Unavailable(f"cannot be started: {exc}") from exc
        self.roots.append(process)
        return process

    def await_port(self) -> None:
        """Wait until the contender takes connections."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and all(root.status() != psutil.STATUS_ZOMBIE for root in self.roots):
            with suppress(OSError):
                Connection(self.port).close()
                return
            time.sleep(0.05)
        raise Unavailable(f"did not start:\n{(self.directory / 'log').read_text()[-2000:]}")

    def install(self, marker: str, *command: str | Path, cwd: Path | None = None) -> None:
        """Run an installation once, or again when `marker` (what is installed) has changed."""
        done = self.environments / f"{self.name.replace(' ', '-')}.installed"
        if done.exists() and done.read_text() == marker:
            return
        try:
            subprocess.run([str(part) for part in command], cwd=cwd, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as exc:
            last = (getattr(exc, "stderr", "") or str(exc)).strip().splitlines()[-1:]
            raise Unavailable(f"cannot be installed: {' '.join(last)}") from exc
        done.write_text(marker)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
