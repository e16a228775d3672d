from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from PIL import Image

from worker.errors import PictureError
from worker.operations.base import Assets, Operation
from worker.operations.rotate import Rotate
from worker.pixels.colors import ALPHA_MODES, Color, promote_mode_for, rgba
from worker.pixels.geometry import MAX_SIDE, Position, Size, anchor_offset
from worker.pixels.lettering import LEAST_SIZE, Lettering
from worker.pixels.resampling import resample
from worker.validation.fields import Problem

Room = tuple[int, int]
"""Maximum width and height of a stamp in pixels."""

_DEFAULT_SCALE = 0.25

_MARGIN_SHARE = 40
"""Default margin as a fraction of the shorter side of the image."""

_ANY_HUE = "red"


class Watermark(Operation, frozen=True, tag="watermark"):
    """Place a text, or the image in the field `overlay`, over the image, once or repeated."""

    example: ClassVar[Mapping[str, Any]] = {"text": "Sample", "position": "southeast", "opacity": 0.4}

    text: (
        Annotated[
            str,
            Meta(
                max_length=200,
                # No `$`, which allows a line break at the end.
                pattern=r"^(?![\s\S]*[\x00-\x1f\x7f-\x9f\u2028\u2029])[\s\S]*\S",
                description=(
                    "One line of text; without it, the overlay is used. The default font has "
                    "English letters, digits and signs such as \N{COPYRIGHT SIGN}; a character that the "
                    "font does not have is an error."
                ),
                extra={"allowed": "one line of 1 to 200 characters, not only spaces"},
            ),
        ]
        | None
    ) = None
    size: (
        Annotated[
            int,
            Meta(
                ge=LEAST_SIZE,
                le=1000,
                description=("Font size in pixels. Default: a twentieth of the shorter side, or as large as fits."),
            ),
        ]
        | None
    ) = None
    color: Annotated[Color, Meta(description="Color of the text, which has a thin black or white outline.")] = "white"
    scale: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description=(
                "Width of the overlay before rotation, as a fraction of the image width. It keeps its "
                "proportions and is scaled down if it does not fit."
            ),
        ),
    ] = _DEFAULT_SCALE
    opacity: Annotated[float, Meta(gt=0, le=1, description="Opacity: 1 is opaque, lower values are translucent.")] = 0.5
    position: Position = "southeast"
    margin: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_SIDE,
                description=(
                    "Distance in pixels to the edges of the image, or between repetitions. Default: a fortieth of the "
                    "shorter side."
                ),
            ),
        ]
        | None
    ) = None
    angle: Annotated[float, Meta(ge=-360, le=360, description="Rotation in degrees, clockwise.")] = 0.0
    tile: Annotated[bool, Meta(description="Whether the text or the overlay is repeated over the whole image.")] = False

    @property
    def uses_overlay(self) -> bool:
        return self.text is None

    def problems(self) -> list[Problem]:
        problems = []
        if self.text is None and self.size is not None:
            problems.append(Problem("size", "needs text; use scale for an overlay"))
        if self.text is None and self.color != "white":
            problems.append(Problem("color", "needs text; an overlay has its own colors"))
        if self.text is not None and self.scale != _DEFAULT_SCALE:
            problems.append(Problem("scale", "needs an overlay; use size for text"))
        if rgba(self.color)[3] == 0:
            problems.append(Problem("color", "must not be transparent"))
        if self.tile and self.position != "southeast":
            problems.append(Problem("position", "cannot be combined with tile, which fills the whole image"))
        return problems

    def prepare(self, frames: Sequence[Image.Image], assets: Assets) -> Callable[[Image.Image], Image.Image]:
        size = frames[0].size
        margin = min(size) // _MARGIN_SHARE if self.margin is None else self.margin
        room = (size[0], size[1]) if self.tile else (size[0] - 2 * margin, size[1] - 2 * margin)
        if min(room) < 1:
            raise PictureError(f"a margin of {margin} pixels leaves no space in {size[0]} x {size[1]} pixels")
        stamp = self._stamp(size, room, assets)
        stamp.putalpha(stamp.getchannel("A").point(lambda cover: round(cover * self.opacity)))
        if self.tile:
            layer = _tile(stamp, size, margin)
            return lambda image: _laid(image, layer, 0, 0)
        left, upper = anchor_offset(stamp.size, room, self.position)
        return lambda image: _laid(image, stamp, int(left) + margin, int(upper) + margin)

    def _stamp(self, size: Size, room: Room, assets: Assets) -> Image.Image:
        """Return the layer for an image of `size`, in LA, or in RGBA if it has colors."""
        if self.text is not None:
            stamp = self._draw_text(Lettering(self.text, assets.font_path), size, room)
        elif assets.overlay is not None:
            stamp = self._scale(assets.overlay, size, room)
        else:
            raise PictureError("watermark needs text or an overlay")
        return _cut(Rotate(angle=self.angle, background="transparent").apply(stamp), room)

    def _draw_text(self, lettering: Lettering, picture: Size, room: Room) -> Image.Image:
        size = self.size or lettering.fitting_size(picture, room, self._turn)
        width, height = self._turn(lettering.extent(size))
        if width > room[0] or height > room[1]:
            raise PictureError(
                f"the text needs {width} x {height} pixels, and there are {room[0]} x {room[1]}; "
                "choose a smaller size or omit it"
            )
        return lettering.draw_text(size, self.color)

    def _scale(self, overlay: Image.Image, picture: Size, room: Room) -> Image.Image:
        overlay = overlay.convert("LA" if overlay.mode in ("L", "LA") else "RGBA")
        turned = self._turn(overlay.size)
        factor = min(self.scale * picture[0] / overlay.width, room[0] / turned[0], room[1] / turned[1])
        size = max(1, int(overlay.width * factor)), max(1, int(overlay.height * factor))
        return resample(overlay, size)

    def _turn(self, size: Size) -> Size:
        return Rotate(angle=self.angle).output_size(size)


def _cut(stamp: Image.Image, room: Room) -> Image.Image:
    """Crop to the available space around the center: a rotated image has up to two empty pixels at its edges."""
    width, height = min(stamp.width, room[0]), min(stamp.height, room[1])
    left, upper = (stamp.width - width) // 2, (stamp.height - height) // 2
    return stamp.crop((left, upper, left + width, upper + height))


def _tile(stamp: Image.Image, size: Size, margin: int) -> Image.Image:
    """Return an image of `size` filled with stamps, `margin` apart, half of it at the upper and left edge."""
    layer = Image.new(stamp.mode, size)
    layer.paste(stamp, (margin // 2, margin // 2))
    width, height = stamp.width + margin, stamp.height + margin
    while width < size[0]:  # by doubling, because there may be millions of them
        layer.paste(layer.crop((0, 0, width, height)), (width, 0))
        width *= 2
    while height < size[1]:
        layer.paste(layer.crop((0, 0, size[0], height)), (0, height))
        height *= 2
    return layer


def _laid(image: Image.Image, stamp: Image.Image, left: int, upper: int) -> Image.Image:
    """Composite the stamp over the image (source over, Porter and Duff)."""
    shown = promote_mode_for(image, _ANY_HUE) if stamp.mode == "RGBA" else image
    result = shown.copy()
    box = (left, upper, left + stamp.width, upper + stamp.height)
    if shown.mode in ALPHA_MODES:
        result.paste(Image.alpha_composite(shown.crop(box), stamp.convert(shown.mode)), box)
    else:
        result.paste(stamp.convert(shown.mode), box, stamp.getchannel("A"))
    return result
