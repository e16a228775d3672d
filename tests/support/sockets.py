"""Raw bytes over a socket, for what no HTTP client would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.conftest import DEADLINE_S


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to a server, and close it at the end."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer_to(url: str, request: bytes, deadline_s: float = DEADLINE_S) -> bytes:
    """Send `request` and return all that comes until the server closes the connection; it may do so before the end."""
    async with connection(url) as (reader, writer), asyncio.timeout(deadline_s):
        with suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        answer = bytearray()
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                answer += chunk
        return bytes(answer)
