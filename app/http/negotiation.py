"""Request headers that hold lists, read up to a length at which parsing takes no noticeable time."""

from collections.abc import Mapping
from urllib.request import parse_http_list

from app.http.description import Header

MAX_LENGTH = 4096
"""Characters; browsers and libraries send a tenth of this. 64 KB of commas in Accept took 44 ms of the event loop."""


def list_header(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """Return a header, or `default` where it is absent or longer than `MAX_LENGTH`."""
    value = headers.get(name, default)
    return value if len(value) <= MAX_LENGTH else default


def prefers(accept: str, wanted: str, default: str) -> bool:
    """Tell whether an Accept header ranks `wanted` above `default`; a tie is no preference."""
    return _quality(accept, wanted) > _quality(accept, default)


def _quality(accept: str, media_type: str) -> float:
    """Return the weight from 0 to 1 that the most specific matching range gives `media_type`."""
    kind = media_type.partition("/")[0]
    specificity = {media_type: 2, f"{kind}/*": 1, "*/*": 0}
    found = (-1, 0.0)
    for entry in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media_range in specificity:
            found = max(found, (specificity[media_range], _weight(parameters)))
    return found[1]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


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


def preference_applied(waited_s: int | None) -> dict[str, str]:
    """Return the `Preference-Applied` header for a request that was held back."""
    return {} if waited_s is None else {"Preference-Applied": f"wait={waited_s}"}
