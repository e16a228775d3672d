"""`python -m app` runs the whole service on one machine: an embedded Valkey, a worker and the API."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import uvloop

from app.api_settings import Settings
from app.auth.access import is_loopback
from app.http.exceptions import OPENING
from app.main import create_app
from app.standalone.supervisor import (
    STOP_SIGNALS,
    check_redis,
    embedded_valkey,
    listening_socket,
    lock_data_dir,
    serve,
)
from app.tasks.presets import read_presets
from worker.runner.start import CannotStart, check_storages, errors_as_one_line, read_and_log
from worker.settings import read_settings

BANNER = """\
Darkroom is running at {url}
  studio       {url}/
  monitor      {url}/monitor
  API          {url}/docs
  data         {data_dir}
  Redis        {redis_url}

Try it:
  curl{key} -F file=@photo.jpg -F operation=resize -F width=400 {url}/process-image/

Ctrl-C stops everything; tasks and images stay in the data directory."""


def main() -> None:
    options = _options()
    # Until the server installs its own handlers; KeyboardInterrupt then stops what has been started.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        with errors_as_one_line():
            _run(options)
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Run Darkroom on this machine: Valkey (unless REDIS_URL is set), worker, API."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="tasks, uploads and results (default: ./%(default)s)"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace) -> None:
    data_dir: Path = options.data_dir.absolute()
    environ = dict(os.environ)
    environ.setdefault("STORAGE_URL", (data_dir / "storage").as_uri())
    settings = read_and_log(Settings, environ)
    with ExitStack() as stack:
        listener = stack.enter_context(listening_socket(options.host, options.port))
        _check_access(settings, listener.getsockname()[0])
        stack.enter_context(lock_data_dir(data_dir))
        check_storages(settings)  # report errors before starting anything
        read_presets(settings.presets_file, settings, is_required=settings.only_presets)
        valkey = None
        if environ.get("REDIS_URL"):
            check_redis(environ["REDIS_URL"])
        else:
            environ["REDIS_URL"], valkey = stack.enter_context(
                embedded_valkey(data_dir / "valkey", sync_writes=settings.sync_writes)
            )
        settings = read_settings(Settings, environ)
        url = f"http://{_reachable(options.host)}:{listener.getsockname()[1]}"
        key = " -H 'Authorization: Bearer <key>'" if settings.api_keys else ""
        banner = BANNER.format(url=url, data_dir=data_dir, redis_url=settings.redis_url, key=key)
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        runner.run(serve(create_app(settings), settings, listener, environ, valkey, lambda: print(banner, flush=True)))  # noqa: T201


def _check_access(settings: Settings, address: str) -> None:
    """Raise `CannotStart` if other machines could reach the server without an API key."""
    if not (settings.api_keys or settings.allow_anyone or is_loopback(address)):
        raise CannotStart(f"other machines could reach {address}: {OPENING}")


def _reachable(host: str) -> str:
    """Return the host for URLs that reach the listening address."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - all addresses
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
