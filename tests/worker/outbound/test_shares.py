"""Pools of places: nobody has more than a share, and who has the fewest is next."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from worker.outbound.shares import NoPlace, Shares

LONG_S = 60.0


async def test_a_party_has_at_most_its_share() -> None:
    shares = Shares(4, 2)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(shares.place("ann", LONG_S))
        assert shares.is_full("ann")
        with pytest.raises(NoPlace):
            await held.enter_async_context(shares.place("ann", 0))
        for _ in range(2):
            await held.enter_async_context(shares.place("bob", 0))
        assert shares.is_full("eve")
        with pytest.raises(NoPlace):
            await held.enter_async_context(shares.place("eve", 0))
    assert not shares.is_full("ann")


async def test_a_free_place_goes_to_the_party_with_the_fewest_then_to_the_longest_wait() -> None:
    shares, turns = Shares(3, 3), list[str]()
    leave = {name: asyncio.Event() for name in ("ann 1", "ann 2", "bob 1")}

    async def hold(name: str) -> None:
        async with shares.place(name.split(maxsplit=1)[0], LONG_S):
            turns.append(name)
            if name in leave:
                await leave[name].wait()

    async with asyncio.TaskGroup() as group:
        for name in (*leave, "ann 3", "ann 4", "bob 2", "eve 1"):
            group.create_task(hold(name))
            await asyncio.sleep(0)
        leave["ann 1"].set()
        await asyncio.sleep(0)
        for event in leave.values():
            event.set()
    assert turns[:4] == [*leave, "eve 1"]
    assert sorted(turns[4:]) == ["ann 3", "ann 4", "bob 2"]
    assert turns.index("ann 3") < turns.index("ann 4")


async def test_a_call_that_is_cancelled_as_it_gets_its_place_gives_it_back() -> None:
    shares = Shares(1, 1)

    async def hold() -> None:
        async with shares.place("ann", LONG_S):
            pass

    async with shares.place("bob", 0):
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with shares.place("eve", 0):
        pass
