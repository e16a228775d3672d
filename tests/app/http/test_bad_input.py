"""What a client sees for input that cannot be used; after each, nothing is stored or queued."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from arq.connections import ArqRedis

from tests.conftest import Client, eventually, problem_fields
from tests.support.pictures import jpeg
from worker.imaging.plan import Output
from worker.operations import OPERATIONS
from worker.operations.resize import Resize

SUBTYPE = {"content-type": "multipart/form-data; boundary=xyz"}


@pytest.fixture(autouse=True)
async def nothing_remains(api: Client, redis: ArqRedis, stored: Callable[[], list[str]]) -> AsyncIterator[None]:
    yield

    async def is_empty() -> bool:
        return not stored() and not await redis.keys("*")

    await eventually(is_empty)  # after a client that hung up nobody says when


CONVERT = "; to only convert the format, send format and no operation"
ONE_OF = f"one of {', '.join(OPERATIONS)}"
RESIZE_TAKES = ", ".join(dict.fromkeys((*Resize.__struct_fields__, *Output.__struct_fields__)))


async def post(api: Client, file: bytes | None, **fields: str) -> httpx2.Response:
    files = None if file is None else {"file": ("photo.jpg", file, "image/jpeg")}
    # Without a file httpx would send a urlencoded form; a part without a file name is a plain field.
    plain = {name: (None, value) for name, value in fields.items()}
    return await api.post("/process-image/", files={**(files or {}), **plain})


async def test_no_file(api: Client) -> None:
    assert problem_fields(await post(api, None, operation="grayscale")) == {
        "file": "is missing; send the image in the form field 'file', or its address in 'url'"
    }


async def test_text_instead_of_a_file(api: Client) -> None:
    answer = await api.post("/process-image/", files={"file": (None, "photo.jpg"), "operation": (None, "resize")})
    assert problem_fields(answer) == {"file": "must be a file, not text; with curl: -F file=@photo.jpg"}


async def test_empty_file(api: Client) -> None:
    assert problem_fields(await post(api, b"", operation="grayscale")) == {"file": "must not be empty"}


@pytest.mark.parametrize("text", [b"hello", b"<text>", b"GIF88a" + b"\0" * 100, b"\0"])
async def test_text_renamed_to_jpg(api: Client, text: bytes) -> None:
    answer = await post(api, text, operation="grayscale")
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == (
        "the file is not a supported image, whatever its name; supported formats: "
        "jpeg, png, webp, avif, gif, tiff, bmp, ico, heic, jp2, jxl"
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"8BPS\0\1", "a Photoshop document (PSD)"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw file of a camera"),
        (b"<!DOCTYPE html><title>404</title>", "a web page"),
    ],
)
async def test_a_format_that_is_not_read_is_named(api: Client, head: bytes, name: str) -> None:
    answer = await post(api, head + b"\0" * 200, operation="grayscale")
    assert answer.status_code == 415
    assert answer.json()["detail"].startswith(f"the file is {name}; supported formats: jpeg, png")


async def test_paths_and_methods_that_are_not_supported_are_answered_with_those_that_are(api: Client) -> None:
    for path, nearest in (
        ("/process-images/", "/process-image/"),
        ("/task-state/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e", "/task-status/{task_id}"),
        ("/batch", "/batches"),
    ):
        answer = await api.get(path)
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"no route has this path; did you mean {nearest}?; /docs lists all of them"
    assert (await api.get("/nothing-like-it")).json()["detail"] == "no route has this path; /docs lists all of them"
    answer = await api.put("/queue/pause")
    assert answer.json()["detail"] == "PUT is not supported here; allowed: POST"


async def test_png_that_claims_100000_x_100000_pixels(api: Client) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    assert problem_fields(await post(api, bomb, operation="grayscale")) == {
        "file": "100000 x 100000 pixels are too many; an image may have 64,000,000 pixels in total"
    }


async def test_missing_and_unknown_operation(api: Client) -> None:
    assert problem_fields(await post(api, jpeg())) == {"operation": f"is missing; must be {ONE_OF}{CONVERT}"}
    for name, hint in (
        ("sharpn", "; did you mean sharpen?"),
        ("Resize", "; did you mean resize?"),
        ("greyscale", "; did you mean grayscale?"),
        ("round-corners", "; did you mean round_corners?"),
        ("convert", CONVERT),
        ("unlike", ""),
    ):
        assert problem_fields(await post(api, jpeg(), operation=name)) == {
            "operation": f"unknown operation {name!r}; must be {ONE_OF}{hint}"
        }


async def test_a_choice_that_is_almost_right_is_answered_with_the_right_one(api: Client) -> None:
    fields = problem_fields(await post(api, jpeg(), operation="resize", fit="Cover", format="JPEG", preset2="x"))
    assert fields["fit"].endswith("got 'Cover'; did you mean cover?")
    assert fields["format"].endswith("got 'JPEG'; did you mean jpeg?")
    assert fields["preset2"].endswith("; did you mean preset?")


@pytest.mark.parametrize("width", ["0", "-5", "1e9", "abc", "nan", "inf", "null", "1.5", "99999999999999999999", "٣"])
async def test_a_width_that_is_none(api: Client, width: str) -> None:
    assert problem_fields(await post(api, jpeg(), operation="resize", width=width)) == {
        "width": f"must be a whole number from 1 to 16383; got {width!r}"
    }


async def test_a_long_value_is_quoted_in_part(api: Client) -> None:
    message = problem_fields(await post(api, jpeg(), operation="resize", width="9" * 1000))["width"]
    assert message == f"must be a whole number from 1 to 16383; got '{'9' * 37}...'"


async def test_a_parameter_that_the_operation_does_not_have(api: Client) -> None:
    assert problem_fields(await post(api, jpeg(), operation="resize", widht="5")) == {
        "widht": f"is not a parameter of resize, which takes {RESIZE_TAKES}; did you mean width?"
    }


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "is missing; send the image in the form field 'file', or its address in 'url'"),
        (b"", "must not be empty"),
    ],
)
async def test_every_problem_is_in_one_answer(api: Client, file: bytes | None, message: str) -> None:
    answer = await post(
        api, file, operation="resize", width="0", fit="squeeze", format="bmp", quality="101", color="red"
    )
    assert problem_fields(answer) == {
        "file": message,
        "width": "must be a whole number from 1 to 16383; got '0'",
        "fit": "must be one of contain, cover, fill, inside, outside; got 'squeeze'",
        "format": "must be one of auto, avif, gif, jp2, jpeg, jxl, keep, png, tiff, webp; got 'bmp'",
        "quality": "must be a whole number from 1 to 100; got '101'",
        "color": f"is not a parameter of resize, which takes {RESIZE_TAKES}",
    }
    body = answer.json()
    assert (body["type"], body["title"], body["status"]) == ("/docs#invalid-parameters", "Unprocessable Entity", 422)
    assert all(field in body["detail"] for field in ("file", "width", "fit", "format", "quality", "color"))


async def test_quality_for_a_format_without_one(api: Client) -> None:
    assert problem_fields(await post(api, jpeg(), operation="resize", format="png", quality="50")) == {
        "quality": "is not supported by png; omit it or choose another format"
    }


async def test_a_field_given_twice(api: Client) -> None:
    answer = await api.post(
        "/process-image/",
        files=[("file", jpeg()), ("operation", (None, "resize")), ("width", (None, "5")), ("width", (None, "6"))],
    )
    assert problem_fields(answer) == {"width": "must be given only once"}


async def test_two_files_and_a_file_in_another_field(api: Client) -> None:
    parts: list[tuple[str, Any]] = [
        ("file", jpeg()),
        ("file", jpeg((2000, 1500))),
        ("image", jpeg()),
        ("operation", (None, "reszie")),
    ]
    assert problem_fields(await api.post("/process-image/", files=parts)) == {
        "file": "must be only one file",
        "image": "must not be a file; send the image in the field 'file'",
        "operation": f"unknown operation 'reszie'; must be {ONE_OF}; did you mean resize?",
    }


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x", None]
)
async def test_no_multipart_at_all(api: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await api.post("/process-image/", content=b"{}", headers=headers)
    assert answer.status_code == 400
    hint = "; do not set the header yourself, the client adds it with its boundary"
    assert answer.json()["detail"] == (
        "the request must be a form (Content-Type multipart/form-data with a boundary, or "
        "application/x-www-form-urlencoded), or an image with the fields in the query"
        + (hint if content_type == "multipart/form-data" else "")
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--other\r\n\r\n", "the form does not match the boundary of its Content-Type"),
        (b"", "the form ends before its closing boundary"),
        (b'--xyz\r\nContent-Disposition: form-data; name="operation"\r\n\r\nresi', "ends before its closing boundary"),
        (b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n--xyz--\r\n", "has no name in its Content-Disposition"),
        (b"--xyz\r\n" + b"A: b\r\n" * 50 + b"\r\nx\r\n--xyz--\r\n", "the form does not match the boundary"),
    ],
)
async def test_a_form_that_does_not_keep_to_its_boundary(api: Client, body: bytes, reason: str) -> None:
    answer = await api.post("/process-image/", content=body, headers=SUBTYPE)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"]


async def test_a_boundary_without_end(api: Client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=" + "b" * 300}
    assert (await api.post("/process-image/", content=b"x", headers=headers)).status_code == 400


async def test_a_field_without_end_and_fields_without_number(api: Client) -> None:
    long = await post(api, None, operation="x" * 70_000)
    assert (long.status_code, long.json()["detail"]) == (400, "field 'operation' must have at most 65,536 bytes")
    many = await post(api, None, **{f"f{number}": "1" for number in range(101)})
    assert (many.status_code, many.json()["detail"]) == (400, "the form has more than 100 fields")


async def test_a_client_that_hangs_up_in_mid_upload(api: Client, tmp_path: Path) -> None:
    """The connection ends after 12 of 20 MB, when parts of the file are in storage already."""
    host, port = str(api.base_url.host), api.base_url.port
    _, writer = await asyncio.open_connection(host, port)
    start = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + jpeg()
    writer.write(
        b"POST /process-image/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=xyz\r\n"
        b"Content-Length: 20000000\r\n\r\n" + start + b"\0" * 12_000_000
    )
    await writer.drain()

    async def half_stored() -> bool:
        return any(path.is_file() for path in tmp_path.rglob("uploads/*"))

    await eventually(half_stored)
    writer.transport.abort()

    async def removed() -> bool:
        return not any(path.is_file() for path in tmp_path.rglob("uploads/*"))

    await eventually(removed)


async def test_a_truncated_upload_of_a_complete_form_is_refused_or_fails(api: Client) -> None:
    """A picture cut within its first bytes is not recognized; one cut later is accepted and fails (test_contract)."""
    assert (await post(api, jpeg()[:2], operation="grayscale")).status_code == 415
