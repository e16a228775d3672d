"""Animations written and read by hand, so that nothing of them depends on what Pillow makes of them."""

import colorsys
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from tests.support.pictures import Size, drawing, encoded

Pixels = Sequence[int]


RAINBOW = bytes(
    int(255 * value)
    for number in range(256)
    for value in colorsys.hsv_to_rgb(number / 256, 1, 1 if number % 2 else 0.5)
)


@dataclass(frozen=True)
class Shown:
    """What a viewer shows of an animation."""

    frames: list[Image.Image]
    durations_ms: list[float]
    loop: int | None
    """As the file has it."""


def shown(data: bytes) -> Shown:
    """Return an animation's frames as Pillow composes them, in RGBA, black where nothing is seen."""
    image = Image.open(BytesIO(data))
    frames, durations = [], []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append(visible(image.convert("RGBA")))
        durations.append(image.info.get("duration", 0))
    return Shown(frames, durations, image.info.get("loop"))


def visible(image: Image.Image) -> Image.Image:
    """Return a picture without the colors that nobody sees."""
    empty = Image.new("RGBA", image.size)
    empty.paste(image, mask=image.getchannel("A").point([0] + [255] * 255))
    return empty


def pictures(mode: str = "RGBA") -> list[Image.Image]:
    """Return four frames of 40 x 30 pixels."""
    return [drawing((40, 30), mode, hue=60 * number) for number in range(4)]


DURATIONS = [40, 100, 30, 1000]


AS_GOOD_AS_CAN_BE: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}


def animated(image_format: str, mode: str = "RGBA", **options: Any) -> bytes:
    """Return an animation of `pictures`."""
    first, *rest = pictures(mode)
    options = {"duration": DURATIONS, **AS_GOOD_AS_CAN_BE.get(image_format, {}), **options}
    return encoded(first, image_format, save_all=True, append_images=rest, **options)


def gif_frame(
    box: tuple[int, int, int, int],
    pixels: Pixels,
    *,
    disposal: int = 0,
    transparent: int | None = None,
    hundredths: int = 10,
    palette: bytes | None = None,
) -> bytes:
    """Return one frame of a GIF: `box` is left, upper, width and height."""
    control = struct.pack("<BHBB", disposal << 2 | (transparent is not None), hundredths, transparent or 0, 0)
    table = b"" if palette is None else palette
    head = b"," + struct.pack("<HHHHB", *box, 0x87 if palette is not None else 0) + table
    return b"\x21\xf9\x04" + control + head + b"\x08" + _blocks(_lzw(pixels)) + b"\0"


def gif(size: Size, frames: Sequence[bytes], palette: bytes, repetitions: int | None = None) -> bytes:
    """Return a GIF of frames; without `repetitions` it says nothing on them."""
    loop = b"" if repetitions is None else b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", repetitions) + b"\0"
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0) + palette + loop + b"".join(frames) + b";"


def as_browsers_show(data: bytes) -> list[Image.Image]:
    """Compose a GIF as browsers do: what is disposed of becomes transparent, whatever the background color."""
    width, height, flags = struct.unpack("<HHB", data[6:11])
    table_end = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    place, control = table_end, (0, 0)
    screen, frames = Image.new("RGBA", (width, height)), []
    while data[place] != 0x3B:
        if data[place] == 0x21:
            if data[place + 1] == 0xF9:
                control = data[place + 3], data[place + 6]
            place = _after_blocks(data, place + 2)
            continue
        left, upper, wide, high, own = struct.unpack("<HHHHB", data[place + 1 : place + 10])
        end = _after_blocks(data, place + 10 + (3 << ((own & 7) + 1) if own & 0x80 else 0) + 1)
        extension = b"\x21\xf9\x04" + bytes([control[0] & 1, 0, 0, control[1], 0])
        block = b"," + struct.pack("<HHHHB", 0, 0, wide, high, own) + data[place + 10 : end]
        alone = Image.open(
            BytesIO(b"GIF89a" + struct.pack("<HH", wide, high) + data[10:table_end] + extension + block + b";")
        )
        before = screen.copy()
        piece = alone.convert("RGBA")
        screen.paste(piece, (left, upper), piece)
        frames.append(visible(screen))
        match control[0] >> 2 & 7:
            case 2:
                screen.paste((0, 0, 0, 0), (left, upper, left + wide, upper + high))
            case 3:
                screen = before
        place, control = end, (0, 0)
    return frames


def _lzw(pixels: Pixels) -> bytes:
    """Write every pixel as it is in nine bits, beginning anew before codes would grow."""
    codes = []
    for number, pixel in enumerate(pixels):
        codes += [256, pixel] if number % 254 == 0 else [pixel]
    bits = "".join(f"{code:09b}" for code in reversed([*codes, 257]))
    return int(bits, 2).to_bytes((len(bits) + 7) // 8, "little")


def _blocks(data: bytes) -> bytes:
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))


def _after_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += data[place] + 1
    return place + 1
