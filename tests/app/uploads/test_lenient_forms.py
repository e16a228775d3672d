"""What forms may leave out, abbreviate or send blank."""

from typing import Any

from tests.conftest import Client
from tests.support.pictures import decoded, jpeg


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
