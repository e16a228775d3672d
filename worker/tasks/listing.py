"""Pages of tasks, newest first; a page costs the same however many tasks there are."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from worker.tasks import model
from worker.tasks.model import Status, Task, TaskNotFound

MOST_EXAMINED = 2000
"""Tasks looked at for one page, when the index holds many that the other conditions leave out."""

AT_ONCE = 200

CURSOR = r"^[0-9]{1,16}_[0-9a-f-]{36}$"
"""When a task came into the index (Unix ms), and its id."""


class Selection(Struct, frozen=True):
    """Which tasks are wanted: all conditions hold together. Times are Unix milliseconds."""

    statuses: tuple[Status, ...] = ()
    """Any of these; none for all."""
    operation: str | None = None
    owner: str | None = None
    """One's only; None for everybody's."""
    from_ms: int | None = None
    until_ms: int | None = None

    @property
    def index(self) -> str:
        """The index to go through; its time is what `from_ms` and `until_ms` bound."""
        return self._base if self.owner is None else model.of_owner(self._base, self.owner)

    @property
    def _base(self) -> str:
        if self.operation is not None:
            return model.with_operation(self.operation)
        return model.in_state(self.statuses[0]) if len(self.statuses) == 1 else model.CREATED

    def takes(self, task: Task) -> bool:
        """Whether the conditions hold that the index leaves open."""
        return not self.statuses or task.status in self.statuses


class Page(Struct, frozen=True):
    tasks: list[Task]
    next_cursor: str | None
    """Where the next page begins; None at the end."""


async def page(redis: Redis, selection: Selection, limit: int, cursor: str | None = None) -> Page:
    """Return up to `limit` tasks from the cursor on, newest first.

    There may be fewer, even none, with more to come: when `MOST_EXAMINED` have been looked at.
    """
    walk = _Walk(redis, selection, cursor)
    taken: list[Task] = []
    at = cursor
    while walk.examined < MOST_EXAMINED:
        entries = await walk.next(AT_ONCE if selection.statuses else limit + 1)
        if not entries:
            return Page(taken, None)
        for entry, task in zip(entries, await _records(redis, [task_id for task_id, _ in entries]), strict=True):
            if len(taken) == limit:
                return Page(taken, at)
            at = f"{entry[1]}_{entry[0]}"
            if task is not None and selection.takes(task):
                taken.append(task)
    return Page(taken, at)


class _Walk:
    """Through an index, from the newest to the oldest; those of one millisecond from the greatest id to the least."""

    def __init__(self, redis: Redis, selection: Selection, cursor: str | None) -> None:
        self._redis = redis
        self._selection = selection
        self._latest = "+inf" if selection.until_ms is None else f"({selection.until_ms}"
        self._seen: str | None = None
        """The id within the latest millisecond after which to go on."""
        if cursor is not None:
            self._go_on_from(*cursor.split("_"))
        self.examined = 0

    def _go_on_from(self, score: str, task_id: str) -> None:
        self._latest, self._seen = score, task_id

    async def next(self, count: int) -> list[tuple[str, int]]:
        """Return the next ids with their scores; none at the end."""
        earliest = "-inf" if self._selection.from_ms is None else self._selection.from_ms
        start = 0
        while True:
            found = await self._redis.zrevrangebyscore(
                self._selection.index, self._latest, earliest, start, count, withscores=True, score_cast_func=int
            )
            fresh = list(self._unseen((task_id.decode(), score) for task_id, score in found))
            if fresh or len(found) < count:
                break
            start += count  # all of one millisecond, seen before
        self.examined += len(fresh)
        if fresh:
            self._go_on_from(str(fresh[-1][1]), fresh[-1][0])
        return fresh

    def _unseen(self, found: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        for task_id, score in found:
            if self._seen is None or str(score) != self._latest or task_id < self._seen:
                yield task_id, score


async def _records(redis: Redis, task_ids: list[str]) -> list[Task | None]:
    """Return the tasks; None for one that was removed meanwhile, or that this version cannot read."""
    async with redis.pipeline(transaction=False) as pipe:
        for task_id in task_ids:
            pipe.hgetall(model.task_key(task_id))
        found = await pipe.execute()
    return [_readable(task_id, record) for task_id, record in zip(task_ids, found, strict=True)]


def _readable(task_id: str, record: Mapping[bytes, bytes]) -> Task | None:
    try:
        task = model.parse_record(task_id, record)
        task.spec  # noqa: B018 - decodes it
    except (TaskNotFound, msgspec.DecodeError, *model.UNREADABLE):
        return None
    return task
