"""The dominant colors of an image, and samples for palettes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import dist, sqrt

from PIL import Image

CLUSTERS = 32
"""Number of initial clusters; joining them pairwise takes 8 times as long for twice as many."""

ALIKE = 16.0
"""Colors within this distance in RGB are joined, because a flat area of a JPEG varies by some steps."""


@dataclass(frozen=True)
class Cluster:
    """Pixels of similar color."""

    weight: float
    """Number of pixels, weighted by alpha."""
    rgb: tuple[float, float, float]
    """Mean color, 0 to 255."""

    @property
    def color(self) -> str:
        """As #rrggbb."""
        return "#" + "".join(f"{round(value):02x}" for value in self.rgb)

    def joined(self, other: "Cluster") -> "Cluster":
        weight = self.weight + other.weight
        red, green, blue = (
            (mine * self.weight + theirs * other.weight) / weight
            for mine, theirs in zip(self.rgb, other.rgb, strict=True)
        )
        return Cluster(weight, (red, green, blue))

    def distance(self, other: "Cluster") -> float:
        return dist(self.rgb, other.rgb)

    def spread(self, other: "Cluster") -> float:
        """Return the increase of the squared distances to the cluster's color if the two are joined (Ward 1963)."""
        return self.weight * other.weight / (self.weight + other.weight) * self.distance(other) ** 2


def clusters(image: Image.Image) -> list[Cluster]:
    """Cluster the pixels of a small RGBA image, ignoring transparent ones; the result may be empty."""
    pixels = [pixel for pixel in image.get_flattened_data() if isinstance(pixel, tuple) and pixel[3]]
    if not pixels:
        return []
    strip = Image.new("RGB", (len(pixels), 1))
    strip.putdata([pixel[:3] for pixel in pixels])
    # An octree splits at fixed values, so that palettes depend less on the size of the image than with median cut.
    groups = strip.quantize(CLUSTERS, Image.Quantize.FASTOCTREE).tobytes()
    sums = [[0, 0, 0, 0] for _ in range(CLUSTERS)]
    for group, (red, green, blue, alpha) in zip(groups, pixels, strict=True):
        total = sums[group]
        total[0] += alpha
        total[1] += alpha * red
        total[2] += alpha * green
        total[3] += alpha * blue
    return [
        Cluster(weight, (red / weight, green / weight, blue / weight)) for weight, red, green, blue in sums if weight
    ]


def average(groups: list[Cluster]) -> Cluster:
    """Join all clusters to one."""
    whole, *others = groups
    for cluster in others:
        whole = whole.joined(cluster)
    return whole


def palette(groups: list[Cluster], colors: int) -> list[Cluster]:
    """Join clusters until there are at most `colors` distinct ones; return the largest first."""
    joined = list(groups)
    while len(joined) > colors:
        _join_closest(joined, Cluster.spread)
    while len(joined) > 1 and min(one.distance(other) for one, other in combinations(joined, 2)) < ALIKE:
        _join_closest(joined, Cluster.distance)
    return sorted(joined, key=lambda cluster: (-cluster.weight, cluster.rgb))


def _join_closest(joined: list[Cluster], apart: Callable[[Cluster, Cluster], float]) -> None:
    one, other = min(combinations(joined, 2), key=lambda pair: apart(*pair))
    joined.remove(one)
    joined.remove(other)
    joined.append(one.joined(other))


SAMPLED_PIXELS = 65_536
"""Pixels from which the palette is computed: four times as many gain at most 0.2 dB in four times the time."""


def sample(frames: Sequence[Image.Image], pixels: int = SAMPLED_PIXELS) -> Image.Image:
    """Return one image with a sample of about so many pixels of all frames, one below the other."""
    width, height = frames[0].size
    scale = min(1, sqrt(pixels / len(frames) / (width * height)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sheet = Image.new(frames[0].mode, (size[0], size[1] * len(frames)))
    for number, frame in enumerate(frames):
        sheet.paste(frame.resize(size, Image.Resampling.NEAREST), (0, size[1] * number))
    return sheet
