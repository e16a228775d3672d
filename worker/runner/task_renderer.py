"""Read the upload of a task, render it in a slot, and store the results."""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from worker.errors import ErrorCode, PictureError, StorageAway, TaskFailed, TaskStopped
from worker.imaging.formats import media_type_of
from worker.imaging.pipeline import Stopped
from worker.imaging.reading import Upload
from worker.imaging.render import Rendered, render
from worker.runner.slots import Overrun, Slots
from worker.settings import Settings
from worker.storage import Storage, StorageUnavailable, overlay_path
from worker.tasks.model import OutputRecord, Spec, Task
from worker.tasks.progress import Run
from worker.telemetry.phases import NAMES

T = TypeVar("T")


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Convert the errors of storage to those of tasks."""
    try:
        yield
    except FileNotFoundError as exc:
        raise TaskFailed(ErrorCode.UPLOAD_GONE, "the upload is missing from storage") from exc
    except StorageUnavailable as exc:
        raise StorageAway(exc) from exc


class TaskRenderer:
    """Renders tasks in the slots of this process."""

    def __init__(self, settings: Settings, storage: Storage, slots: Slots) -> None:
        self._settings = settings
        self._storage = storage
        self._slots = slots

    async def outputs(
        self, task: Task, spec: Spec, run: Run, on_rendered: Callable[[], None]
    ) -> dict[str, OutputRecord]:
        """Render and store the results; return their records.

        Other storage than a local directory is read before the slot is taken, and written after it is free again.
        """
        paths = task.result_paths
        if self._storage.is_local:

            def work() -> dict[str, OutputRecord]:
                rendered = self._render(spec, *self._read_sync(task, spec, run), run)
                return {name: self._store_sync(name, paths[name], each, run) for name, each in rendered.items()}

            records = await self._in_slot(work, run)
            on_rendered()
            return records
        watch = run.progress.watch
        watch.begin("reading")
        with _storage_errors():
            upload, overlay = await self._storage.read(task.upload_path), None
            if spec.overlay is not None:
                overlay = await self._storage.read(overlay_path(task.id))
        watch.end()
        rendered = await self._in_slot(lambda: self._render(spec, upload, overlay, run), run)
        on_rendered()
        watch.begin("storing")

        async def store(name: str, each: Rendered) -> None:
            with _storage_errors():
                await self._storage.put_bytes(paths[name], each.data, media_type_of(each.format))
            run.progress.output_done(name, paths[name])

        stored = await asyncio.gather(*(store(name, each) for name, each in rendered.items()), return_exceptions=True)
        for error in filter(None, stored):
            raise error
        watch.end()
        return {name: _record(paths[name], each) for name, each in rendered.items()}

    def _read_sync(self, task: Task, spec: Spec, run: Run) -> tuple[bytes, bytes | None]:
        run.progress.watch.begin("reading")
        with _storage_errors():
            overlay = None if spec.overlay is None else self._storage.read_sync(overlay_path(task.id))
            upload = self._storage.read_sync(task.upload_path)
        run.progress.watch.end()
        return upload, overlay

    def _store_sync(self, name: str, path: str, rendered: Rendered, run: Run) -> OutputRecord:
        if run.stop.is_set():
            raise Stopped
        run.progress.watch.begin("storing")
        with _storage_errors():
            self._storage.put_sync(path, rendered.data)
        run.progress.watch.end()
        run.progress.output_done(name, path)
        return _record(path, rendered)

    def _render(self, spec: Spec, upload: bytes, overlay: bytes | None, run: Run) -> dict[str, Rendered]:
        if spec.source is None:
            raise TypeError("a task was started whose upload has not been fetched")
        return render(
            Upload(upload, spec.source),
            spec.plan,
            self._settings.limits,
            overlay=None if overlay is None or spec.overlay is None else Upload(overlay, spec.overlay),
            font_path=self._settings.font_path,
            should_stop=run.stop.is_set,
            on_step=run.progress.operation_done,
            watch=run.progress.watch,
        )

    async def _in_slot(self, work: Callable[[], T], run: Run) -> T:
        timeout_s = self._settings.task_timeout_s
        try:
            return await self._slots.run(timeout_s, work)
        except Stopped:
            raise TaskStopped from None
        except PictureError as exc:
            raise TaskFailed(exc.code, str(exc), exc.operation) from exc
        except Overrun as exc:
            run.stop.set()  # the thread stops at its next step
            run.progress.watch.cut_off()
            cut = run.progress.watch.cut
            doing = "" if cut is None else f"; it was {NAMES[cut.phase]}"
            message = f"processing took longer than {timeout_s:g} s{doing}"
            raise TaskFailed(ErrorCode.TIMEOUT, message, cut and cut.operation) from exc


def _record(path: str, rendered: Rendered) -> OutputRecord:
    size, data = (rendered.width, rendered.height, rendered.frames), rendered.data
    warnings = list(rendered.warnings)
    return OutputRecord(path, rendered.format, len(data), rendered.sha256, *size, warnings, zlib.crc32(data))
