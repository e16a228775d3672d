"""Request headers that hold lists, read up to a length at which parsing takes no noticeable time."""

from collections.abc import Mapping

MAX_LENGTH = 4096
"""Characters; browsers and libraries send a tenth of this. 64 KB of commas in Accept took 44 ms of the event loop."""


def list_header(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """Return a header, or `default` where it is absent or longer than `MAX_LENGTH`."""
    value = headers.get(name, default)
    return value if len(value) <= MAX_LENGTH else default
