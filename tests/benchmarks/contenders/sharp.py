import json
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlencode

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders.base import Contender
from tests.benchmarks.load import PATIENT, Job, Pauses, expect, post

PACKAGE = "sharp@0.35.5"
SERVER = Path(__file__).parent / "sharp_server" / "server.mjs"


class SharpServer(Contender):
    """sharp (libvips) behind a bare Node HTTP server: the fastest engine, and nothing around it."""

    name = "sharp server"

    def set_up(self) -> None:
        environment = self.environments / "sharp"
        environment.mkdir(exist_ok=True)
        self.install(PACKAGE, "npm", "install", "--no-audit", "--no-fund", PACKAGE, cwd=environment)
        # Node looks for packages beside the program.
        (environment / SERVER.name).write_bytes(SERVER.read_bytes())

    def start(self) -> None:
        self.spawn("node", self.environments / "sharp" / SERVER.name, PORT=str(self.port), NODE_ENV="production")
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job:
        outputs = json.dumps([asdict(output) for output in case.outputs])
        query = urlencode({**case.fields, "format": case.format, "outputs": outputs})
        request = post(f"/?{query}", self.pictures[case.picture], "application/octet-stream")
        return lambda connection: _parts(expect(connection.exchange(request), 200))


def _parts(body: bytes) -> list[bytes]:
    """Return the images of an answer, each of which has its length in four bytes before it."""
    parts = []
    while body:
        end = 4 + int.from_bytes(body[:4], "big")
        parts.append(body[4:end])
        body = body[end:]
    return parts
