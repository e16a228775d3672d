"""Events of all tasks for whoever listens in this process: one reader of the log and one connection for all ears."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sse_starlette.sse import AppStatus

from worker.tasks.events import BEGINNING, Event, following, newest_id
from worker.tasks.model import Task
from worker.tasks.store import Tasks

logger = logging.getLogger(__name__)

READ_AT_ONCE = 1000
READ_WAIT_MS = 1000
"""How long the reader waits for the first event; it then looks whether the process is to stop."""

RECONNECT_PAUSE_S = 0.5

MOST_UNREAD = 1000
"""Events kept for a slow listener before it is dropped; a browser comes back by itself and says where it was."""


Topic = tuple[str, str]
"""What a client listens for."""

EVERYTHING: Topic = ("everything", "")


def of_task(task_id: str) -> Topic:
    return ("task", task_id)


def of_owner(name: str) -> Topic:
    """Return the topic of all tasks of an owner."""
    return ("owner", name)


class Listener:
    """What one client has still to hear."""

    def __init__(self) -> None:
        self._unread: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.is_dropped = False

    def hear(self, event: Event) -> None:
        if len(self._unread) >= MOST_UNREAD:
            self.drop()
        elif not self.is_dropped:
            self._unread.append(event)
            self._wake.set()

    def drop(self) -> None:
        """Let it hear no more."""
        self.is_dropped = True
        self._unread.clear()
        self._wake.set()

    async def next(self) -> Event | None:
        """Wait for the next event; None when there will be no more."""
        while not self._unread:
            if self.is_dropped:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._unread.popleft()


class Events:
    """Reads the log only while somebody listens: a task costs this process nothing otherwise."""

    def __init__(self, redis: Redis) -> None:
        """`redis` is a client of its own, whose answers may take longer than `READ_WAIT_MS`."""
        self._redis = redis
        self._listeners: dict[Topic, set[Listener]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._last_id = BEGINNING

    @asynccontextmanager
    async def listening(self, topic: Topic) -> AsyncIterator[Listener]:
        """Hear every event of a topic from now on. Raises redis-py's errors when Redis is away."""
        listener = Listener()
        self._listeners[topic].add(listener)
        try:
            await self._start()
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
            if not self._listeners:
                await self.close()

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _start(self) -> None:
        async with self._starting:
            if self._reader is None:
                self._last_id = await newest_id(self._redis)
                self._reader = asyncio.create_task(self._read(), context=Context())  # it is no request's

    async def _read(self) -> None:
        while not AppStatus.should_exit:  # set when the server is told to stop
            try:
                events = await following(self._redis, self._last_id, READ_AT_ONCE, READ_WAIT_MS)
            except (RedisError, OSError) as exc:
                logger.warning("events wait for Redis: %s", exc)
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            for event in events:
                self._last_id = event.id
                for topic in _topics(event):
                    for listener in self._listeners.get(topic, ()):
                        listener.hear(event)
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.drop()


def _topics(event: Event) -> list[Topic]:
    topics = [EVERYTHING, of_task(event.task_id)]
    return topics if event.owner is None else [*topics, of_owner(event.owner)]


async def ended(task_id: str, tasks: Tasks, events: Events, timeout_s: float) -> Task:
    """Return the task as soon as it has ended, or as it is after `timeout_s`; raises `TaskNotFound`."""
    async with events.listening(of_task(task_id)) as listener:
        task = await tasks.get(task_id)
        if task.is_finished:
            return task
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _end(listener)
    return await tasks.get(task_id)


async def _end(listener: Listener) -> None:
    while (event := await listener.next()) is not None:
        if event.is_end:
            return
