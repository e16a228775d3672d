"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that is sent again makes no second task.

What is kept under a key is the task of the request that was accepted, from which the answer follows byte for byte; a
`Prefer` holds for the sending that has it, so that one can wait on. Errors are not kept: one can mend and send again.
A key may come unquoted too, as most clients send it; the draft has the string of a structured field (RFC 9651).
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from app.description import Header
from app.errors import InvalidKey, KeyReused
from app.multipart import FormReader, Part
from app.state import Request
from app.uploads import form_reader, read_through
from worker.claims import Claim, Kept

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


class Made(msgspec.Struct, frozen=True):
    """Of which request a task came. Every answer to a repetition follows from the task's id."""

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


class Once:
    """A request under a key, while its task is made."""

    def __init__(self, claim: Claim, reader: FingerprintingReader, ttl_s: int) -> None:
        self._claim = claim
        self._ttl_s = ttl_s
        self.reader = reader

    def keeping(self, task_id: str) -> Kept:
        """Return what makes the task the one of this key; the form has been read."""
        return self._claim.kept_as(msgspec.json.encode(Made(self.reader.fingerprint, task_id)), self._ttl_s)


async def made_once(request: Request, make: Callable[[Request, Once | None], Awaitable[str]]) -> str:
    """Return the id of the task that `make` makes, or that it made when the same request came with the same key.

    Raises `InvalidKey`, `KeyInUse` while that first one is still received, and `KeyReused` if it was another request.
    """
    if HEADER not in request.headers:
        return await make(request, None)
    claim = Claim(request.state["redis"], _claim_key(request, _parsed(request.headers.getlist(HEADER))))
    record = await claim.take()
    if record is not None:
        return await _same(request, msgspec.json.decode(record, type=Made))
    async with claim.held():
        reader = form_reader(request, FingerprintingReader)
        return await make(request, Once(claim, reader, request.state["settings"].idempotency_ttl_s))


async def _same(request: Request, first: Made) -> str:
    reader = form_reader(request, FingerprintingReader)
    await read_through(request, reader)
    if reader.fingerprint != first.fingerprint:
        raise KeyReused
    return first.task_id


def _parsed(values: list[str]) -> str:
    """Return the key of the header's lines, of which there may be one."""
    text = ", ".join(values)
    quoted = _QUOTED.fullmatch(text)
    if quoted is None and not _BARE.fullmatch(text):
        raise InvalidKey(
            f'Idempotency-Key: give one text of 1 to {MAX_KEY_LENGTH} ASCII characters, in quotes: "a-uuid"'
        )
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text


def _claim_key(request: Request, key: str) -> str:
    """Return the name in Redis: each caller has keys of their own."""
    return f"idempotency:{request.state['caller'].name or ''}:{key}"
