"""What forms may leave out, abbreviate or send blank."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import Client, problem_fields, serving, working
from tests.support.pictures import decoded, jpeg
from tests.support.receiver import Answer, receiving
from worker.imaging.formats import InputFormat


async def convert(client: Client, **fields: str) -> str:
    answer = await client.post("/process-image/", files={"file": ("a.jpg", jpeg())}, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def test_format_alone_converts_and_has_aliases(service: Client) -> None:
    for name, form, extension in (("tif", "TIFF", "tif"), ("jpg", "JPEG", "jpg"), ("webp", "WEBP", "webp")):
        task_id = await convert(service, format=name)
        path = (await service.ended(task_id))["result"]
        assert path.endswith(f".{extension}")
        assert decoded((await service.get(f"/{path}")).content).format == form


async def test_blank_fields_and_empty_file_inputs_count_as_not_given(service: Client) -> None:
    """As the form of a web page sends them."""
    parts: list[tuple[str, Any]] = [("file", ("a.jpg", jpeg())), ("overlay", ("", b""))]
    parts += [(name, (None, "")) for name in ("url", "quality", "width", "callback_url", "start_at")]
    parts += [("operation", (None, "resize")), ("height", (None, "30"))]
    answer = await service.post("/process-image/", files=parts)
    assert answer.status_code == 202, answer.text
    assert (await service.ended(answer.json()["task_id"]))["status"] == "SUCCESS"


async def curl(*arguments: str) -> dict[str, Any]:
    run = await asyncio.create_subprocess_exec("curl", "-sS", *arguments, stdout=asyncio.subprocess.PIPE)
    body, _ = await run.communicate()
    view: dict[str, Any] = json.loads(body)
    return view


@pytest.mark.parametrize(
    "headers", [(), ("-H", "Content-Type: image/jpeg"), ("-H", "Content-Type: application/octet-stream")]
)
async def test_an_image_as_the_body_with_its_fields_in_the_query(
    service: Client, tmp_path: Path, headers: tuple[str, ...]
) -> None:
    """As curl sends it, with or without its media type, and to the byte: the body may contain anything."""
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(jpeg((300, 200)) + b"\r\n--x--\r\n" * 3)
    url = f"{service.base_url}/process-image/?operation=resize&width=30"
    accepted = await curl("--data-binary", f"@{picture}", *headers, url)
    view = await service.ended(accepted["task_id"])
    assert decoded((await service.get(f"/{view['result']}")).content).size == (30, 20)
    record = (await service.get(f"/tasks/{accepted['task_id']}")).json()
    assert record["file"]["bytes"] == picture.stat().st_size


async def test_a_body_that_is_no_image_and_a_field_of_the_query_are_checked(api: Client) -> None:
    url, headers = "/process-image/?operation=resize&width=-1", {"Content-Type": "image/png"}
    assert (await api.post(url, content=b"no picture", headers=headers)).status_code == 415
    answer = await api.post(url, content=jpeg(), headers=headers)
    assert problem_fields(answer) == {"width": "must be a whole number from 1 to 16383; got '-1'"}
    names = await api.post("/process-image/?operation=blur&%22%0d%0a=1", content=jpeg(), headers=headers)
    assert list(problem_fields(names)) == ["%22%0D%0A"]


async def test_a_urlencoded_form_with_a_url(redis: ArqRedis, settings: Settings) -> None:
    local = msgspec.structs.replace(settings, outbound_allow=("127.0.0.0/8",))
    async with (
        receiving(Answer(body=jpeg((90, 60)))) as host,
        serving(local) as url,
        working(local),
        Client(base_url=url) as client,
    ):
        fields = ("-d", f"url={host.url}", "-d", "operation=resize", "-d", "width=9")
        accepted = await curl(*fields, f"{url}/process-image/")
        view = await client.ended(accepted["task_id"])
        assert decoded((await client.get(f"/{view['result']}")).content).size == (9, 6)
        long = await client.post("/process-image/", data={"url": "x" * 70_000})
        assert (long.status_code, "at most 65,536 bytes" in long.text) == (400, True)
    assert await redis.zcard("tasks:SUCCESS") == 1


async def test_a_format_that_this_server_does_not_accept_is_named(settings: Settings, redis: ArqRedis) -> None:
    narrow = msgspec.structs.replace(settings, input_formats=(InputFormat.PNG,))
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    async with serving(narrow) as url, Client(base_url=url) as client:
        answer = await client.post("/process-image/", files={"file": head}, data={"format": "png"})
    assert answer.json()["detail"] == (
        "the file is HEIC, which this server reads only if INPUT_FORMATS contains heic; supported formats: png"
    )
    assert await redis.zcard("tasks:created") == 0
