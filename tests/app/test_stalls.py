"""Nothing that a client sends holds up the event loop: the longest step of it over hostile files and all routes."""

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import pytest
from starlette.routing import Route

from app.api_settings import Settings
from app.routes import make_routes
from app.server import MAX_HEAD_BYTES
from tests.conftest import Client
from tests.support.hostile import (
    ABSURD_EXIF,
    ODD_ORIENTATIONS,
    chunk,
    exif,
    good,
    overlapping_pages,
    png,
    resized,
    scans,
    tiff,
    vast,
    with_metadata,
)
from worker.imaging.decoding import HEAD_BYTES
from worker.imaging.formats import InputFormat

LONGEST_STEP_S = 0.05
"""CPU time of the loop's thread: waiting for a busy machine does not count."""

TRIES = 3
"""The least of these counts, because a collection of garbage can fall into any."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, input_formats=tuple(InputFormat), queue_limit=100_000)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The CPU time of each step of the event loop."""
    taken: list[float] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        taken.append(time.thread_time() - began)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    return taken


async def longest(steps: list[float], action: Callable[[], Awaitable[object]]) -> float:
    """Return the longest step that `action` causes, the least of several tries."""
    least = float("inf")
    for _ in range(TRIES):
        steps.clear()
        await action()
        least = min(least, max(steps))
        if least < LONGEST_STEP_S:
            break
    return least


def corpus() -> Iterator[tuple[str, bytes]]:
    """Yield the hostile files that reach the header check, and what could swell in a head of 64 KB."""
    swollen = zlib.compress(bytes(1_000_000), 9)
    for mark, start in ((b"zTXt", b"key\0\0"), (b"iTXt", b"key\0\1\0\0\0"), (b"iCCP", b"key\0\0")):
        yield f"png of 63 {mark.decode()}", png((1, 1), *[chunk(mark, start + swollen)] * 63)
        yield f"png of one {mark.decode()}", png((1, 1), chunk(mark, start + zlib.compress(bytes(60_000_000), 9)))
    yield "png of empty chunks", png((1, 1), *[chunk(b"abCd", b"")] * (HEAD_BYTES // 12))
    yield "jpeg of empty segments", b"\xff\xd8" + b"\xff\xe1\0\2" * (HEAD_BYTES // 4)
    yield "jpeg of fill bytes", b"\xff\xd8" + b"\xff" * HEAD_BYTES
    yield "jpeg of comments", b"\xff\xd8" + b"\xff\xfe\0\3x" * (HEAD_BYTES // 5)
    yield "gif of comments", b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\1x\0" * (HEAD_BYTES // 5)
    yield "webp of chunks", b"RIFF\xff\xff\0\0WEBP" + b"abCd\0\0\0\0" * (HEAD_BYTES // 8)
    boxes = b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free" * (HEAD_BYTES // 8)
    yield "avif of boxes", boxes
    yield "heic of boxes", boxes.replace(b"avif", b"heic")
    yield "tiff of pages", overlapping_pages(5000)
    yield "tiff of entries", tiff((8, 8), *((1000 + tag, 4, 1, 0) for tag in range(5000)))
    yield "jpeg of scans", scans(300, 8)
    entries = exif([(0x100 + tag, 2, 1, b"x") for tag in range(5000)])
    yield "jpeg of Exif entries", with_metadata("jpeg", entries[: HEAD_BYTES - 1000])
    for name, data in good().items():
        yield name, data
        yield f"{name} of 65,535 pixels a side", resized(name, (65_535, 65_535))
        yield f"{name}, cut", data[: len(data) // 2]
    for name in ("jpeg", "png", "webp", "avif", "heic"):
        for kind, data in {**ABSURD_EXIF, **ODD_ORIENTATIONS}.items():
            yield f"{name} with {kind}", with_metadata(name, data)
    for name in ("png", "gif", "webp", "avif"):
        yield f"vast {name}", vast(name, 4000)


async def test_no_file_stalls_the_loop(api: Client, steps: list[float]) -> None:
    await api.upload()  # what is computed once
    found = {}
    for name, data in corpus():
        files = {"file": ("photo", data)}

        async def send(files: dict[str, tuple[str, bytes]] = files) -> None:
            answer = await api.post("/process-image/", files=files, data={"operation": "grayscale"})
            assert answer.status_code in (202, 413, 415, 422)

        found[name] = await longest(steps, send)
    assert {name: step_s for name, step_s in found.items() if step_s > LONGEST_STEP_S} == {}
    assert len(found) > 100


LONG = {
    "many fields": ",".join(f"a{number}=b" for number in range(8000)),
    "one text": "x" * 60_000,
    "digits": "9" * 4300,
    "brackets": "[" * 60_000,
}


async def test_no_request_to_any_route_stalls_the_loop(api: Client, steps: list[float]) -> None:
    task_id = await api.upload()
    found = {}
    for route in make_routes():
        if not isinstance(route, Route):
            continue
        path = route.path.replace("{task_id:task_id}", task_id).replace("{task_id}", task_id)
        path = path.replace("{name:path}", "studio/main.js").replace("{name}", "photo.jpg")
        if path.endswith("/events"):
            continue  # a stream does not end
        for method in route.methods or ():
            for kind, text in {"": "", **LONG}.items():
                names = ("Accept", "If-None-Match", "Range", "Content-Type", "Cookie", "X-Request-ID")
                headers = {name: text for name in names if text and len(text) < MAX_HEAD_BYTES // 6}
                query = {name: text[:1000] for name in ("status", "limit", "after", "range", "expires") if text}

                async def send(
                    method: str = method, path: str = path, headers: dict[str, str] = headers,
                    query: dict[str, str] = query, text: str = text,
                ) -> None:  # fmt: skip
                    content = None if method in ("GET", "HEAD", "DELETE") else text[:16_000]
                    await api.request(method, path, headers=headers, params=query, content=content)

                found[f"{method} {route.path} {kind}"] = await longest(steps, send)
    assert {name: step_s for name, step_s in found.items() if step_s > LONGEST_STEP_S} == {}
    assert len(found) > 150
