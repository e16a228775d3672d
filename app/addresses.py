"""The addresses in a form, checked as far as their text tells; where they lead is checked as they are dialled."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from app.settings import Settings
from worker.fields import Problem
from worker.outbound import Refused, check_url
from worker.words import shortened

ADDRESSES = ("url", "callback_url")


def address_problems(fields: Mapping[str, str], settings: Settings) -> list[Problem]:
    """Return a problem for each of `ADDRESSES` to which no connection is made."""
    problems = []
    if "callback_url" in fields and not settings.webhook_secrets:
        problems.append(Problem("callback_url", "is refused: this server has no WEBHOOK_SECRETS; leave it out"))
    for name in ADDRESSES:
        try:
            if name in fields:
                check_url(fields[name], settings.outbound_allow)
        except Refused as exc:
            problems.append(Problem(name, f"{shortened(fields[name])} is not allowed: it {exc}"))
    return problems


def file_name(url: str) -> str:
    """Return the name that a browser would give what lies there: the path's last part."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
