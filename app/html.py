"""HTML written from Python: what is put in as text is text, whatever it holds."""

import re
from html import escape


class Html(str):
    """Markup, which is not escaped again."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Return an element; an attribute named `class_` is `class`."""
    given = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def prose(text: str) -> Html:
    """Return the text of a docstring: its paragraphs, and its `code`."""
    return joined(*(tag("p", line(paragraph)) for paragraph in text.split("\n\n") if paragraph))


def line(text: str) -> Html:
    """Return one paragraph's text: with its `code`."""
    parts = re.split(r"`([^`]+)`", text)
    return joined(*(tag("code", part) if number % 2 else part for number, part in enumerate(parts)))
