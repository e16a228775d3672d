"""`format=auto`: the smallest file of those that can hold the picture."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.api_settings import Settings
from tests.conftest import Client, environment, problem_fields, process
from tests.support.animations import animated
from tests.support.pictures import decoded, drawing, encoded
from tests.support.rendering import rendered, result
from worker.errors import PictureError
from worker.imaging.parsing import InvalidParameters, parse_plan
from worker.operations import OPERATIONS
from worker.operations.resize import Resize

PHOTOGRAPH = Image.open(Path(__file__).parents[2] / "photographs" / "cat.jpg").resize((256, 192))

CHECKS = Image.linear_gradient("L").convert("1", dither=None)

PICTURES = {
    "photograph": (encoded(PHOTOGRAPH, "PNG"), {"avif", "webp", "jpeg", "png"}),
    "drawing with alpha": (encoded(drawing((90, 60), "RGBA").rotate(5), "PNG"), {"avif", "webp", "png"}),
    "opaque alpha": (encoded(Image.new("RGBA", (90, 60), "red"), "PNG"), {"avif", "webp", "jpeg", "png"}),
    "two colors": (
        encoded(CHECKS, "PNG"),
        {"avif", "webp", "jpeg", "png"},
    ),
    "gray": (encoded(PHOTOGRAPH.convert("L"), "JPEG"), {"avif", "webp", "jpeg", "png"}),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("accept", ["avif,webp,jpeg,png", "jpeg,png", "webp", "png,avif"])
def test_auto_is_the_smallest_of_the_formats_that_hold_the_picture(name: str, accept: str) -> None:
    data, holding = PICTURES[name]
    made = result(data, format="auto", accept=accept)
    sizes = {name: len(rendered(data, format=name)) for name in accept.split(",") if name in holding}
    assert len(made.data) == min(sizes.values())
    assert sizes[made.format] == len(made.data)
    assert str(decoded(made.data).format).lower() == made.format


def test_an_animation_stays_one() -> None:
    made = result(animated("gif"), Resize(width=20), format="auto")
    assert made.format in ("avif", "webp", "png")
    assert made.frames is not None
    assert made.frames > 1
    assert result(animated("gif"), format="auto", accept="jpeg").frames == 1


def test_transparency_is_flattened_only_where_no_format_holds_it() -> None:
    made = result(PICTURES["drawing with alpha"][0], format="auto", accept="jpeg")
    assert (made.format, decoded(made.data).mode) == ("jpeg", "RGB")


def test_options_apply_to_the_formats_that_have_them() -> None:
    data = PICTURES["photograph"][0]
    sizes = [len(rendered(data, format="auto", quality=quality)) for quality in (20, 50, 80, 95)]
    assert sizes == sorted(sizes)
    assert len(rendered(data, format="auto", quality=80)) == len(rendered(data, format="auto"))
    assert rendered(data, format="auto", accept="png", effort=1) == rendered(data, format="png", effort=1)
    lossless = result(data, format="auto", accept="webp,png", lossless=True)
    assert decoded(lossless.data).convert("RGB").tobytes() == decoded(data).convert("RGB").tobytes()


def test_max_bytes_may_be_out_of_reach_of_some_formats_but_not_of_all() -> None:
    data = PICTURES["photograph"][0]
    assert len(rendered(data, format="auto", max_bytes=4000)) <= 4000
    with pytest.raises(PictureError, match=r"at most 100 bytes \(max_bytes\)"):
        rendered(data, format="auto", max_bytes=100)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"accept": "webp"}, "accept", "needs format=auto"),
        ({"format": "auto", "accept": "gif"}, "accept", "one or more of avif, webp, jpeg, png, comma-separated"),
        ({"format": "auto", "accept": "webp,bmp"}, "accept", "avif"),
        ({"format": "auto", "accept": ""}, "accept", ""),
        ({"format": "auto", "accept": "png", "quality": "80"}, "quality", "is not supported by png"),
        ({"format": "auto", "accept": "jpeg", "background": "#0000"}, "background", "without alpha"),
    ],
)
def test_what_does_not_fit_auto_is_refused(fields: dict[str, str], field: str, message: str) -> None:
    with pytest.raises(InvalidParameters) as caught:
        parse_plan({"operation": "flip", **fields}, None, 20)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert message in caught.value.problems[0].message


async def test_the_result_has_its_own_media_type(api: Client, settings: Settings) -> None:
    with process("-m", "worker", **environment(settings)):
        fields: dict[str, Any] = {"operation": "flip", "format": "auto", "accept": "jpeg,webp"}
        task_id = await api.upload(PICTURES["photograph"][0], **fields)
        assert (await api.ended(task_id))["status"] == "SUCCESS"
        record = (await api.get(f"/tasks/{task_id}")).json()
        [output] = record["outputs"]
        assert output["format"] in ("jpeg", "webp")
        assert output["path"].endswith(".img")
        answer = await api.get("/" + output["path"])
        assert answer.headers["content-type"] == f"image/{output['format']}"
        assert str(decoded(answer.content).format).lower() == output["format"]
        answer = await api.get(f"/task-result/{task_id}", headers={"accept": "image/*"})
        assert answer.headers["content-type"] == f"image/{output['format']}"
        answer = await api.post(
            "/process-image/",
            files={"file": ("a.png", PICTURES["photograph"][0])},
            data={"operation": "flip", "format": "auto", "accept": "svg"},
        )
        assert "avif" in problem_fields(answer)["accept"]


def test_a_report_has_no_format() -> None:
    with pytest.raises(InvalidParameters):
        parse_plan({"operation": "inspect", "format": "auto"}, None, 20)
    assert OPERATIONS["inspect"].is_report
