"""ICC profiles written by hand (ICC.1:2001-04 and ICC.1:2022): matrix and curve, grey, and a table for CMYK."""

import struct
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

Row = tuple[float, float, float]

D50 = (0.9642, 1.0, 0.8249)

# The primaries' columns adapted to D50, from Apple's Display P3 and Adobe RGB (1998), Annex C.
P3: tuple[Row, Row, Row] = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
ADOBE: tuple[Row, Row, Row] = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
SRGB_FROM_XYZ: tuple[Row, Row, Row] = (
    (3.1341, -1.6174, -0.4907),
    (-0.9788, 1.9161, 0.0335),
    (0.0719, -0.2290, 1.4052),
)
"""From XYZ at D50 to linear sRGB (Lindbloom's matrices)."""


def srgb_curve(value: float) -> float:
    """Make a sample of sRGB or Display P3, 0 to 1, linear (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def in_srgb(pixel: Sequence[int], matrix: tuple[Row, Row, Row], curve: Callable[[float], float]) -> tuple[int, ...]:
    """Convert a pixel by hand: linear, through XYZ, clipped, and sRGB's curve."""
    linear = [curve(value / 255) for value in pixel]
    xyz = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in matrix]
    there = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, xyz, strict=True)))) for row in SRGB_FROM_XYZ]
    return tuple(round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in there)


def _fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _profile(version: int, kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, version << 24, kind, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _text(version: int, text: str) -> bytes:
    if version == 4:
        return (
            b"mluc"
            + bytes(4)
            + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(text), 28)
            + text.encode("utf-16be")
        )
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text.encode() + b"\0" + bytes(78)


def rgb_profile(matrix: tuple[Row, Row, Row], curve: bytes, version: int = 2, name: str = "made") -> bytes:
    columns = [b"XYZ " + bytes(4) + _fixed(*column) for column in zip(*matrix, strict=True)]
    tags = {
        b"desc": _text(version, name),
        b"cprt": _text(4, "none") if version == 4 else b"text" + bytes(4) + b"none\0",
    }
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(*D50)}
    tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(version, b"mntr", b"RGB ", b"XYZ ", tags)


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


SRGB_CURVE = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SAMPLED_SRGB_CURVE = (
    b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(round(65535 * srgb_curve(i / 1023)) for i in range(1024)))
)

DISPLAY_P3 = rgb_profile(P3, SRGB_CURVE, 4, "Display P3")
DISPLAY_P3_V2 = rgb_profile(P3, SAMPLED_SRGB_CURVE, 2, "Display P3")
ADOBE_RGB = rgb_profile(ADOBE, gamma_curve(563 / 256), 2, "Adobe RGB")


def grey_profile(gamma: float) -> bytes:
    tags = {b"desc": _text(2, "grey"), b"cprt": b"text" + bytes(4) + b"none\0"}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(*D50), b"kTRC": gamma_curve(gamma)}
    return _profile(2, b"mntr", b"GRAY", b"XYZ ", tags)


def cmyk_profile(lab_of: Callable[[int, int, int, int], tuple[int, int, int]]) -> bytes:
    """Return a profile whose table (mft1) gives CIELAB in bytes for no or full ink of each; mixtures lie between."""
    straight = bytes(range(256))
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + straight * 4
    table += b"".join(bytes(lab_of(*corner)) for corner in corners) + straight * 3
    tags = {b"desc": _text(2, "inks"), b"cprt": b"text" + bytes(4) + b"none\0"}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(*D50), b"A2B0": table}
    return _profile(2, b"prtr", b"CMYK", b"Lab ", tags)


# The primaries' columns adapted to D50 by Bradford's transform (Lindbloom's tables; ITU-R BT.2020 likewise).
SRGB_D50: tuple[Row, Row, Row] = (
    (0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733),
)  # fmt: skip
PROPHOTO: tuple[Row, Row, Row] = (
    (0.7976749, 0.1351917, 0.0313534), (0.2880402, 0.7118741, 0.0000857), (0.0, 0.0, 0.8252100),
)  # fmt: skip
BT2020: tuple[Row, Row, Row] = (
    (0.6734241, 0.1656411, 0.1251286), (0.2790177, 0.6753402, 0.0456377), (-0.0019300, 0.0299784, 0.7973330),
)  # fmt: skip

_INK_EXPONENT = 0.8


def seen_inks(pixel: Sequence[int]) -> tuple[int, ...]:
    """Return the color in sRGB of inks, 0 to 255, in `cmyk_profile_both_ways`; Pillow's formula has the exponent 1."""
    *inks, black = (value / 255 for value in pixel)
    return tuple(round(255 * ((1 - ink) * (1 - black)) ** _INK_EXPONENT) for ink in inks)


def _lab(color: Sequence[float]) -> Row:
    """Convert a color in sRGB, 0 to 1, to CIELAB under D50."""
    linear = [srgb_curve(value) for value in color]
    xyz = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in SRGB_D50]
    x, y, z = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in map(_ratio, xyz, D50))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _ratio(value: float, white: float) -> float:
    return value / white


def _srgb_of_lab(lab: Sequence[float]) -> Row:
    y = (lab[0] + 16) / 116
    cubes = (y + lab[1] / 500, y, y - lab[2] / 200)
    xyz = [white * (t**3 if t > 6 / 29 else (116 * t - 16) * 27 / 24389) for t, white in zip(cubes, D50, strict=True)]
    linear = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, xyz, strict=True)))) for row in SRGB_FROM_XYZ]
    encoded = (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in linear)
    return tuple(encoded)  # type: ignore[return-value]


def _table(inputs: int, outputs: int, grid: int, nodes: Sequence[Sequence[int]]) -> bytes:
    """Return a lut16Type with straight curves."""
    straight = struct.pack(">2H", 0, 65535)
    head = b"mft2" + bytes(4) + bytes([inputs, outputs, grid, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    values = [value for node in nodes for value in node]
    body = struct.pack(f">{len(values)}H", *values)
    return head + struct.pack(">2H", 2, 2) + straight * inputs + body + straight * outputs


@cache
def cmyk_profile_both_ways() -> bytes:
    """Return a profile for inks that look as `seen_inks` computes, with tables to and from CIELAB."""
    steps, lab_steps = range(0, 256, 51), range(17)
    there = []
    for inks in product(steps, repeat=4):
        *colors, black = (value / 255 for value in inks)
        lightness, a, b = _lab([((1 - ink) * (1 - black)) ** _INK_EXPONENT for ink in colors])
        there.append([round(lightness * 652.8), round((a + 128) * 256), round((b + 128) * 256)])
    back = []
    for node in product(lab_steps, repeat=3):
        lab = node[0] * 100 / 16 * 65535 / 65280, node[1] * 65535 / 16 / 256 - 128, node[2] * 65535 / 16 / 256 - 128
        values = [1 - value ** (1 / _INK_EXPONENT) for value in _srgb_of_lab(lab)]
        back.append([*(round(65535 * ink) for ink in values), 0])
    tags = {b"desc": _text(2, "inks"), b"cprt": b"text" + bytes(4) + b"none\0"}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(*D50)}
    tags |= {b"A2B0": _table(4, 3, 6, there), b"B2A0": _table(3, 4, 17, back)}
    return _profile(2, b"prtr", b"CMYK", b"Lab ", tags)
