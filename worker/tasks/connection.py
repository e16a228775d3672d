"""Connections to Redis: the commands of all coroutines of a client share one."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from typing import Any, TypeVar

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
"""Shortest and longest pause between two attempts to reach Redis."""


GRACE_S = 0.02
"""Time for the event loop to read what has arrived, before a connection counts as silent."""

encode_job = msgspec.json.Encoder(enc_hook=repr).encode
decode_job = msgspec.json.Decoder().decode


_CLOSED = "the client is closed"


class PlainConnection(AbstractConnection):
    """A connection that bounds reads by `socket_timeout`, as redis-py does, but not writes.

    redis-py wraps each write in `asyncio.wait_for`, which on Python 3.11 loses a cancellation that arrives as it ends
    (cpython #86296: a worker then never stops), and costs a task for each command. A server that does not take our
    small writes does not answer them either, so the read's bound holds for both.

    Once the client is closed, its connections are not opened again, even when a command is retried.
    """

    is_closed = False
    """Whether the client is closed. Each client has a subclass of its own, so this holds for all its connections."""

    async def connect(self) -> None:
        if not self.is_closed:
            await super().connect()  # type: ignore[no-untyped-call]
        if self.is_closed:  # perhaps while it connected
            await self.disconnect(nowait=True)
            raise RedisConnectionError(_CLOSED)

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect()  # its handshake reads, bounded
        timeout_s, self.socket_timeout = self.socket_timeout, None
        try:
            await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = timeout_s

    def write(self, data: bytes) -> None:
        """Send packed commands without waiting; raise redis-py's `ConnectionError` if the connection is closed."""
        if self._writer is None:
            raise RedisConnectionError("the connection to Redis is closed")
        self._writer.write(data)

    async def next_reply(self) -> Any:
        """Wait for a reply without a time limit; an error reply is returned."""
        return await self._parser.read_response()  # type: ignore[attr-defined] # hiredis' parser


class _Pipe:
    """Commands on their way through one connection; Redis answers them in order.

    When no reply has arrived for `timeout_s` although some are due, the connection is closed and they fail.
    """

    def __init__(self, connection: PlainConnection, timeout_s: float) -> None:
        self.failure: RedisError | None = None
        """Why the connection is closed; None while it is open."""
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._unsent: list[bytes] = []
        self._due: deque[asyncio.Future[Any]] = deque()
        self._waiting_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._reader = asyncio.create_task(self._read(), context=Context())  # not a request's

    def exchange(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command with all others of this turn of the event loop; return its reply to come."""
        if self.failure is not None:
            raise self.failure
        packed = self._connection.pack_command(*command)
        if not self._due:
            self._waiting_since = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_s, self._check)
        if not self._unsent:
            self._loop.call_soon(self._flush, context=Context())
        self._unsent += packed
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._due.append(reply)
        return reply

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self.failure is None:
            self._connection.write(data)

    async def _read(self) -> None:
        try:
            while True:
                answer = await self._connection.next_reply()
                self._waiting_since = self._loop.time()
                reply = self._due.popleft()
                if not reply.done():  # its command may have been cancelled
                    reply.set_result(answer)
        except (RedisError, OSError) as exc:
            self._fail(exc if isinstance(exc, RedisError) else RedisConnectionError(str(exc)))
        finally:
            await self._connection.disconnect(nowait=True)

    def _check(self) -> None:
        """Close the connection if it is silent; otherwise check again when the silence could be `timeout_s` long."""
        self._timer = None
        left_s = self._waiting_since + self._timeout_s - self._loop.time()
        if self._due and left_s <= 0:
            # If this process was frozen, a reply may have arrived that the reader has not seen yet.
            self._timer = self._loop.call_later(GRACE_S, self._give_up, self._waiting_since)
        elif self._due:
            self._timer = self._loop.call_later(left_s, self._check)

    def _give_up(self, silent_since: float) -> None:
        if self._waiting_since != silent_since:
            self._check()
            return
        self._fail(RedisTimeoutError("Redis does not answer"))
        self._reader.cancel()

    def _fail(self, reason: RedisError) -> None:
        self.failure = reason
        for reply in self._due:
            if not reply.done():
                reply.set_exception(reason)
        self._due.clear()

    async def close(self) -> None:
        self._fail(RedisConnectionError(_CLOSED))
        if self._timer is not None:
            self._timer.cancel()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class _Reply:
    """A reply in the form in which redis-py's `parse_response` reads it."""

    def __init__(self, reply: asyncio.Future[Any]) -> None:
        self._reply = reply

    async def read_response(self, disable_decoding: bool = False) -> Any:  # noqa: ARG002 - redis-py's signature
        answer = await self._reply
        if isinstance(answer, ResponseError):
            raise answer
        return answer


class SharedRedis(ArqRedis):
    """A client that sends the commands of all coroutines over one connection.

    Those of one turn of the event loop go out in one write. Pipelines and subscriptions have connections of their own.
    A blocking command holds up all others of its client. A client that is closed stays closed.
    """

    def __init__(self, pool: ConnectionPool, timeout_s: float, retry: Retry, **arq_options: Any) -> None:
        super().__init__(pool, **arq_options)
        self._timeout_s = timeout_s
        self._retry = retry
        self._pipe: _Pipe | None = None
        self._opening: asyncio.Task[_Pipe] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async def attempt() -> Any:
            pipe = self._pipe
            if pipe is None or pipe.failure is not None:
                pipe = await self._open()
            reply: Any = _Reply(pipe.exchange(*args))
            return await self.parse_response(reply, args[0], **options)

        return await self._retry.call_with_retry(attempt, _go_on)

    async def _open(self) -> _Pipe:
        """Connect; callers that need the connection at the same time share the attempt."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), context=Context())
            self._opening.add_done_callback(self._on_opened)
        return await asyncio.shield(self._opening)

    async def _connect(self) -> _Pipe:
        connection = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        connection.retry = Retry(NoBackoff(), 0)  # `execute_command` retries
        await connection.connect()
        self._pipe = _Pipe(connection, self._timeout_s)
        return self._pipe

    def _on_opened(self, opening: "asyncio.Task[_Pipe]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # every caller may have been cancelled

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        self.connection_pool.connection_class.is_closed = True  # type: ignore[attr-defined]
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._pipe is not None:
            await self._pipe.close()
        await super().aclose(close_connection_pool)


async def _go_on(_: RedisError) -> None:
    """Do nothing between two attempts; the failed connection is closed already."""


def connect(url: str, *, request_timeout_s: float | None = None) -> SharedRedis:
    """Make a client for `url`; it connects on first use, and a connection that Redis closed is replaced unnoticed.

    A command fails when Redis does not answer within 5 s and three retries with pauses fail as well. The API gives
    `request_timeout_s`, because its clients wait for their 503: a command then fails after that time and one retry.
    """
    timeout_s = 5.0 if request_timeout_s is None else request_timeout_s
    retry = Retry(ExponentialBackoff(cap=1, base=0.1), 3) if request_timeout_s is None else Retry(NoBackoff(), 1)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=100,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=retry,
        retry_on_error=[RedisConnectionError],
    )
    pool.connection_class = type("Connection", (PlainConnection, pool.connection_class), {})
    return SharedRedis(pool, timeout_s, retry, job_serializer=encode_job, job_deserializer=decode_job)


async def warn_if_unsynced(redis: Redis) -> None:
    """Log a warning if Redis does not sync each write, which SYNC_WRITES=true promises."""
    try:
        config: dict[str, str] = await redis.config_get("append*")
    except ResponseError:  # some providers do not allow the command
        config = {}
    found = [config.get(name, "unknown") for name in ("appendonly", "appendfsync")]
    if found != ["yes", "always"]:
        logger.warning(
            "SYNC_WRITES=true needs a Redis with appendonly yes and appendfsync always; it has %s and %s", *found
        )


PASSING_ERRORS = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "LOADING", "UNKILLABLE")
"""Beginnings of error replies that will pass, besides those for which redis-py has classes."""


def will_pass(exc: Exception) -> bool:
    """Return whether an error of Redis is an outage; others, such as that of a script, would come again."""
    if not isinstance(exc, ResponseError):
        return True
    return isinstance(exc, (OutOfMemoryError, ReadOnlyError)) or str(exc).startswith(PASSING_ERRORS)


async def retry_through_outage(action: Callable[[], Awaitable[T]]) -> T:
    """Repeat `action`, with growing pauses, until Redis is available; raise errors that will not pass."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await action()
        except (RedisError, OSError) as exc:
            if not will_pass(exc):
                raise
            logger.warning("Redis is not available (%s); trying again in %g s", exc, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
