"""A ZIP archive of stored files (APPNOTE 6.3.10), streamed without a temporary file, of known length and with ranges.

The entries are stored without compression, because images do not get smaller. Their checksums are known before, so that
no entry needs a data descriptor, which some readers of streams do not support for stored entries. Archives of more than
4 GB use Zip64.
"""

import hashlib
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from worker.storage import Storage

UTF8, STORED = 0x800, 0
VERSION, VERSION_64 = 20, 45
"""Version of the specification that a reader needs, without and with Zip64."""

MOST_32, MOST_16 = 0xFFFFFFFF, 0xFFFF
"""Values that say that a field of 4 or 2 bytes is in the Zip64 record."""

UNIX_FILE, MODE = 3 << 8, 0o100644 << 16
"""The host system and the permissions of an entry, without which some readers make files that nobody may read."""


class Entry(Struct, frozen=True):
    """A file of the archive: an object in storage, or its bytes."""

    name: str
    size: int
    crc32: int
    modified_ms: int
    """Unix ms."""
    path: str = ""
    """Path in storage; empty for `data`."""
    data: bytes = b""


class Archive:
    """The bytes of an archive. `size` is its length, `etag` changes when the bytes change."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._pieces: list[tuple[int, bytes | Entry]] = []
        """Headers and files with the position of each, in order."""
        self.size, directory = 0, []
        for entry in entries:
            directory.append(_directory_entry(entry, self.size))
            self._add(_local_header(entry), len(_local_header(entry)))
            self._add(entry, entry.size)
        listing = b"".join(directory)
        end = _end(len(entries), len(listing), self.size)
        self._add(listing + end, len(listing + end))
        self.etag = f'"{hashlib.sha256(listing).hexdigest()[:32]}"'

    def _add(self, piece: bytes | Entry, size: int) -> None:
        self._pieces.append((self.size, piece))
        self.size += size

    async def stream(self, storage: Storage, first: int, last: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` to `last`, both inclusive. Raises `FileNotFoundError` for a deleted file."""
        for start, piece in self._pieces:
            size = piece.size if isinstance(piece, Entry) else len(piece)
            begin, end = max(first, start) - start, min(last + 1, start + size) - start
            if begin >= end:
                continue
            if isinstance(piece, Entry) and piece.path:
                async for chunk in await storage.stream(piece.path, begin, end - 1):
                    yield bytes(chunk)
            else:
                yield (piece.data if isinstance(piece, Entry) else piece)[begin:end]


def _local_header(entry: Entry) -> bytes:
    name, extra = entry.name.encode(), b""
    size = entry.size
    if entry.size >= MOST_32:
        extra, size = struct.pack("<HHQQ", 1, 16, entry.size, entry.size), MOST_32
    version = VERSION_64 if extra else VERSION
    return (
        struct.pack(
            "<4sHHHIIIIHH", b"PK\x03\x04", version, UTF8, STORED, _dos_time(entry.modified_ms), entry.crc32, size, size,
            len(name), len(extra),
        )
        + name + extra
    )  # fmt: skip


def _directory_entry(entry: Entry, offset: int) -> bytes:
    large = [value for value in (entry.size, entry.size, offset) if value >= MOST_32]
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size, name = min(entry.size, MOST_32), entry.name.encode()
    version = VERSION_64 if large else VERSION
    return (
        struct.pack(
            "<4sHHHHIIIIHHHHHII", b"PK\x01\x02", UNIX_FILE | version, version, UTF8, STORED,
            _dos_time(entry.modified_ms), entry.crc32, size, size, len(name), len(extra), 0, 0, 0, MODE,
            min(offset, MOST_32),
        )
        + name + extra
    )  # fmt: skip


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of the central directory, which has `size` bytes at `offset`."""
    is_large = count >= MOST_16 or size >= MOST_32 or offset >= MOST_32
    zip64 = (
        struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, UNIX_FILE | VERSION_64, VERSION_64, 0, 0, count, count, size, offset
        )
        + struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + size, 1)
        if is_large
        else b""
    )
    counts = (min(count, MOST_16),) * 2
    return zip64 + struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, *counts, min(size, MOST_32), min(offset, MOST_32), 0
    )  # fmt: skip


def _dos_time(at_ms: int) -> int:
    """Return a time as MS-DOS has it, in UTC: the date in the upper 16 bits, and two seconds as the unit."""
    time = datetime.fromtimestamp(at_ms / 1000, UTC)
    date = (max(0, time.year - 1980) << 9) | (time.month << 5) | time.day
    return date << 16 | (time.hour << 11) | (time.minute << 5) | time.second // 2


def unique_names(names: Sequence[str]) -> Iterator[str]:
    """Yield the names, with a number before the extension of those that occurred before, upper or lower case aside."""
    used: set[str] = set()
    for name in names:
        stem, dot, extension = name.rpartition(".")
        candidate, number = name, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{stem}-{number}{dot}{extension}" if dot else f"{name}-{number}"
        used.add(candidate.casefold())
        yield candidate
