"""A real HTTP server on loopback that answers as it is told and keeps what it was sent."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class Answer:
    status: int = 200
    """0 for not a word."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent as Latin-1: each character is one byte."""
    body: bytes | Sequence[bytes] = b""
    """What is sent; a sequence goes out chunk by chunk, without a Content-Length."""
    is_held: bool = False
    """Whether nothing more comes after all that, and the connection stays open."""


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: Mapping[str, str]
    """By name in small letters."""
    body: bytes
    at_s: float = field(default_factory=time.time)


class Receiver:
    """Gives `answers` in turn, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer()]
        self.received: list[Received] = []
        self.sent_bytes = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self._writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._exchange(reader, writer)
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(method, target, headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.status:
            await self._send(answer, writer)
        if answer.is_held:
            await reader.read()

    async def _send(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        is_whole = isinstance(answer.body, bytes)
        length = {"Content-Length": str(len(answer.body))} if is_whole else {}
        headers = {**length, "Connection": "close", **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for chunk in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            writer.write(chunk)
            await writer.drain()
            self.sent_bytes += len(chunk)

    def break_off(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()


@asynccontextmanager
async def receiving(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a server on a free port of 127.0.0.1."""
    receiver = Receiver(*answers)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        receiver.break_off()
