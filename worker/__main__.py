"""`python -m worker` runs a worker process."""

import argparse
import asyncio
import logging
import sys

import uvloop

from worker.main import run
from worker.settings import InvalidSettings, Settings, misspelled_settings, read_settings
from worker.storage import StorageUnavailable
from worker.telemetry import logs


def main() -> None:
    names = ", ".join(name.upper() for name in Settings.__struct_fields__)
    argparse.ArgumentParser(
        prog="python -m worker",
        description="Run a worker until SIGTERM or SIGINT.",
        epilog=f"Settings are environment variables: {names}.",
    ).parse_args()
    for warning in misspelled_settings(Settings):
        print(f"darkroom: {warning}", file=sys.stderr)  # noqa: T201
    try:
        settings = read_settings(Settings)
    except InvalidSettings as exc:
        sys.exit(f"darkroom: {exc}")
    logs.configure(settings.log_format, captures_stderr=True)
    # arq logs each job twice at INFO; `worker.runner.processor` logs it once, with the task id first.
    logging.getLogger("arq").setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run(settings))
        except StorageUnavailable as exc:
            sys.exit(f"darkroom: {exc}")


if __name__ == "__main__":
    main()
