"""The engine: operations, tasks, storage and the worker process. It does not import `app`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is started from a clone by whichever Python there is
    sys.exit(f"darkroom: needs Python 3.11 or later; this is {sys.version_info[0]}.{sys.version_info[1]}")
