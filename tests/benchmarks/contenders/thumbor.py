import sys

from tests.benchmarks.cases import Case
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
        if case.outputs:
            paths = [_path(f"{each.width}x0", each.format, str(each.quality), case.picture) for each in case.outputs]
        elif case.fields.get("fit") == "inside":
            size = "fit-in/{width}x{height}".format(**case.fields)
            paths = [_path(size, case.format, case.fields.get("quality"), case.picture)]
        else:
            return None
        requests = [get(path) for path in paths]
        return lambda connection: [expect(connection.exchange(request), 200) for request in requests]


def _path(size: str, image_format: str, quality: str | None, picture: str) -> str:
    filters = [f"format({image_format})", *([f"quality({quality})"] if quality else [])]
    return f"/unsafe/{size}/filters:{':'.join(filters)}/{picture}"
