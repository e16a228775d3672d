"""The load client: blocking sockets in threads, requests made beforehand, nothing parsed that is not needed."""

import re
import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class Pauses:
    """How a client that waits for a task asks for its status."""

    first_s: float
    growth: float
    longest_s: float


PATIENT = Pauses(0.008, 1.3, 0.2)
EAGER = Pauses(0.001, 1.0, 0.001)
"""For one client and an idle server, where the pause is what limits the measurement."""

LONGEST_TASK_S = 60

TASK_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}")


class Connection:
    """A kept-alive HTTP/1.1 connection to a server on this machine, for answers with a Content-Length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send one request and return the answer's status and body."""
        self._socket.sendall(request)
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            self._held += self._received()
        head, body = self._held[:end], self._held[end + 4 :]
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length is None:
            raise ValueError(f"no Content-Length in {head!r}")
        parts, missing = [body], int(length[1]) - len(body)
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        body = b"".join(parts)
        self._held = body[int(length[1]) :]
        return int(head[9:12]), body[: int(length[1])]

    def close(self) -> None:
        self._socket.close()

    def _received(self) -> bytes:
        chunk = self._socket.recv(262_144)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk


Job = Callable[[Connection], Sequence[bytes]]
"""One picture's way through a contender; returns the results if it fetches them, and raises without success."""


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes, content_type: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def form(name: str, data: bytes, fields: dict[str, str]) -> bytes:
    """Return a POST of a picture to `/process-image/`."""
    boundary = "----------benchmark----------"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return post("/process-image/", body, f"multipart/form-data; boundary={boundary}")


def expect(answer: tuple[int, bytes], status: int) -> bytes:
    if answer[0] != status:
        raise ValueError(f"{answer[0]}: {answer[1][:300]!r}")
    return answer[1]


def submit(connection: Connection, request: bytes, accepted: int = 202) -> str:
    """Send a picture to a queue and return its task's id."""
    found = TASK_ID.search(expect(connection.exchange(request), accepted))
    if found is None:
        raise ValueError("the answer names no task")
    return found[0].decode()


def wait(connection: Connection, task_id: str, pauses: Pauses) -> bytes:
    """Ask for a task's status until it is SUCCESS; return that answer."""
    request, pause_s = get(f"/task-status/{task_id}"), pauses.first_s
    deadline = time.monotonic() + LONGEST_TASK_S
    while time.monotonic() < deadline:
        time.sleep(pause_s)
        body = expect(connection.exchange(request), 200)
        if b'"SUCCESS"' in body:
            return body
        if b'"FAILURE"' in body:
            raise ValueError(body.decode())
        pause_s = min(pause_s * pauses.growth, pauses.longest_s)
    raise TimeoutError(f"{task_id} has not ended after {LONGEST_TASK_S} s")


@dataclass
class Measured:
    """One turn of one contender."""

    wall_s: float
    latencies_s: list[float]
    cpu_s: float
    """CPU time of all its processes."""
    client_cpu_s: float
    errors: list[str] = field(default_factory=list)

    def check(self, what: str) -> "Measured":
        """Return this, or raise when a client had to give up."""
        if self.errors:
            raise RuntimeError(f"{what}: {self.errors[0]}")
        return self

    @property
    def figures(self) -> dict[str, float]:
        count = len(self.latencies_s)
        ranked = sorted(self.latencies_s)
        return {
            "per_s": count / self.wall_s,
            "p50_ms": statistics.median(ranked) * 1000,
            "p99_ms": ranked[min(count - 1, int(count * 0.99))] * 1000,
            "cpu_ms": self.cpu_s / count * 1000,
            "client_ms": self.client_cpu_s / count * 1000,
        }


def cpu_s(roots: list[psutil.Process]) -> float:
    """Return the CPU seconds that processes and all their children have used; 10 ms is the kernel's grain."""
    family = {child.pid: child for root in roots for child in [root, *root.children(recursive=True)]}
    times = [process.cpu_times() for process in family.values()]
    return sum(each.user + each.system for each in times)


def run(job: Job, port: int, clients: int, seconds: float, roots: list[psutil.Process]) -> Measured:
    """Let `clients` do `job` over and over for `seconds`, each at least once; the first error ends a client."""
    latencies: list[float] = []
    errors: list[str] = []
    served, used = cpu_s(roots), time.process_time()
    began = time.perf_counter()

    def client() -> None:
        try:
            with closing(Connection(port)) as connection:
                while True:
                    start = time.perf_counter()
                    job(connection)
                    end = time.perf_counter()
                    latencies.append(end - start)
                    if end - began > seconds:
                        return
        except Exception as exc:  # it must not end unseen in its thread
            errors.append(f"{type(exc).__name__}: {exc}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    return Measured(wall, latencies, cpu_s(roots) - served, time.process_time() - used, errors)
