"""Fan out the event stream to the SSE clients of this process, with one reader and one connection."""

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
"""Maximum time that the reader waits for an event, before it checks whether the process is stopping."""

RECONNECT_PAUSE_S = 0.5

MAX_UNREAD_EVENTS = 1000
"""Events buffered for a slow subscriber before it is disconnected; browsers reconnect with `Last-Event-ID`."""


Topic = tuple[str, str]
"""The tasks whose events a client receives."""

EVERYTHING: Topic = ("everything", "")


def of_task(task_id: str) -> Topic:
    return ("task", task_id)


def of_owner(name: str) -> Topic:
    """Return the topic of all tasks of an owner."""
    return ("owner", name)


def of_batch(batch_id: str) -> Topic:
    return ("batch", batch_id)


class Subscriber:
    """The events that a client has not received yet."""

    def __init__(self) -> None:
        self._unread: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.is_dropped = False

    def push(self, event: Event) -> None:
        if len(self._unread) >= MAX_UNREAD_EVENTS:
            self.drop()
        elif not self.is_dropped:
            self._unread.append(event)
            self._wake.set()

    def drop(self) -> None:
        """Send no more events."""
        self.is_dropped = True
        self._unread.clear()
        self._wake.set()

    async def next(self) -> Event | None:
        """Wait for the next event; return None when there are no more."""
        while not self._unread:
            if self.is_dropped:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._unread.popleft()


class EventHub:
    """Distributes events to subscribers; reads the Redis stream only while there are subscribers."""

    def __init__(self, redis: Redis) -> None:
        """`redis` must be a separate client with a read timeout longer than `READ_WAIT_MS`."""
        self._redis = redis
        self._subscribers: dict[Topic, set[Subscriber]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._last_id = BEGINNING

    @asynccontextmanager
    async def subscribe(self, topic: Topic) -> AsyncIterator[Subscriber]:
        """Receive all events of a topic from now on. Raises redis-py's errors when Redis is unavailable."""
        subscriber = Subscriber()
        self._subscribers[topic].add(subscriber)
        try:
            await self._start()
            yield subscriber
        finally:
            self._subscribers[topic].discard(subscriber)
            if not self._subscribers[topic]:
                del self._subscribers[topic]
            if not self._subscribers:
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
                self._reader = asyncio.create_task(self._read(), context=Context())  # not a request's

    async def _read(self) -> None:
        while not AppStatus.should_exit:  # set when the server stops
            try:
                events, self._last_id = await following(self._redis, self._last_id, READ_AT_ONCE, READ_WAIT_MS)
            except (RedisError, OSError) as exc:
                logger.warning("Redis is not available; events are delayed: %s", exc)
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            for event in events:
                for topic in _topics(event):
                    for subscriber in self._subscribers.get(topic, ()):
                        subscriber.push(event)
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.drop()


def _topics(event: Event) -> list[Topic]:
    topics = [EVERYTHING, of_task(event.task_id)]
    if event.owner is not None:
        topics.append(of_owner(event.owner))
    if event.batch is not None:
        topics.append(of_batch(event.batch))
    return topics


async def wait_for_end(task_id: str, tasks: Tasks, events: EventHub, timeout_s: float) -> Task:
    """Wait until the task has ended, at most `timeout_s`, and return it; raise `TaskNotFound`."""
    async with events.subscribe(of_task(task_id)) as subscriber:
        task = await tasks.get(task_id)
        if task.is_finished:
            return task
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _end(subscriber)
    return await tasks.get(task_id)


async def _end(subscriber: Subscriber) -> None:
    while (event := await subscriber.next()) is not None:
        if event.is_end:
            return
