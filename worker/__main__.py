"""`python -m worker` runs a worker process."""

import asyncio
import logging
import sys

import uvloop

from worker.main import run
from worker.settings import InvalidSettings, Settings, read_settings
from worker.storage import StorageUnavailable
from worker.telemetry import logs


def main() -> None:
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
