"""Pages of tasks, newest first or sorted. The cost of a page does not depend on the number of tasks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum

from msgspec import Struct, structs
from redis.asyncio import Redis

from worker.errors import ErrorCode
from worker.tasks import model
from worker.tasks.lists.failures import kind_of
from worker.tasks.lists.indices import CREATED, in_batch, in_state, of_owner, with_operation
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
    tag: str | None = None
    code: ErrorCode | None = None
    failure: str | None = None
    """Only failures of the kind with this id; see `worker.tasks.lists.failures`."""
    text: str | None = None
    """Only tasks that have this text, in any case, in their name, URL, error or tags, or whose id or request id begins
    with it."""
    format: str | None = None
    """Only tasks whose upload has this format."""

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
        if self.statuses and task.status not in self.statuses:
            return False
        return self._matches_details(task)

    @property
    def is_search(self) -> bool:
        """Whether there are conditions for which there is no index."""
        return any((self.tag, self.code, self.failure, self.text, self.format))

    @property
    def is_narrow(self) -> bool:
        """Whether many tasks of the index may not match."""
        return bool(self.statuses) or self.is_search

    def _matches_details(self, task: Task) -> bool:
        if self.tag is not None and self.tag not in task.tags:
            return False
        if self.format is not None and (task.spec.source is None or task.spec.source.value != self.format):
            return False
        if self.code is not None and (task.status is not Status.FAILURE or task.error_code is not self.code):
            return False
        if self.failure is not None and ((kind := kind_of(task)) is None or kind.id != self.failure):
            return False
        return self.text is None or _contains(task, self.text.lower())


def _contains(task: Task, text: str) -> bool:
    spec = task.spec
    if task.id.startswith(text) or (spec.request_id and spec.request_id.lower().startswith(text)):
        return True
    error = task.error if task.status is Status.FAILURE and task.error is not None else ""
    return any(text in each.lower() for each in (spec.name, spec.url or "", error, task.tags_text))


class Page(Struct, frozen=True):
    tasks: list[Task]
    next_cursor: str | None
    """The cursor of the next page; None on the last page."""
    examined: int = 0
    """The number of tasks that were read."""
    oldest_ms: int | None = None
    """The score in the index of the last of them."""


class Sort(StrEnum):
    """What tasks are sorted by; values that are not known come last."""

    CREATED = "created"
    WAITED = "waited"
    RAN = "ran"
    BYTES = "bytes"


def _bytes_of(task: Task) -> int:
    with suppress(UnreadableTask):
        return sum(output.bytes for output in task.outputs.values())
    return 0


_SORT_VALUES: dict[Sort, Callable[[Task], int | None]] = {
    Sort.CREATED: lambda task: task.created_ms,
    Sort.WAITED: lambda task: task.waited_ms,
    Sort.RAN: lambda task: task.ran_ms,
    Sort.BYTES: lambda task: _bytes_of(task) or None,
}


async def sorted_page(  # noqa: PLR0913 - three say which tasks, two in which order
    redis: Redis, selection: Selection, limit: int, sort: Sort, cursor: str | None = None, *, ascending: bool
) -> Page:
    """Return the first `limit` in an order of the newest `MOST_EXAMINED` tasks, or of those from the cursor on.

    `next_cursor` is where the tasks that were read end.
    """
    found = await page(redis, selection, MOST_EXAMINED, cursor)
    value_of, sign = _SORT_VALUES[sort], 1 if ascending else -1

    def rank(task: Task) -> tuple[bool, int]:
        value = value_of(task)
        return value is None, sign * (value or 0)

    return structs.replace(found, tasks=sorted(found.tasks, key=rank)[:limit])


async def page(redis: Redis, selection: Selection, limit: int, cursor: str | None = None) -> Page:
    """Return up to `limit` tasks from the cursor on, newest first.

    A page can be shorter, even empty, although more follow: after reading `MOST_EXAMINED` tasks.
    """
    walk = _Walk(redis, selection, cursor)
    matches: list[Task] = []
    at, examined = cursor, 0
    while walk.examined < MOST_EXAMINED:
        wanted = AT_ONCE if selection.is_narrow else min(limit + 1, AT_ONCE)
        entries = await walk.next(min(wanted, MOST_EXAMINED - walk.examined))
        if not entries:
            return Page(matches, None, examined, _score_of(at))
        for entry, task in zip(entries, await records_of(redis, [task_id for task_id, _ in entries]), strict=True):
            if len(matches) == limit:
                return Page(matches, at, examined, _score_of(at))
            at, examined = f"{entry[1]}_{entry[0]}", examined + 1
            if task is not None and selection.matches(task):
                matches.append(task)
    return Page(matches, at, examined, _score_of(at))


def _score_of(cursor: str | None) -> int | None:
    return None if cursor is None else int(cursor.partition("_")[0])


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
