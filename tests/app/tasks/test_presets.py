"""Presets: a name stands for a wish, and a file that cannot be carried out stops the start."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.main import create_app
from app.tasks.presets import read_presets
from tests.app.standalone.test_local import refusal
from tests.conftest import PHOTO, Client, problem_fields, serving, working
from tests.support.pictures import decoded, drawing, encoded
from tests.test_readme import blocks
from worker.settings import InvalidSettings, read_settings

[EXAMPLE] = blocks("Presets", "toml")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "presets.toml").write_text(EXAMPLE)
    return msgspec.structs.replace(settings, presets_file=str(tmp_path / "presets.toml"))


@pytest.fixture
async def strict(redis: ArqRedis, settings: Settings) -> AsyncIterator[Client]:
    """A client of an API that takes presets only, with a worker."""
    settings = msgspec.structs.replace(settings, only_presets=True)
    async with serving(settings) as url, Client(base_url=url) as client, working(settings):
        yield client


async def send(client: Client, **fields: str) -> httpx2.Response:
    return await client.post("/process-image/", files={"file": ("photo.jpg", PHOTO)}, data=fields)


async def result(client: Client, answer: httpx2.Response) -> tuple[str | None, tuple[int, int]]:
    """Return the format and the size of the one result."""
    view = await client.ended(answer.json()["task_id"])
    image = decoded((await client.get("/" + view["result"])).content)
    return image.format, image.size


async def test_the_presets_in_readme_work_as_printed(service: Client) -> None:
    assert await result(service, await send(service, preset="thumbnail")) == ("WEBP", (200, 200))
    assert await result(service, await send(service, preset="cover")) == ("JPEG", (1200, 630))
    view = await service.ended((await send(service, preset="web")).json()["task_id"])
    small, large = [decoded((await service.get("/" + view["result"][name])).content) for name in ("small", "large")]
    assert (small.format, small.width, large.format, large.width) == ("WEBP", 480, "AVIF", 1600)


async def test_presets_are_listed_as_they_are_understood(api: Client) -> None:
    listed = {entry["preset"]: entry for entry in (await api.get("/presets")).json()["presets"]}
    assert list(listed) == ["thumbnail", "cover", "web"]
    [resize] = listed["thumbnail"]["operations"]
    assert (resize["width"], resize["fit"], resize["position"]) == (200, "cover", "center")
    assert listed["thumbnail"]["output"]["format"] == "webp"
    assert [entry.get("description") for entry in listed.values()] == ["A square thumbnail.", None, None]
    assert listed["web"]["variants"]["large"]["output"]["quality"] == 50


async def test_a_task_knows_what_its_preset_meant(api: Client) -> None:
    [listed, *_] = (await api.get("/presets")).json()["presets"]
    record = (await api.get(f"/tasks/{(await send(api, preset='thumbnail')).json()['task_id']}")).json()
    assert (record["operations"], record["output"]) == (listed["operations"], listed["output"])


async def test_without_a_file_there_are_none(redis: ArqRedis, settings: Settings) -> None:
    async with serving(msgspec.structs.replace(settings, presets_file=None)) as url, Client(base_url=url) as api:
        assert (await api.get("/presets")).json() == {"presets": []}
        assert problem_fields(await send(api, preset="thumbnail")) == {
            "preset": "unknown preset 'thumbnail'; this server has no presets"
        }
        assert (await send(api, operation="grayscale")).status_code == 202


async def test_an_unknown_preset_is_422_and_names_those_there_are(api: Client, stored: Callable[[], list[str]]) -> None:
    answer = await send(api, preset="thumb")
    assert problem_fields(answer) == {"preset": "unknown preset 'thumb'; choose one of thumbnail, cover, web"}
    assert stored() == []


@pytest.mark.parametrize("field", ["operation", "operations", "variants", "width", "quality", "format"])
async def test_what_comes_beside_a_preset_is_422_by_name(api: Client, field: str) -> None:
    answer = await send(api, preset="thumbnail", **{field: "x"})
    assert problem_fields(answer) == {field: "cannot be combined with preset"}


async def test_a_file_in_another_format_and_one_that_is_none_are_told_as_ever(api: Client) -> None:
    png = encoded(drawing(), "PNG")
    files = {"file": ("a.png", png), "overlay": ("b.png", png)}
    answer = await api.post("/process-image/", files=files, data={"preset": "thumbnail"})
    assert problem_fields(answer)["overlay"].startswith("is not used by any operation")
    assert problem_fields(await api.post("/process-image/", files={"x": b""}, data={"preset": "thumb"})).keys() == {
        "file", "preset", "x",
    }  # fmt: skip


async def test_only_presets_refuses_all_else(strict: Client, stored: Callable[[], list[str]]) -> None:
    assert problem_fields(await send(strict, operation="resize", width="5")) == {
        "operation": "is not accepted by this server; use a preset",
        "width": "is not accepted by this server; use a preset",
        "preset": "is missing; choose one of thumbnail, cover, web",
    }
    assert problem_fields(await send(strict)) == {"preset": "is missing; choose one of thumbnail, cover, web"}
    assert problem_fields(await send(strict, preset="web", variants="{}")).keys() == {"variants"}
    assert stored() == []
    assert await result(strict, await send(strict, preset="thumbnail")) == ("WEBP", (200, 200))


def test_only_presets_without_a_file_is_refused_by_name() -> None:
    with pytest.raises(InvalidSettings, match=r"^ONLY_PRESETS: 'true' needs PRESETS_FILE"):
        read_settings(Settings, {"ONLY_PRESETS": "true"})


def test_an_empty_file_has_no_presets_unless_they_are_required(settings: Settings) -> None:
    assert settings.presets_file is not None
    Path(settings.presets_file).write_text("")
    assert read_presets(settings.presets_file, settings, is_required=False).by_name == {}
    with pytest.raises(InvalidSettings, match=r"must have at least one table such as \[thumbnail\]"):
        read_presets(settings.presets_file, settings, is_required=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "Expected ']'"),
        ("[a]\n[a]", "Cannot declare ('a',) twice"),
        ("a = 5", "a: must be a table: [a]; got 5"),
        ("a = 2026-01-01", "a: must be a table: [a]; got '2026-01-01'"),
        ("[Big]\noperation = 'grayscale'", "[Big] is not a valid name; use 1 to 32 of a-z, 0-9, - and _"),
        ("[a]", "[a] operation: is missing; must be one of "),
        ("[a]\ndescription = 5\noperation = 'grayscale'", "[a] description: must be text; got 5"),
        ("[a]\noperation = 'squeeze'", "[a] operation: unknown operation 'squeeze'; must be one of "),
        ("[a]\noperation = 'resize'\nwidth = 0", "[a] width: must be a whole number from 1 to 16383; got '0'"),
        ("[a]\noperation = 'resize'\nwidht = 9", "[a] widht: is not a parameter of resize, which takes "),
        ("[a]\noperation = 'blur'\nsigma = nan", "[a] sigma: must be a number from 0.1 to 1000; got 'nan'"),
        (
            "[a]\noperations = [{operation = 'blur', sigma = -1}]",
            "[a] operations[0].sigma: must be a number from 0.1 to 1000; got -1",
        ),
        ("[a]\noperations = 'blur'", "[a] operations: is not valid JSON"),
        ("[a.variants.x]\nformat = 'jpgg'", "[a] variants.x.format: must be one of auto, avif"),
        ("[a.variants.x]\nsize = 5", "[a] variants.x.size: is not allowed here; allowed: operations, format"),
        ("[a]\nvariants = {}", "[a] variants: must have 1 to 20 entries; got 0"),
        (
            "[a]\noperation = 'grayscale'\nquality = 50",
            "[a] quality: is not supported by png; omit it or choose another format (for uploads in png, bmp, ico)",
        ),
    ],
)
def test_an_error_in_the_file_names_the_preset_and_its_field(settings: Settings, text: str, said: str) -> None:
    assert settings.presets_file is not None
    Path(settings.presets_file).write_text(text)
    with pytest.raises(InvalidSettings) as caught:
        create_app(settings)
    assert str(caught.value).startswith(f"PRESETS_FILE: {settings.presets_file}: ")
    assert said in str(caught.value)


def test_one_start_tells_of_every_error(settings: Settings) -> None:
    assert settings.presets_file is not None
    Path(settings.presets_file).write_text(
        "[a]\noperation = 'blur'\nradius = -1\nformat = 'jpgg'\n[b]\n[c]\noperation = 5"
    )
    with pytest.raises(InvalidSettings) as caught:
        read_presets(settings.presets_file, settings, is_required=settings.only_presets)
    assert all(
        f"[{place}: " in str(caught.value) for place in ("a] radius", "a] format", "b] operation", "c] operation")
    )


def test_formats_that_are_not_read_do_not_matter(settings: Settings) -> None:
    assert settings.presets_file is not None
    Path(settings.presets_file).write_text("[a]\noperation = 'grayscale'\nquality = 50")
    only = read_settings(Settings, {"INPUT_FORMATS": "jpeg,webp", "PRESETS_FILE": settings.presets_file})
    assert list(read_presets(only.presets_file, only, is_required=only.only_presets).by_name) == ["a"]


async def test_a_preset_may_lay_the_requests_second_picture_over(redis: ArqRedis, settings: Settings) -> None:
    assert settings.presets_file is not None
    Path(settings.presets_file).write_text("[mark]\noperation = 'watermark'\nposition = 'southeast'\nopacity = 0.4")
    async with serving(settings) as url, Client(base_url=url) as api:
        assert problem_fields(await send(api, preset="mark"))["overlay"].startswith("is missing; send the image")
        files = {"file": ("a.jpg", PHOTO), "overlay": ("b.jpg", PHOTO)}
        assert (await api.post("/process-image/", files=files, data={"preset": "mark"})).status_code == 202


def test_a_missing_file_stops_the_command_before_anything_is_started(tmp_path: Path) -> None:
    told = refusal("--port", "0", "--data-dir", str(tmp_path / "data"), PRESETS_FILE="nowhere.toml")
    assert told.startswith("darkroom: PRESETS_FILE: nowhere.toml: [Errno 2]")
    assert not (tmp_path / "data" / "valkey").exists()
