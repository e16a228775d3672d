"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that is sent again makes no second task.

What is kept under a key is the task of the request that was accepted, from which the answer follows byte for byte; a
`Prefer` holds for the sending that has it, so that one can wait on. Errors are not kept: one can mend and send again.
A key may come unquoted too, as most clients send it; the draft has the string of a structured field (RFC 9651).
"""

import hashlib
import re
from collections.abc import AsyncIterator

import msgspec

from app.http.description import Header
from app.http.exceptions import InvalidKey
from app.http.multipart import FormReader, Part

HEADER = "idempotency-key"

MAX_KEY_LENGTH = 255

_QUOTED = re.compile(rf'"((?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}})"')
"""RFC 9651, 3.3.3."""
_BARE = re.compile(rf"[!#-+\--:<-\[\]-~]{{1,{MAX_KEY_LENGTH}}}")
"""Visible ASCII without quotation marks, backslashes, commas and semicolons: a UUID or a token."""

KEY = Header(
    "Idempotency-Key",
    "Makes the request safe to send again: the same form under the same key gets the first answer again and makes no "
    "second task. A UUID, in quotation marks or without; 1 to 255 characters of ASCII "
    "(draft-ietf-httpapi-idempotency-key-header-07).",
    '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
    {"type": "string", "pattern": f"^({_QUOTED.pattern}|{_BARE.pattern})$"},
)


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """What is stored under a key: the answer to a repeated request follows from the id of the task."""

    fingerprint: str
    task_id: str


class FingerprintingReader(FormReader):
    """A form's reader that notes what it gives out: fields, file names and the digests of what they hold."""

    def __init__(self, content_type: str | None, body: AsyncIterator[bytes]) -> None:
        super().__init__(content_type, body)
        self._read: list[bytes] = []
        self._part: Part | None = None
        self._digest = hashlib.sha256()

    async def next_event(self) -> Part | bytes | None:
        event = await super().next_event()
        match event:
            case Part():
                self._part, self._digest = event, hashlib.sha256()
            case bytes():
                self._digest.update(event)
            case None if self._part is not None:
                self._read.append(
                    msgspec.json.encode([self._part.name, self._part.file_name, self._digest.hexdigest()])
                )
                self._part = None
        return event

    @property
    def fingerprint(self) -> str:
        """The same for every form with the same parts: in any order, with any boundary."""
        return hashlib.sha256(b"\n".join(sorted(self._read))).hexdigest()


def parse_key(values: list[str]) -> str | None:
    """Return the key in the lines of the header, None where there are none; raise `InvalidKey`."""
    if not values:
        return None
    text = ", ".join(values)
    quoted = _QUOTED.fullmatch(text)
    if quoted is None and not _BARE.fullmatch(text):
        raise InvalidKey(
            f'Idempotency-Key: must be one string of 1 to {MAX_KEY_LENGTH} ASCII characters in quotes, such as "a-uuid"'
        )
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
