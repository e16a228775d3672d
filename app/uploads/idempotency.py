"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a repeated request creates no second task.

A key is stored with the task of the accepted request, from which the response follows byte for byte. `Prefer` applies
to each request separately. Errors are not stored, so that the client can correct the request and send it again. The key
may be quoted (a string of RFC 9651, as in the draft) or not, as most clients send it.
"""

import hashlib
import re
from collections.abc import AsyncIterator

import msgspec

from app.http.description import Header
from app.http.exceptions import InvalidKey
from app.http.multipart import FormReader, Part
from app.state import Request
from worker.tasks.claims import Claim

HEADER = "idempotency-key"

MAX_KEY_LENGTH = 255

_QUOTED = re.compile(rf'"((?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}})"')
"""RFC 9651, 3.3.3."""
_BARE = re.compile(rf"[!#-+\--:<-\[\]-~]{{1,{MAX_KEY_LENGTH}}}")
"""An unquoted key: visible ASCII without quotation marks, backslashes, commas and semicolons."""

KEY = Header(
    "Idempotency-Key",
    "Makes the request safe to repeat: the same form with the same key gets the first response and creates no "
    "second task. A UUID, with or without quotation marks; 1 to 255 ASCII characters "
    "(draft-ietf-httpapi-idempotency-key-header-07).",
    '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
    {"type": "string", "pattern": f"^({_QUOTED.pattern}|{_BARE.pattern})$"},
)


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """The value stored for a key. The response to a repeated request follows from the task id."""

    fingerprint: str
    task_id: str


class FingerprintingReader(FormReader):
    """A form parser that also computes a fingerprint of the fields, the file names and their content."""

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
        """Digest of the form; it does not depend on the order of the parts and the boundary."""
        return hashlib.sha256(b"\n".join(sorted(self._read))).hexdigest()


async def take_claim(request: Request) -> tuple[Claim | None, IdempotencyRecord | None]:
    """Claim the key of a request, if it has one; return the claim and the record of an earlier request with that key.

    Raises `InvalidKey`, and `KeyInUse` while the earlier request is being received.
    """
    key = parse_key(request.headers.getlist(HEADER))
    if key is None:
        return None, None
    claim = Claim(request.state["redis"], f"idempotency:{request.state['caller'].name or ''}:{key}")
    stored = await claim.take()
    return claim, None if stored is None else msgspec.json.decode(stored, type=IdempotencyRecord)


def parse_key(values: list[str]) -> str | None:
    """Return the key in the values of the header, or None without the header; raise `InvalidKey`."""
    if not values:
        return None
    text = ", ".join(values)
    quoted = _QUOTED.fullmatch(text)
    if quoted is None and not _BARE.fullmatch(text):
        raise InvalidKey(
            f'Idempotency-Key: must be one string of 1 to {MAX_KEY_LENGTH} ASCII characters in quotes, such as "a-uuid"'
        )
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
