"""An image between decoding and encoding, and its color space.

The profile of an image says what its numbers mean. Operations work in that space, so that wide gamuts survive: the
colors of parameters and overlays, which are sRGB, are converted to it. Where the space cannot stay (gray becomes color,
inks become RGB) or an operation is defined in sRGB, such as grayscale, the whole image is converted to sRGB first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs
from PIL import Image

from worker.imaging.formats import Timing
from worker.operations.base import Assets, Operation
from worker.pixels.colors import in_space_of, rgba
from worker.pixels.geometry import Size
from worker.pixels.modes import convert_to_modes
from worker.pixels.profiles import differs_from_srgb, from_srgb, to_rgb, to_srgb

_GRAY_MODES = ("L", "LA", "I;16")


@dataclass(frozen=True)
class Picture:
    """Frames of the same size and working mode, with their timing and profile."""

    frames: Sequence[Image.Image]
    timing: Timing | None
    """None for a still image."""
    profile: bytes | None
    """The ICC profile; the image is sRGB if it is None, does not match the mode, or cannot be read."""
    palette: bytes | None = None
    """The palette of the GIF from which the frames come, three bytes for each color."""

    @property
    def size(self) -> Size:
        return self.frames[0].size

    @property
    def mode(self) -> str:
        return self.frames[0].mode

    def in_srgb(self) -> "Picture":
        """Return the image in sRGB without a profile, in L, LA, RGB or RGBA, or in I;16 if that has no profile."""
        return replace(self, frames=[to_srgb(frame, self.profile) for frame in self.frames], profile=None)

    def in_profile(self, profile: bytes) -> "Picture":
        """Return the image in the color space of an RGB profile, in RGB or RGBA."""
        if self.profile == profile:
            return self
        frames = [to_rgb(frame, self.profile, profile) for frame in self.frames]
        return replace(self, frames=frames, profile=profile)

    def prepared_for(self, operation: Operation, assets: Assets) -> tuple["Picture", Operation, Assets]:
        """Return the image in a mode and color space that the operation handles, with its colors and overlay in it."""
        picture, profile = self, self.profile
        if differs_from_srgb(profile, self.mode) and _needs_srgb(self.mode, operation, assets):
            picture, profile = self.in_srgb(), None
        picture = _in_modes(picture, operation.modes)
        if profile is None or not differs_from_srgb(profile, picture.mode):
            return picture, operation, assets
        colors = {name: color for name in operation.color_fields() if (color := getattr(operation, name)) is not None}
        if colors:
            operation = structs.replace(
                operation, **{name: in_space_of(profile, color) for name, color in colors.items()}
            )
        if operation.uses_overlay and assets.overlay is not None:
            assets = replace(assets, overlay=from_srgb(assets.overlay, profile))
        return picture, operation, assets


def _in_modes(picture: Picture, modes: tuple[str, ...]) -> Picture:
    if picture.mode in modes:
        return picture
    frames = [convert_to_modes(frame, modes) for frame in picture.frames]
    # CMYK with a usable profile is already sRGB; its profile does not apply after the simple formula.
    return replace(picture, frames=frames, profile=None if picture.mode == "CMYK" else picture.profile)


def _needs_srgb(mode: str, operation: Operation, assets: Assets) -> bool:
    """Return whether an image of this mode, whose profile is not sRGB, must be converted for an operation."""
    if mode in operation.srgb_modes or operation.needs_srgb:
        return True
    colors = [rgba(color) for name in operation.color_fields() if (color := getattr(operation, name)) is not None]
    if mode == "CMYK":
        return mode not in operation.modes or operation.uses_overlay or any(alpha < 255 for *_, alpha in colors)
    if mode in _GRAY_MODES:
        return (
            not {"L", "LA"} & set(operation.modes)
            or any(not red == green == blue for red, green, blue, _ in colors)
            or (operation.uses_overlay and assets.overlay is not None and assets.overlay.mode not in ("L", "LA"))
        )
    return False
