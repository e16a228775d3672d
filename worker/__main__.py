"""`python -m worker` runs a worker process."""

import argparse
import asyncio
import logging

import uvloop

from worker.main import run
from worker.runner.start import check_storages, errors_as_one_line, read_and_log
from worker.settings import Settings


def main() -> None:
    names = ", ".join(name.upper() for name in Settings.__struct_fields__)
    argparse.ArgumentParser(
        prog="python -m worker",
        description="Run a worker until SIGTERM or SIGINT.",
        epilog=f"Settings are environment variables: {names}.",
    ).parse_args()
    with errors_as_one_line():
        settings = read_and_log(Settings, captures_stderr=True)
        check_storages(settings)
    # arq logs each job twice at INFO; `worker.runner.processor` logs it once, with the task id first.
    logging.getLogger("arq").setLevel(logging.WARNING)
    with errors_as_one_line(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))


if __name__ == "__main__":
    main()
