"""Which of two media types a client would rather have (RFC 9110, 12.5.1)."""


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
