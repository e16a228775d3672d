"""What a client would like, and may do without: the Prefer header (RFC 7240)."""

import re
from collections.abc import Mapping

from app.description import Header

PREFER = Header(
    "Prefer",
    "`wait=N` (RFC 7240) answers as soon as the task has ended, or after N seconds, at most 60.",
    "wait=10",
)
APPLIED = Header("Preference-Applied", "For how long the answer was held back at most, if it was asked for.", "wait=10")

LONGEST_WAIT_S = 60
"""Longer waits are cut to this; proxies seldom hold a silent connection much longer."""

_PREFERENCE = re.compile(r'\s*([^\s=;,]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,]*))?\s*(?:;[^,]*)?(?:,|$)')


def wait_s(headers: Mapping[str, str]) -> int | None:
    """Return how many seconds a client is ready to wait for its answer (section 4.3), or None.

    A preference that makes no sense counts as none, as does a second one of the same name.
    """
    for name, value in _PREFERENCE.findall(headers.get("prefer", "")):
        if name.lower() == "wait":
            text = value.strip('"')
            return min(int(text), LONGEST_WAIT_S) if re.fullmatch(r"[0-9]{1,9}", text) else None
    return None


def applied(waited_s: int | None) -> dict[str, str]:
    """Return the header that tells the client that it was waited for."""
    return {} if waited_s is None else {"Preference-Applied": f"wait={waited_s}"}
