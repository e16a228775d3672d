"""Pages of tasks, newest first. The cost of a page does not depend on the number of tasks."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from redis.asyncio import Redis

from worker.tasks import model
from worker.tasks.indices import CREATED, in_batch, in_state, of_owner, with_operation
from worker.tasks.model import Task
from worker.tasks.status import Status, TaskNotFound, UnreadableTask

MOST_EXAMINED = 2000
"""Maximum number of tasks read for one page, when the index contains many that do not match."""

AT_ONCE = 200

CURSOR = r"^[0-9]{1,16}_[0-9a-f-]{36}$"
"""The position after which a page begins: a task's score in the index (Unix ms) and its id."""


class Selection(Struct, frozen=True):
    """The conditions of a listing, all of which must hold. Times are Unix milliseconds."""

    statuses: tuple[Status, ...] = ()
    """Any of these states; empty for all states."""
    operation: str | None = None
    owner: str | None = None
    """Only tasks of this owner; None for those of all."""
    batch: str | None = None
    """Only tasks of the batch with this id."""
    from_ms: int | None = None
    until_ms: int | None = None

    @property
    def index(self) -> str:
        """The index to read; `from_ms` and `until_ms` apply to its scores."""
        if self.batch is not None:
            return in_batch(self.batch)
        return self._base if self.owner is None else of_owner(self._base, self.owner)

    @property
    def _base(self) -> str:
        if self.operation is not None:
            return with_operation(self.operation)
        return in_state(self.statuses[0]) if len(self.statuses) == 1 else CREATED

    def matches(self, task: Task) -> bool:
        """Return whether a task of the index meets the conditions that the index does not cover."""
        if self.batch is not None and self.owner not in (None, task.owner):
            return False
        if self.batch is not None and self.operation is not None and self.operation not in task.spec.operations:
            return False
        return not self.statuses or task.status in self.statuses


class Page(Struct, frozen=True):
    tasks: list[Task]
    next_cursor: str | None
    """The cursor of the next page; None on the last page."""


async def page(redis: Redis, selection: Selection, limit: int, cursor: str | None = None) -> Page:
    """Return up to `limit` tasks from the cursor on, newest first.

    A page can be shorter, even empty, although more follow: after reading `MOST_EXAMINED` tasks.
    """
    walk = _Walk(redis, selection, cursor)
    matches: list[Task] = []
    at = cursor
    while walk.examined < MOST_EXAMINED:
        entries = await walk.next(AT_ONCE if selection.statuses else limit + 1)
        if not entries:
            return Page(matches, None)
        for entry, task in zip(entries, await records_of(redis, [task_id for task_id, _ in entries]), strict=True):
            if len(matches) == limit:
                return Page(matches, at)
            at = f"{entry[1]}_{entry[0]}"
            if task is not None and selection.matches(task):
                matches.append(task)
    return Page(matches, at)


class _Walk:
    """Reads an index from the newest to the oldest entry, and entries of the same millisecond by descending id."""

    def __init__(self, redis: Redis, selection: Selection, cursor: str | None) -> None:
        self._redis = redis
        self._selection = selection
        self._latest = "+inf" if selection.until_ms is None else f"({selection.until_ms}"
        self._last_id: str | None = None
        """The last id that was read within the millisecond `_latest`."""
        if cursor is not None:
            self._go_on_from(*cursor.split("_"))
        self.examined = 0

    def _go_on_from(self, score: str, task_id: str) -> None:
        self._latest, self._last_id = score, task_id

    async def next(self, count: int) -> list[tuple[str, int]]:
        """Return the next ids with their scores; an empty list at the end."""
        earliest = "-inf" if self._selection.from_ms is None else self._selection.from_ms
        start = 0
        while True:
            entries = await self._redis.zrevrangebyscore(
                self._selection.index, self._latest, earliest, start, count, withscores=True, score_cast_func=int
            )
            fresh = list(self._after_last((task_id.decode(), score) for task_id, score in entries))
            if fresh or len(entries) < count:
                break
            start += count  # all entries were of one millisecond and read before
        self.examined += len(fresh)
        if fresh:
            self._go_on_from(str(fresh[-1][1]), fresh[-1][0])
        return fresh

    def _after_last(self, entries: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        for task_id, score in entries:
            if self._last_id is None or str(score) != self._latest or task_id < self._last_id:
                yield task_id, score


async def records_of(redis: Redis, task_ids: list[str]) -> list[Task | None]:
    """Return the tasks, with None for a task that was deleted meanwhile or whose record is unreadable."""
    async with redis.pipeline(transaction=False) as pipe:
        for task_id in task_ids:
            pipe.hgetall(model.task_key(task_id))
        records = await pipe.execute()
    return [_readable(task_id, record) for task_id, record in zip(task_ids, records, strict=True)]


def _readable(task_id: str, record: Mapping[bytes, bytes]) -> Task | None:
    try:
        task = model.parse_record(task_id, record)
        task.spec  # noqa: B018 - decodes it
    except (TaskNotFound, UnreadableTask):
        return None
    return task
