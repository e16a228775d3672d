"""API keys and callers. `python -m app.keys NAME` creates a key.

A key has 32 random bytes, which cannot be guessed. Its plain SHA-256 is therefore enough for `API_KEYS`; a password
would need a slow hash.
"""

import argparse
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from msgspec import Struct

from worker.settings import InvalidSettings
from worker.tasks.schedule import NAME, Owner

PREFIX = "dk_"
"""Prefix of keys, by which secret scanners and people recognize them."""

FORM = (
    "name:<SHA-256 of the key>, then any of :admin, :limit=<number> and :weight=<number>; "
    "`python -m app.keys NAME` prints one"
)


class Caller(Struct, frozen=True):
    """The sender of a request."""

    name: str | None
    """Name of the API key, which is the owner of its tasks."""
    is_admin: bool = False
    """Whether the caller may see and change the tasks of all owners."""
    limit: int | None = None
    """Maximum number of waiting tasks; None for `QUEUE_LIMIT`."""
    weight: int = 1
    """Share of the workers, in proportion to the weights of the other keys whose tasks wait."""

    @property
    def owner(self) -> Owner | None:
        return None if self.name is None else Owner(self.name, self.limit, self.weight)

    def may_see(self, owner: str | None) -> bool:
        """Return whether the caller may see a task of this owner (None for a task without owner)."""
        return self.is_admin or (owner is not None and owner == self.name)


ANYONE = Caller(None, is_admin=True)
"""The caller on servers without API keys."""

NOBODY = Caller(None)
"""The caller without a key on servers with API keys."""


class Keys:
    """The valid keys, by their hashes."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Parse the entries of `API_KEYS`; raise `InvalidSettings`, whose message never contains a key or a hash."""
        self._callers: list[tuple[bytes, Caller]] = []
        problems = []
        for number, entry in enumerate(entries, start=1):
            try:
                self._add(*_parse_entry(entry))
            except ValueError as exc:
                problems.append(f"entry {_entry_name(number, entry)} {exc}")
        if problems:
            raise InvalidSettings(f"API_KEYS: {'; '.join(problems)}; give {FORM}")

    def _add(self, digest: bytes, caller: Caller) -> None:
        if any(digest == known for known, _ in self._callers):
            raise ValueError("has the same key as an earlier entry")
        self._callers.append((digest, caller))

    def caller(self, key: str) -> Caller | None:
        """Return the caller of a key, or None if it is not valid, in constant time."""
        return self.caller_of(_digest(key))

    def caller_of(self, digest: bytes) -> Caller | None:
        """Return the caller whose key has this hash, or None."""
        match = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                match = caller
        return match


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _parse_entry(entry: str) -> tuple[bytes, Caller]:
    """Parse an entry; raise `ValueError` with a message that follows the entry's name."""
    name, *rest = entry.split(":")
    if not re.fullmatch(NAME, name):
        raise ValueError("must begin with a name of 1 to 32 letters, digits, _ and -, followed by a colon")
    if not rest or not re.fullmatch(r"[0-9a-f]{64}", rest[0]):
        raise ValueError("must have a hash of 64 hexadecimal digits after its name")
    is_admin, numbers = False, {}
    for option in rest[1:]:
        if option == "admin":
            is_admin = True
        elif match := re.fullmatch(r"(limit)=([1-9][0-9]{0,8})|(weight)=([1-9][0-9]{0,2})", option):
            numbers[match[1] or match[3]] = int(match[2] or match[4])
        else:
            raise ValueError("may have only admin, limit=<1 or more> and weight=<1 to 999> after its hash")
    return bytes.fromhex(rest[0]), Caller(name, is_admin, **numbers)


def _entry_name(number: int, entry: str) -> str:
    """Return how messages name an entry: by its name too, unless that may be a key in the wrong place."""
    name, colon, _ = entry.partition(":")
    return f"{number} ({name})" if colon and re.fullmatch(NAME, name) else str(number)


def make_key(name: str, limit: int | None, weight: int | None = None, *, is_admin: bool) -> tuple[str, str]:
    """Return a new key and its entry for `API_KEYS`; raise `ValueError` if `Keys` would not accept the entry."""
    key = PREFIX + secrets.token_urlsafe(32)
    numbers = {"limit": limit, "weight": weight}
    given = [f"{option}={number}" for option, number in numbers.items() if number is not None]
    options = [*(["admin"] if is_admin else []), *given]
    entry = ":".join([name, _digest(key).hex(), *options])
    _parse_entry(entry)
    return key, entry


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.keys", description="Create an API key.")
    parser.add_argument("name", help="owner of the tasks; several keys may have the same name")
    parser.add_argument("--limit", type=int, help="maximum number of waiting tasks (default: QUEUE_LIMIT)")
    parser.add_argument("--weight", type=int, help="share of the workers, compared to those of other keys (default: 1)")
    parser.add_argument("--admin", action="store_true", help="allow the key to see and change the tasks of all owners")
    options = parser.parse_args()
    try:
        key, entry = make_key(options.name, options.limit, options.weight, is_admin=options.admin)
    except ValueError as exc:
        parser.error(f"the entry {exc}")
    print(f"Key (shown only once):   {key}")  # noqa: T201
    print(f"Entry for API_KEYS:      {entry}")  # noqa: T201


if __name__ == "__main__":
    main()
