"""Checks at the start of a process, whose failure ends it with one line on the terminal."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from worker.settings import AnySettings, InvalidSettings, Settings, misspelled_settings, read_settings
from worker.storage import StorageUnavailable
from worker.telemetry import logs

logger = logging.getLogger(__name__)

METADATA_ADDRESS = "169.254.169.254"
"""Where clouds give their machines credentials; it is asked if no others are set."""


class CannotStart(Exception):
    """The environment does not allow the start; the message is shown as one line on the terminal."""


@contextmanager
def errors_as_one_line() -> Iterator[None]:
    """Exit with one line for an error of the settings or of the environment, instead of a traceback."""
    try:
        yield
    except (CannotStart, InvalidSettings, StorageUnavailable) as exc:
        sys.exit(f"darkroom: {exc}")


def read_and_log(
    kind: type[AnySettings], environ: Mapping[str, str] = os.environ, *, captures_stderr: bool = False
) -> AnySettings:
    """Read the settings, configure the log, and warn of misspelled settings. Raises `InvalidSettings`."""
    settings = read_settings(kind, environ)
    logs.configure(settings.log_format, captures_stderr=captures_stderr)
    for warning in misspelled_settings(kind, environ):
        logger.warning("%s", warning)
    return settings


def check_storages(settings: Settings) -> None:
    """Call `check_storage` for the storage and for the delivery stores."""
    check_storage(settings.storage_url)
    for url in settings.store_urls.values():
        check_storage(url, "DELIVERY_STORES")


def check_storage(url: str, setting: str = "STORAGE_URL") -> None:
    """Raise `CannotStart` if the storage can never be used; log a warning if it does not answer yet.

    An object is written to an object store, without retries; of a local directory, the permissions are checked.
    """
    if url.startswith("file:"):
        _check_directory(Path(unquote(urlsplit(url).path)), setting)
        return
    try:
        store = from_url(url, retry_config={"max_retries": 0})
        obstore.put(store, "readiness/start", b"ready")
        obstore.delete(store, "readiness/start")
    except FileNotFoundError as exc:
        raise CannotStart(f"{setting}: {url} does not exist; create it first") from exc
    except (PermissionDeniedError, UnauthenticatedError) as exc:
        raise CannotStart(f"{setting}: {url} may not be written with these credentials") from exc
    except (BaseError, OSError) as exc:
        reason = str(exc).splitlines()[0]
        if METADATA_ADDRESS in reason:
            raise CannotStart(f"{setting}: {url} needs credentials, and this environment has none") from exc
        if "Error performing" not in reason or "builder error" in reason:  # it was not even asked
            raise CannotStart(f"{setting}: {url}: {reason}") from exc
        logger.warning("%s: %s cannot be written yet: %s", setting, url, reason)


def _check_directory(directory: Path, setting: str) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotStart(f"{setting}: the directory {directory} cannot be created: {exc.strerror}") from exc
    if not os.access(directory, os.W_OK | os.X_OK):
        raise CannotStart(f"{setting}: the directory {directory} cannot be written")
