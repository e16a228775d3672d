"""The scans of a JPEG: each goes over all its pixels, in a few bytes if it changes none."""

import re

from worker.errors import PictureError

MAX_SCANS = 200
"""Encoders write ten for a progressive picture, optimisers up to some sixty. One takes 40 ms on 64 megapixels."""

# The marker with the only lengths that it may have, for one to four components (ITU-T T.81, B.2.3): of 50 MB of
# other data, one in 5,000 holds one of these by chance.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def check_scans(data: bytes) -> None:
    """Raise `PictureError` when the pictures of a file have more scans in all than any has that is meant to be seen."""
    scans = sum(1 for _ in _SCAN.finditer(data))
    if scans > MAX_SCANS:
        raise PictureError(f"the picture is in {scans:,} scans; at most {MAX_SCANS} are read")
