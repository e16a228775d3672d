"""HTML as a string type: markup is an `Html`, and everything else is escaped when it becomes part of one."""

import re
from html import escape
from typing import Any

import msgspec


class Html(str):
    """Markup that is already escaped."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Return an element; the attribute `class_` becomes `class` and `aria_label` becomes `aria-label`."""
    return Html(f"{void_tag(name, **attributes)}{join_html(*children)}</{name}>")


def void_tag(name: str, **attributes: str) -> Html:
    """Return an element without content and end tag, such as `img`; an empty attribute is written without a value."""
    parts = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(f'{attribute}="{escape(value)}"' if value else attribute)
    return Html(f"<{' '.join(parts)}>")


def join_html(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def prose(text: str) -> Html:
    """Convert the text of a docstring to HTML: its paragraphs and its `code`."""
    return join_html(*(tag("p", line(paragraph)) for paragraph in text.split("\n\n") if paragraph))


def line(text: str) -> Html:
    """Convert one paragraph with its `code`."""
    parts = re.split(r"`([^`]+)`", text)
    return join_html(*(tag("code", part) if number % 2 else part for number, part in enumerate(parts)))


def json_block(value: Any) -> Html:
    """Return a value as JSON, formatted for people."""
    return tag("pre", msgspec.json.format(msgspec.json.encode(value)).decode())
