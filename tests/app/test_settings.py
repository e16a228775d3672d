"""Settings come from the environment, once, and errors name the variable."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.api_settings import Settings
from worker.settings import InvalidSettings, read_settings


def test_nothing_set_is_enough() -> None:
    settings = read_settings(Settings, {})
    assert settings.redis_url == "redis://127.0.0.1:6379"
    assert settings.storage_url == (Path.cwd() / "data" / "storage").as_uri()
    assert settings.max_upload_bytes == 33_554_432


def test_each_field_is_the_variable_of_its_name() -> None:
    settings = read_settings(
        Settings, {"MAX_PIXELS": "5", "TASK_TIMEOUT_S": "1.5", "REDIS_URL": "unix:///run/r", "OTHER": "x"}
    )
    assert (settings.max_pixels, settings.task_timeout_s, settings.redis_url) == (5, 1.5, "unix:///run/r")


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Compose passes `${MAX_PIXELS:-}` as an empty text."""
    assert read_settings(Settings, {"MAX_PIXELS": ""}) == read_settings(Settings, {})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MAX_UPLOAD_BYTES", "32M", "a whole number at least 1"),
        ("TASK_TIMEOUT_S", "0", "a number greater than 0"),
        ("TASK_TIMEOUT_S", "nan", "a number greater than 0"),
        ("WORKER_THREADS", "-1", "a whole number from 1 to 256"),
        ("REDIS_URL", "localhost:6379", "a URL that begins with redis://, rediss:// or unix://"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read_settings(Settings, {name: value, "MAX_ATTEMPTS": "x"})
    assert f"{name}: must be {allowed}; got {value!r}" in str(caught.value)
    assert "MAX_ATTEMPTS: must be a whole number at least 1; got 'x'" in str(caught.value)


def test_redirects_without_an_object_store_are_refused_by_name() -> None:
    with pytest.raises(InvalidSettings, match=r"^REDIRECT_DOWNLOADS: 'true' needs an object store in STORAGE_URL"):
        read_settings(Settings, {"REDIRECT_DOWNLOADS": "true"})
    assert read_settings(Settings, {"REDIRECT_DOWNLOADS": "true", "STORAGE_URL": "s3://bucket"}).redirect_downloads


def test_importing_reads_no_environment_and_connects_to_nothing() -> None:
    code = "import app.main, worker.main, worker.operations, app.__main__, worker.__main__; print('imported')"
    environ = {"REDIS_URL": "nonsense", "MAX_PIXELS": "nonsense"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "imported\n"
