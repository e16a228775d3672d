import sys

from tests.benchmarks.cases import FITS, Case
from tests.benchmarks.contenders.base import Contender, cores
from tests.benchmarks.load import PATIENT, Job, Pauses, expect, get

PACKAGE = "thumbor==7.8.0"

CONFIG = """\
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {pictures!r}
STORAGE = "thumbor.storages.no_storage"
ENGINE_THREADPOOL_SIZE = {threads}
MAX_AGE = 0
"""


class Thumbor(Contender):
    """thumbor with its own settings but for a thread for each core; it reads the picture from its disk: no upload."""

    name = "thumbor"

    def set_up(self) -> None:
        environment = self.environments / "thumbor"
        if not environment.exists():
            self.install("venv", sys.executable, "-m", "venv", environment)
        self.install(PACKAGE, environment / "bin" / "pip", "install", "-q", PACKAGE)

    def start(self) -> None:
        pictures = self.directory / "pictures"
        pictures.mkdir()
        for name, data in self.pictures.items():
            (pictures / name).write_bytes(data)
        config = self.directory / "thumbor.conf"
        config.write_text(CONFIG.format(pictures=str(pictures), threads=cores()))
        program = self.environments / "thumbor" / "bin" / "thumbor"
        self.spawn(program, "--ip", "127.0.0.1", "--port", str(self.port), "--conf", config, "--log-level", "error")
        self.await_port()

    def job(self, case: Case, pauses: Pauses = PATIENT) -> Job | None:
        if case not in FITS:
            return None
        filters = [f"format({case.format})"]
        if "quality" in case.fields:
            filters.append(f"quality({case.fields['quality']})")
        request = get(f"/unsafe/fit-in/512x512/filters:{':'.join(filters)}/{case.picture}")
        return lambda connection: expect(connection.exchange(request), 200)
