"""Fair turns as they should be: a plain Python model of `_turns.lua`."""

from collections import defaultdict
from dataclasses import dataclass, field

from worker.tasks.schedule import Priority

RANKS = list(reversed(Priority))


@dataclass(frozen=True)
class Turn:
    """What decides the turn of a task."""

    line: str
    flow: str
    priority: Priority
    due: int
    cost: int
    weight: int


@dataclass
class Flow:
    start: float
    """Virtual time of the next start."""
    cost: float
    """What the next task is supposed to cost."""
    tasks: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    """Task -> its place: its priority, its time and, for equal times, its id."""

    def in_order(self) -> list[int]:
        return sorted(self.tasks, key=lambda task: self.tasks[task])


@dataclass
class Line:
    now: float = 0
    """Virtual time."""
    flows: dict[str, Flow] = field(default_factory=dict)
    ahead: dict[str, float] = field(default_factory=dict)

    def in_order(self) -> list[str]:
        return sorted(self.flows, key=lambda flow: (self.flows[flow].start, flow))

    def leave(self, flow: str, task: int) -> None:
        del self.flows[flow].tasks[task]
        if not self.flows[flow].tasks:
            self.ahead = {other: start for other, start in self.ahead.items() if start > self.now}
            if self.flows[flow].start > self.now:
                self.ahead[flow] = self.flows[flow].start
            del self.flows[flow]


@dataclass
class Turns:
    lines: dict[str, Line] = field(default_factory=lambda: defaultdict(Line))
    pace: dict[str, float] = field(default_factory=dict)
    turns: dict[int, Turn] = field(default_factory=dict)
    """Those of the tasks that are in a flow."""

    def charge(self, turn: Turn) -> float:
        pace = self.pace.get(turn.flow, self.pace.get("*", 1))
        return turn.cost * pace / turn.weight

    def learn(self, flow: str, cost: int, took_ms: int) -> None:
        for each in (flow, "*"):
            ratio = took_ms / cost
            pace = self.pace[each] + 0.1 * (ratio - self.pace[each]) if each in self.pace else ratio
            self.pace[each] = float(f"{max(pace, 0.001):.6f}")

    def enter(self, task: int, task_id: str, turn: Turn) -> None:
        line = self.lines[turn.line]
        if turn.flow not in line.flows:
            start = max(line.now, line.ahead.pop(turn.flow, 0))
            line.flows[turn.flow] = Flow(start, self.charge(turn))
        line.flows[turn.flow].tasks[task] = (RANKS.index(turn.priority), turn.due, task_id)
        self.turns[task] = turn

    def leave(self, task: int) -> None:
        if task in self.turns:
            turn = self.turns.pop(task)
            self.lines[turn.line].leave(turn.flow, task)

    def take(self, task: int) -> None:
        """Start a task at the turn of its flow."""
        turn = self.turns.pop(task)
        line = self.lines[turn.line]
        flow, charge = line.flows[turn.flow], self.charge(turn)
        line.now = max(line.now, flow.start)
        flow.start, flow.cost = line.now + charge, charge
        line.leave(turn.flow, task)

    def position(self, task: int) -> int | None:
        """Start the waiting tasks one by one, each flow's at one cost, and count until this one is started."""
        if task not in self.turns:
            return None
        turn = self.turns[task]
        waiting = {name: flow.in_order() for name, flow in self.lines[turn.line].flows.items()}
        starts = {name: flow.start for name, flow in self.lines[turn.line].flows.items()}
        main = self.lines["main"].flows.values() if turn.line == "background" else ()
        position = sum(len(flow.tasks) for flow in main)
        while True:
            name = min((name for name in waiting if waiting[name]), key=lambda name: (starts[name], name))
            position += 1
            if waiting[name].pop(0) == task:
                return position
            starts[name] += self.lines[turn.line].flows[name].cost
