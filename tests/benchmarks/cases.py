"""What is asked of every contender that can do it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """An image that is wanted, scaled to `width` in proportion."""

    width: int
    format: str
    quality: int


@dataclass(frozen=True)
class Case:
    """A picture and what to do with it, in Darkroom's form fields."""

    name: str
    picture: str
    fields: dict[str, str]
    is_fetched: bool = False
    """Whether the client downloads the results in the end, as it has them from a server without a queue."""
    outputs: tuple[Output, ...] = ()
    """Several images of one picture, instead of `fields`."""

    @property
    def format(self) -> str:
        return self.fields.get("format") or self.picture.rpartition(".")[2].replace("jpg", "jpeg")


def _fit(name: str, source: str, size: tuple[int, int], target: str, quality: int | None = None) -> Case:
    width, height = map(str, size)
    fields = {"operation": "resize", "width": width, "height": height, "fit": "inside", "format": target}
    fields |= {} if quality is None else {"quality": str(quality)}
    return Case(name, source, fields, is_fetched=True)


TINY_RESIZE = Case("tiny resize", "tiny.jpg", {"operation": "resize"})
RESIZE = Case("2 MP resize", "2mp.jpg", {"operation": "resize"})
LARGE_RESIZE = Case("12 MP resize", "12mp.jpg", {"operation": "resize"})
PNG_RESIZE = Case("2 MP PNG resize", "2mp.png", {"operation": "resize"})
GRAYSCALE = Case("2 MP grayscale", "2mp.jpg", {"operation": "grayscale"})
LARGE_GRAYSCALE = Case("12 MP grayscale", "12mp.jpg", {"operation": "grayscale"})
FIT_JPEG = _fit("2 MP fit jpeg", "2mp.jpg", (512, 512), "jpeg", 80)
FIT_PNG = _fit("2 MP fit png", "2mp.png", (512, 512), "png")
FIT_WEBP = _fit("2 MP fit webp", "2mp.jpg", (512, 512), "webp", 75)
FIT_AVIF = _fit("2 MP fit avif", "2mp.jpg", (512, 512), "avif", 65)
LARGE_FIT = _fit("12 MP to 1600 jpeg", "12mp.jpg", (1600, 1600), "jpeg", 80)
RESPONSIVE = Case(
    "responsive set",
    "12mp.jpg",
    {},
    is_fetched=True,
    outputs=tuple(
        Output(width, *encoder) for width in (320, 640, 1024, 1600, 2048) for encoder in (("jpeg", 80), ("webp", 75))
    ),
)
HEAVY = Case("2 MP to AVIF", "2mp.jpg", {"operation": "resize", "width": "1200", "format": "avif"})

FITS = (FIT_JPEG, FIT_PNG, FIT_WEBP, FIT_AVIF)
CASES = (
    TINY_RESIZE, RESIZE, LARGE_RESIZE, PNG_RESIZE, GRAYSCALE, LARGE_GRAYSCALE, *FITS, LARGE_FIT, RESPONSIVE
)  # fmt: skip
