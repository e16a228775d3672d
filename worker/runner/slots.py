"""The worker's thread pool, the only place that runs Pillow outside of the event loop."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Overrun(Exception):
    """The work exceeded its time limit; its thread is still running."""


class Slots:
    """A fixed number of threads, each a slot for one image.

    A thread cannot be killed: one that exceeds its time limit, or whose task is cancelled, occupies its slot until it
    ends. When all slots are lost to overruns, `on_exhausted` is called, so that the process can be restarted.
    """

    def __init__(self, count: int, on_exhausted: Callable[[], None]) -> None:
        self.count = count
        self.lost = 0
        self._free = asyncio.Semaphore(count)
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="picture")
        self._on_exhausted = on_exhausted
        # Start all threads now: later there may be no memory for one.
        all_started = threading.Event()
        for _ in range(count):
            self._executor.submit(all_started.wait)
        all_started.set()

    async def run(self, timeout_s: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Wait for a slot, then run `work` there for at most `timeout_s`; raise `Overrun` after that."""
        await self._free.acquire()
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*args, **kwargs))
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(lambda _: self._free.release())
        try:
            done, _ = await asyncio.wait({future}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._lose(future)
            raise
        if done:
            return future.result()
        self._lose(future)
        logger.error("a thread exceeded %g s; %d of %d slots are lost", timeout_s, self.lost, self.count)
        if self.lost == self.count:
            self._on_exhausted()
        raise Overrun

    def _lose(self, future: asyncio.Future[T]) -> None:
        self.lost += 1
        future.add_done_callback(self._find)

    def _find(self, future: asyncio.Future[T]) -> None:
        self.lost -= 1
        if not future.cancelled():
            future.exception()  # retrieve and ignore the exception of a task that has already ended

    def close(self) -> None:
        """Accept no more work, without waiting for overrun threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def leave(self) -> None:
        """Exit this process at once if threads overrun, because Python waits for threads at exit."""
        if self.lost:
            logger.error("exiting without waiting for %d overrun threads", self.lost)
            logging.shutdown()
            os._exit(1)
