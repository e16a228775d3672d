"""API keys: who may ask for what. `python -m app.keys NAME` makes one.

A key is 32 random bytes, too many to guess; so its SHA-256 is kept, where a password, which can be guessed, would need
a slow hash. Who reads the hash cannot make the key of it.
"""

import argparse
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from msgspec import Struct

from worker.settings import InvalidSettings
from worker.tasks.model import Owner

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
"""Shorter than a key or a hash, so that a name in a log is neither."""

PREFIX = "dk_"
"""By which people, and scanners of repositories, know what they have found."""

FORM = "name:<SHA-256 of the key>, then :admin or :limit=<number> or both; `python -m app.keys NAME` prints one"


class Caller(Struct, frozen=True):
    """Whoever sends a request."""

    name: str | None
    """Of the key, and so of the owner of the tasks made with it."""
    is_admin: bool = False
    """Whether everybody's tasks are theirs to see and change."""
    limit: int | None = None
    """How many of their tasks may wait; None for no bound but `QUEUE_LIMIT`."""

    @property
    def owner(self) -> Owner | None:
        return None if self.name is None else Owner(self.name, self.limit)

    def may_see(self, owner: str | None) -> bool:
        """Return whether the caller may see a task of this owner, or of none."""
        return self.is_admin or (owner is not None and owner == self.name)


ANYONE = Caller(None, is_admin=True)
"""Where no keys are asked for."""

NOBODY = Caller(None)
"""Without a key where one is needed."""


class Keys:
    """The keys that are known, by their hashes."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Read the entries of `API_KEYS`; raises `InvalidSettings`, which never shows a key or a hash."""
        self._callers: list[tuple[bytes, Caller]] = []
        problems = []
        for number, entry in enumerate(entries, start=1):
            try:
                self._add(*_parsed(entry))
            except ValueError as exc:
                problems.append(f"entry {_called(number, entry)} {exc}")
        if problems:
            raise InvalidSettings(f"API_KEYS: {'; '.join(problems)}; give {FORM}")

    def _add(self, digest: bytes, caller: Caller) -> None:
        if any(digest == known for known, _ in self._callers):
            raise ValueError("has the same key as one before it")
        self._callers.append((digest, caller))

    def caller(self, key: str) -> Caller | None:
        """Return the caller of a key, or None if it is not valid, in constant time."""
        return self.caller_of(_digest(key))

    def caller_of(self, digest: bytes) -> Caller | None:
        """Return whose key has this hash."""
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _parsed(entry: str) -> tuple[bytes, Caller]:
    """Read an entry, or raise `ValueError` with words that follow its name."""
    name, *rest = entry.split(":")
    if not re.fullmatch(NAME, name):
        raise ValueError("has no name of 1 to 32 letters, digits, _ and - before its first colon")
    if not rest or not re.fullmatch(r"[0-9a-f]{64}", rest[0]):
        raise ValueError("has no hash of 64 hexadecimal digits after its name")
    is_admin, limit = False, None
    for option in rest[1:]:
        if option == "admin":
            is_admin = True
        elif found := re.fullmatch(r"limit=([1-9][0-9]{0,8})", option):
            limit = int(found[1])
        else:
            raise ValueError("has something after its hash that is neither admin nor limit=1 or more")
    return bytes.fromhex(rest[0]), Caller(name, is_admin, limit)


def _called(number: int, entry: str) -> str:
    """Return what to call an entry: by its name too, where that is no key that was put in its place."""
    name, colon, _ = entry.partition(":")
    return f"{number} ({name})" if colon and re.fullmatch(NAME, name) else str(number)


def make_key(name: str, limit: int | None, *, is_admin: bool) -> tuple[str, str]:
    """Return a new key and its entry for `API_KEYS`; raises `ValueError` for what `Keys` would not read."""
    key = PREFIX + secrets.token_urlsafe(32)
    options = [*(["admin"] if is_admin else []), *([] if limit is None else [f"limit={limit}"])]
    entry = ":".join([name, _digest(key).hex(), *options])
    _parsed(entry)
    return key, entry


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.keys", description="Make a key for Darkroom's API.")
    parser.add_argument("name", help="whose tasks it makes and sees; a second key of the same name sees the same")
    parser.add_argument("--limit", type=int, help="how many of its tasks may wait (default: as many as of all)")
    parser.add_argument("--admin", action="store_true", help="whether it sees and changes everybody's tasks")
    options = parser.parse_args()
    try:
        key, entry = make_key(options.name, options.limit, is_admin=options.admin)
    except ValueError as exc:
        parser.error(f"the entry {exc}")
    print(f"The key, shown this once:  {key}")  # noqa: T201
    print(f"Its entry for API_KEYS:    {entry}")  # noqa: T201


if __name__ == "__main__":
    main()
