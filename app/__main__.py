"""`python -m app`: the whole service on this machine, with one command."""

import argparse
import asyncio
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import uvloop

from app.local import CannotStart, claimed, embedded_valkey, listening_socket, serve
from app.settings import Settings
from worker.settings import InvalidSettings, read_settings
from worker.storage import Storage, StorageUnavailable

BANNER = """\
Darkroom is running at {url}
  operations   {url}/operations
  data         {data_dir}
  Redis        {redis_url}

Try it:
  curl -F file=@photo.jpg -F operation=resize -F width=400 {url}/process-image/

Ctrl-C stops everything; tasks and pictures stay in the data directory."""


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        _run(options)
    except (CannotStart, InvalidSettings, StorageUnavailable) as exc:
        sys.exit(f"darkroom: {exc}")
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
    # What cannot work is told before anything is started.
    Storage(read_settings(Settings, environ).storage_url)
    with ExitStack() as stack:
        listener = stack.enter_context(listening_socket(options.host, options.port))
        stack.enter_context(claimed(data_dir))
        if "REDIS_URL" not in environ:
            environ["REDIS_URL"] = stack.enter_context(embedded_valkey(data_dir / "valkey"))
        settings = read_settings(Settings, environ)
        host = f"[{options.host}]" if ":" in options.host else options.host
        banner = BANNER.format(
            url=f"http://{host}:{listener.getsockname()[1]}", data_dir=data_dir, redis_url=settings.redis_url
        )
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        runner.run(serve(settings, listener, environ, lambda: print(banner, flush=True)))  # noqa: T201


if __name__ == "__main__":
    main()
