"""What a client would like, and may do without: the Prefer header (RFC 7240)."""

from collections.abc import Mapping
from urllib.request import parse_http_list

from app.description import Header
from app.headers import list_header

PREFER = Header(
    "Prefer",
    "`wait=N` (RFC 7240) answers as soon as the task has ended, or after N seconds, at most 60.",
    "wait=10",
)
APPLIED = Header("Preference-Applied", "For how long the answer was held back at most, if it was asked for.", "wait=10")

LONGEST_WAIT_S = 60
"""Longer waits are cut to this; proxies seldom hold a silent connection much longer."""


def wait_s(headers: Mapping[str, str]) -> int | None:
    """Return how many seconds a client is ready to wait for its answer (section 4.3), or None.

    A malformed value counts as none; of several preferences of the name, the first counts.
    """
    for preference in parse_http_list(list_header(headers, "prefer")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            text = value.strip().strip('"')
            return min(int(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    return None


def applied(waited_s: int | None) -> dict[str, str]:
    """Return the header that tells the client that it was waited for."""
    return {} if waited_s is None else {"Preference-Applied": f"wait={waited_s}"}
