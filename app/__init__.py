"""The HTTP API, built on Starlette. It may import `worker`; it does not process images itself."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is started from a clone by whichever Python there is
    sys.exit(f"darkroom: needs Python 3.11 or later; this is {sys.version_info[0]}.{sys.version_info[1]}")
