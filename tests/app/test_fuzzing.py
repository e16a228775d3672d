"""Mutations of good forms, fields, request heads and files, with a fixed seed: each gets an answer, none a fault."""

import random
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from app.http.exceptions import MalformedForm
from app.http.multipart import FormReader
from tests.conftest import Client
from tests.support.hostile import good, tried
from tests.support.rendering import LIMITS
from tests.support.sockets import answer_to
from worker.errors import PictureError
from worker.imaging.decoding import HEAD_BYTES, check_header
from worker.imaging.formats import InputFormat, sniff
from worker.imaging.parsing import InvalidParameters, parse_plan

SEED = 1

PIECES = (
    b"",
    b"\0",
    b"\xff" * 4,
    b"\r\n",
    b"--x",
    b"--x--",
    b'"',
    b"\\",
    b";",
    b"{",
    b"]",
    b"9" * 40,
    b"-1",
    b"null",
    b"NaN",
    b"%00",
)
"""What is put in place of other bytes."""


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, repeat or replace a few spans of the data."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 2, 8, 64)))
        match chance.randrange(4):
            case 0:
                new = bytes(byte ^ 1 << chance.randrange(8) for byte in data[start:end])
            case 1:
                new = b""
            case 2:
                new = data[start:end] * chance.choice((2, 3, 50))
            case _:
                new = chance.choice(PIECES)
        data = data[:start] + new + data[end:]
    return data


FORMS = (
    b'--x\r\nContent-Disposition: form-data; name="operation"\r\n\r\ngrayscale\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--x--\r\n",
    b"--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="a"; filename*=UTF-8\'\'%e2%82%ac.png\r\n\r\n\r\n--x--',
)  # fmt: skip


async def test_forms() -> None:
    chance = random.Random(SEED)
    outcomes = {"read": 0, "malformed": 0}
    for _ in range(20_000):
        body = mutate(chance.choice(FORMS), chance)
        try:
            async for part in FormReader("multipart/form-data; boundary=x", chunks(body, chance)).parts():
                await part.text()
            outcomes["read"] += 1
        except MalformedForm:
            outcomes["malformed"] += 1
    assert min(outcomes.values()) > 100, outcomes


async def chunks(body: bytes, chance: random.Random) -> AsyncIterator[bytes]:
    while body:
        size = chance.choice((1, 3, 50, 10_000))
        yield body[:size]
        body = body[size:]


FIELDS = (
    {"operations": '[{"operation": "resize", "width": 200, "fit": "cover"}, {"operation": "blur", "sigma": 1.5}]'},
    {"variants": '{"a": {"operations": [{"operation": "crop", "aspect_ratio": "16:9"}], "quality": 50}, "b": {}}'},
    {"operation": "redact", "boxes": '[{"x": 1, "y": 2, "width": 3, "height": 4}]', "color": "#102030"},
    {"operation": "adjust", "brightness": "1.5", "gamma": "0.5", "max_bytes": "10000", "frame": "0"},
)  # fmt: skip


def test_fields() -> None:
    chance = random.Random(SEED)
    outcomes = {"plan": 0, "invalid": 0}
    for _ in range(20_000):
        fields = dict(chance.choice(FIELDS))
        name = chance.choice(list(fields))
        fields[name] = mutate(fields[name].encode(), chance).decode(errors="replace")
        try:
            parse_plan(fields, chance.choice(list(InputFormat)), 20)
            outcomes["plan"] += 1
        except InvalidParameters:
            outcomes["invalid"] += 1
    assert min(outcomes.values()) > 100, outcomes


HEADS = (
    b"GET /tasks?status=FAILURE&limit=10 HTTP/1.1\r\nHost: localhost\r\nAccept: image/*;q=0.5, */*\r\n"
    b"Prefer: wait=1\r\n",
    b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 5\r\n",
    b"GET /processed/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e/a.jpg?expires=1&signature=x HTTP/1.1\r\nHost: localhost\r\n"
    b"Range: bytes=0-9\r\nIf-None-Match: \"a\"\r\n",
    b"DELETE /tasks/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \"k\"\r\n"
    b"Last-Event-ID: 1-1\r\nAuthorization: Bearer dk_x\r\n",
)  # fmt: skip


async def test_heads(api: Client) -> None:
    chance = random.Random(SEED)
    statuses: set[int] = set()
    for _ in range(1000):
        request = mutate(chance.choice(HEADS), chance) + b"Connection: close\r\n\r\n--x--"
        answer = await answer_to(str(api.base_url), request)
        for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer):
            statuses.add(int(status))
    assert not {status for status in statuses if status >= 500}, statuses
    assert len(statuses) >= 5
    assert (await api.get("/livez")).status_code == 200


@pytest.mark.parametrize("name", good())
def test_files(name: str) -> None:
    chance, data = random.Random(SEED), good()[name]
    outcomes = {"refused": 0, "picture": 0}
    for _ in range(600):
        file = mutate(data, chance)
        source = sniff(file)
        if source is None:
            continue
        with suppress(PictureError):
            check_header(file[:HEAD_BYTES], source, LIMITS, is_whole=True)
        outcomes["picture" if tried(file) is None else "refused"] += 1
    assert sum(outcomes.values()) > 10
