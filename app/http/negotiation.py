"""Parse `Accept` and `Prefer`, up to a length that takes no noticeable time."""

from collections.abc import Mapping
from urllib.request import parse_http_list

from app.http.description import Header

MAX_LENGTH = 4096
"""Maximum length of a header in characters, ten times what browsers send; 64 KB of commas took 44 ms to parse."""


def essence(content_type: str) -> str:
    """Return the media type of a Content-Type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def bounded_header(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """Return a header, or `default` if it is absent or longer than `MAX_LENGTH`."""
    value = headers.get(name, default)
    return value if len(value) <= MAX_LENGTH else default


def prefers(accept: str, preferred: str, default: str) -> bool:
    """Return whether an Accept header gives `preferred` a greater weight than `default`."""
    return _quality(accept, preferred) > _quality(accept, default)


def prefers_any_picture(headers: Mapping[str, str]) -> bool:
    """Return whether an Accept header prefers an image of any format to JSON."""
    return prefers(bounded_header(headers, "accept", "*/*"), "image/*", "application/json")


def _quality(accept: str, media_type: str) -> float:
    """Return the weight (0 to 1) of the most specific media range that matches `media_type`."""
    kind = media_type.partition("/")[0]
    specificity = {media_type: 2, f"{kind}/*": 1, "*/*": 0}
    best = (-1, 0.0)
    for entry in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media_range in specificity:
            best = max(best, (specificity[media_range], _weight(parameters)))
    return best[1]


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
    "`wait=N` (RFC 7240) delays the response until the task has ended, for at most N seconds, up to 60.",
    "wait=10",
)
APPLIED = Header("Preference-Applied", "The `wait` of the request, if it was applied.", "wait=10")

LONGEST_WAIT_S = 60
"""Maximum wait in seconds; many proxies close connections that are silent for longer."""


def wait_s(headers: Mapping[str, str]) -> int | None:
    """Return the `wait` preference in seconds (RFC 7240, 4.3), or None.

    A malformed value counts as no preference. If the header has several, the first counts.
    """
    for preference in parse_http_list(bounded_header(headers, "prefer")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            text = value.strip().strip('"')
            return min(int(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    return None


def preference_applied(waited_s: int | None) -> dict[str, str]:
    """Return the `Preference-Applied` header for a response that was delayed."""
    return {} if waited_s is None else {"Preference-Applied": f"wait={waited_s}"}
