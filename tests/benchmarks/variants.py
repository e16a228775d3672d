"""What four sizes of one photograph cost beside the largest alone."""

import json
import time

from tests.benchmarks.cases import LARGE_RESIZE
from worker.imaging.formats import InputFormat
from worker.imaging.guards import Limits
from worker.imaging.parsing import parse_plan
from worker.imaging.plan import Plan
from worker.imaging.reading import Upload
from worker.imaging.render import render

WIDTHS = (1600, 800, 400, 100)
LIMITS = Limits(max_pixels=64_000_000, max_frames=1, max_output_pixels=64_000_000)


def measure(pictures: dict[str, bytes], rounds: int) -> list[float]:
    """Return, round by round, the CPU time of all widths by that of the first, each measured in turn."""
    upload = Upload(pictures[LARGE_RESIZE.picture], InputFormat.JPEG)
    plans = _plan(WIDTHS), _plan(WIDTHS[:1])
    for plan in plans:
        render(upload, plan, LIMITS)  # warm
    ratios = []
    for number in range(rounds):
        took_s = {}
        for which in (0, 1) if number % 2 else (1, 0):
            began = time.thread_time()
            render(upload, plans[which], LIMITS)
            took_s[which] = time.thread_time() - began
        ratios.append(took_s[0] / took_s[1])
    return ratios


def _plan(widths: tuple[int, ...]) -> Plan:
    variants = {f"w{width}": {"operations": [{"operation": "resize", "width": width}]} for width in widths}
    return parse_plan({"variants": json.dumps(variants)}, InputFormat.JPEG, 1)
