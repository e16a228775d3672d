"""Pictures made on the spot, each different enough to be recognized after it was processed."""

import struct
from io import BytesIO

import pillow_jxl  # noqa: F401 - it registers itself in Pillow
from PIL import Image, ImageDraw

Size = tuple[int, int]


def drawing(size: Size = (200, 150), mode: str = "RGB", hue: int = 0) -> Image.Image:
    """Four differently coloured quarters, a diagonal and, with alpha, a transparent upper left quarter."""
    width, height = size
    image = Image.new("RGB", size, f"hsl({hue}, 80%, 50%)")
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2), fill=f"hsl({(hue + 90) % 360}, 80%, 40%)")
    draw.rectangle((0, height // 2, width // 2, height), fill=f"hsl({(hue + 180) % 360}, 80%, 60%)")
    draw.rectangle((width // 2, height // 2, width, height), fill=f"hsl({(hue + 270) % 360}, 80%, 30%)")
    draw.line((0, 0, width, height), fill="white", width=max(1, width // 50))
    if mode == "I;16":
        return image.convert("L").point(lambda value: value * 257, "I").convert("I;16")
    if mode == "P":
        return image.quantize(64)
    if mode in ("LA", "RGBA"):
        image.putalpha(alpha_of(size))
    return image.convert(mode)


def alpha_of(size: Size) -> Image.Image:
    alpha = Image.new("L", size, 255)
    alpha.paste(0, (0, 0, size[0] // 2, size[1] // 2))
    return alpha


def encoded(image: Image.Image, image_format: str = "JPEG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    if image.format == "JXL" and image.info.get("icc_profile", b"")[4:8] == b"jxl ":
        del image.info["icc_profile"]  # which libjxl makes of what the file declares without one
    if image.format == "JXL" and b"xml " in data:  # which the plugin does not read
        start = data.index(b"xml ")
        image.info["xmp"] = data[start + 4 : start - 4 + int.from_bytes(data[start - 4 : start])]
    return image


def jpeg(size: Size = (200, 150), hue: int = 0) -> bytes:
    return encoded(drawing(size, hue=hue), "JPEG", quality=95)


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures' samples, 0 to 255, as they look on white paper."""
    pairs = zip(_on_paper(one).tobytes(), _on_paper(other).tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / (one.width * one.height * 3)


def _on_paper(image: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def lossless_jpeg(image: Image.Image) -> bytes:
    """Return an image of mode L or RGB as a lossless JPEG (ITU-T T.81, annex H), as medical scanners write them."""
    bands = [band.tobytes() for band in image.split()]
    count, (width, height) = len(bands), image.size
    bits = []
    for at in range(width * height):
        for band in bands:
            # Predictor 1, the pixel to the left; in the first column that above.
            left = band[at - 1] if at % width else band[at - width] if at else 128
            difference = band[at] - left
            category = abs(difference).bit_length()
            bits.append(f"{category:04b}")  # the code of each category is its number
            if category:
                bits.append(f"{difference if difference > 0 else difference + 2**category - 1:0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    components = range(1, count + 1)
    frame = struct.pack(">BHHB", 8, height, width, count) + b"".join(bytes((each, 0x11, 0)) for each in components)
    table = b"\0" + bytes((0, 0, 0, 9, *[0] * 12)) + bytes(range(9))
    start = bytes((count,)) + b"".join(bytes((each, 0)) for each in components) + bytes((1, 0, 0))
    adobe = b"Adobe\0\x64\0\0\0\0\0"  # no color transformation
    segments = ((0xEE, adobe), (0xC3, frame), (0xC4, table), (0xDA, start))
    head = b"".join(bytes((0xFF, mark)) + struct.pack(">H", len(data) + 2) + data for mark, data in segments)
    return b"\xff\xd8" + head + scan + b"\xff\xd9"
