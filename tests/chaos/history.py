"""The history of a run under faults, and what must hold of it; it can be checked again long after the run."""

from collections import Counter
from itertools import pairwise

from msgspec import Struct

from worker.tasks.status import FINAL_STATES


class Change(Struct, frozen=True):
    """A change of a task's state, from the event stream."""

    at_s: float
    status: str
    attempt: int


class History(Struct):
    """What happened. Times are Unix seconds."""

    seed: int
    took_s: float
    faults: list[tuple[str, float]]
    """Kind and time of each fault."""
    accepted: list[str]
    """Ids of the tasks whose upload was answered with 202."""
    refused: dict[str, int]
    """What other uploads met with, and how often."""
    changes: dict[str, list[Change]]
    """Task id -> its changes, also of tasks whose 202 was lost with the API."""
    webhooks: dict[str, list[str]]
    """Task id -> the message ids that were delivered, as often as they were."""


class Verdict(Struct, frozen=True):
    """What `check` finds. All but the last three must be zero."""

    lost: int
    """Accepted tasks without an end."""
    failed: int
    """Tasks that ended otherwise than as SUCCESS."""
    doubled: int
    """Tasks with two ends, or with a change after their end, or with an attempt number twice."""
    webhooks_missing: int
    """Tasks with an end whose message was not delivered."""
    webhooks_doubled: int
    """Tasks with more messages than ends; the same message may be delivered twice."""
    begun_again: int
    """Tasks with more than one attempt."""
    longest_wait_s: float
    """Longest time until a task whose attempt was struck was begun again."""
    longest_task_s: float
    """Longest time from the creation of a task to its end."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.failed or self.doubled or self.webhooks_missing or self.webhooks_doubled)


def check(history: History) -> Verdict:
    """Return what is wrong with a history."""
    ends = {task_id: _ends(log) for task_id, log in history.changes.items()}
    again = [log for log in history.changes.values() if sum(each.status == "STARTED" for each in log) > 1]
    waits = [
        later.at_s - earlier.at_s
        for log in again
        for earlier, later in pairwise(log)
        if later.status == "STARTED" and later.attempt > 1
    ]
    return Verdict(
        lost=sum(not ends.get(task_id) for task_id in history.accepted),
        failed=sum(end != "SUCCESS" for each in ends.values() for end in each),
        doubled=sum(_is_doubled(log) for log in history.changes.values()),
        webhooks_missing=sum(bool(each) and not history.webhooks.get(task_id) for task_id, each in ends.items()),
        webhooks_doubled=sum(len(set(history.webhooks.get(task_id, ()))) > len(each) for task_id, each in ends.items()),
        begun_again=len(again),
        longest_wait_s=round(max(waits, default=0.0), 1),
        longest_task_s=round(max((log[-1].at_s - log[0].at_s for log in history.changes.values()), default=0.0), 1),
    )


def _ends(log: list[Change]) -> list[str]:
    return [each.status for each in log if each.status in FINAL_STATES]


def _is_doubled(log: list[Change]) -> bool:
    attempts = [each.attempt for each in log if each.status == "STARTED"]
    is_late = bool(_ends(log)) and log[-1].status not in FINAL_STATES
    return len(_ends(log)) > 1 or is_late or attempts != list(range(1, len(attempts) + 1))


def table(history: History, verdict: Verdict) -> str:
    """Return the run as a Markdown table."""
    faults = ", ".join(
        f"{count} x {kind}" for kind, count in sorted(Counter(kind for kind, _ in history.faults).items())
    )
    refused = ", ".join(f"{count} x {kind}" for kind, count in sorted(history.refused.items())) or "none"
    rows = {
        "seed": history.seed,
        "faults": f"{len(history.faults):,} in {history.took_s / 60:.0f} min: {faults}",
        "accepted tasks": f"{len(history.accepted):,}",
        "uploads without a 202": refused,
        "lost": verdict.lost,
        "failed": verdict.failed,
        "doubled": verdict.doubled,
        "webhooks missing": verdict.webhooks_missing,
        "webhooks of no end": verdict.webhooks_doubled,
        "tasks begun again": f"{verdict.begun_again:,}",
        "longest wait to be begun again": f"{verdict.longest_wait_s} s",
        "longest time from creation to end": f"{verdict.longest_task_s} s",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
