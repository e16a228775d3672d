"""A TCP proxy between a process and a server, which can lose replies and cut connections."""

import asyncio
from contextlib import suppress

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards connections to a port of 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._exchanges: set[asyncio.Task[None]] = set()
        self.port = 0
        self.loses_replies = False
        """Whether what the server sends is dropped, while the requests still reach it."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for exchange in self._exchanges:
            exchange.cancel()
        await asyncio.gather(*self._exchanges, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = asyncio.create_task(self._serve(reader, writer))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, to_server[1]}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._forward(reader, to_server[1]), self._forward(to_server[0], writer, are_replies=True)
            )
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, are_replies: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not (are_replies and self.loses_replies):
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()
