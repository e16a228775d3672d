"""Logging as text, or as JSON with one object per line that names the task and the request."""

import json
import logging
import os
import re
import sys
import threading
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from worker.telemetry.clock import rfc3339

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""X-Request-ID of the current request, or of the request that created the current task."""
task_id: ContextVar[str] = ContextVar("task_id", default="")

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

UVICORN_JSON = Path(__file__).with_name("json_log.json")
"""The configuration of logging for uvicorn's command line, with `JsonFormatter`."""

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: time (RFC 3339), level, logger, message, request_id, task_id, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": rfc3339(int(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "task_id": _task_of(record),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        # Unlike msgspec's, this encoder accepts lone surrogates, which paths and errors may contain.
        return json.dumps({name: value for name, value in entry.items() if value})


def _task_of(record: logging.LogRecord) -> str:
    """Return the id of the task of a record: the id that its message begins with, else the current task's."""
    first: Any = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(first, str) and str(record.msg).startswith("%s") and _TASK_ID.fullmatch(first):
        return first
    return task_id.get()


def configure(log_format: LogFormat, *, captures_stderr: bool = False) -> None:
    """Log to stderr from level INFO; with `captures_stderr`, JSON logs also contain what C libraries write there."""
    stream = _capture_stderr() if captures_stderr and log_format is LogFormat.JSON else None
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _capture_stderr() -> TextIO:
    """Log each line that C libraries, such as libtiff, write to stderr; return a stream to the real stderr."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    reading, writing = os.pipe()
    # A library that holds the GIL must not wait for the thread that reads: what does not fit is lost.
    os.set_blocking(writing, False)
    os.dup2(writing, 2)
    os.close(writing)

    def read() -> None:
        with os.fdopen(reading, errors="replace") as lines:
            for line in lines:
                logging.getLogger("stderr").warning("%s", line.rstrip())

    threading.Thread(target=read, name="stderr", daemon=True).start()
    return sys.stderr
