"""What is asked of every contender that can do it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A picture and a wish, in Darkroom's words."""

    name: str
    picture: str
    fields: dict[str, str]
    is_fetched: bool = False
    """Whether the client has the picture in the end, as it has from a server without a queue."""

    @property
    def format(self) -> str:
        return self.fields.get("format") or self.picture.rpartition(".")[2].replace("jpg", "jpeg")


def _fit(source: str, target: str, quality: int | None = None) -> Case:
    fields = {"operation": "resize", "width": "512", "height": "512", "fit": "inside", "format": target}
    fields |= {} if quality is None else {"quality": str(quality)}
    return Case(f"2 MP fit {target}", source, fields, is_fetched=True)


TINY_RESIZE = Case("tiny resize", "tiny.jpg", {"operation": "resize"})
RESIZE = Case("2 MP resize", "2mp.jpg", {"operation": "resize"})
LARGE_RESIZE = Case("12 MP resize", "12mp.jpg", {"operation": "resize"})
PNG_RESIZE = Case("2 MP PNG resize", "2mp.png", {"operation": "resize"})
GRAYSCALE = Case("2 MP grayscale", "2mp.jpg", {"operation": "grayscale"})
LARGE_GRAYSCALE = Case("12 MP grayscale", "12mp.jpg", {"operation": "grayscale"})
FIT_JPEG = _fit("2mp.jpg", "jpeg", 80)
FIT_PNG = _fit("2mp.png", "png")
FIT_WEBP = _fit("2mp.jpg", "webp", 75)
FIT_AVIF = _fit("2mp.jpg", "avif", 65)
HEAVY = Case("2 MP to AVIF", "2mp.jpg", {"operation": "resize", "width": "1200", "format": "avif"})

FITS = (FIT_JPEG, FIT_PNG, FIT_WEBP, FIT_AVIF)
CASES = (TINY_RESIZE, RESIZE, LARGE_RESIZE, PNG_RESIZE, GRAYSCALE, LARGE_GRAYSCALE, *FITS)
