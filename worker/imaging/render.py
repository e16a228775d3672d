"""Decode an upload, apply operations and encode the results: plain functions that run in the worker's threads."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import msgspec
from PIL import Image

from worker.errors import PictureError
from worker.imaging import metadata
from worker.imaging.containers.color_spaces import declared_space
from worker.imaging.containers.gain_map import read_gain_map, with_gain_map
from worker.imaging.decoding import (
    Decoded,
    check_checksums,
    decode_still,
    open_image,
)
from worker.imaging.encoding import encode, suitable_formats
from worker.imaging.formats import InputFormat, OutputFormat
from worker.imaging.guards import Limits
from worker.imaging.orientation import upright_as
from worker.imaging.picture import Picture
from worker.imaging.pipeline import Work, apply_operations, check_sizes, ignore_step, never
from worker.imaging.plan import Output, Plan, Variant
from worker.imaging.reading import Reader, Upload
from worker.operations.base import Assets, Operation
from worker.pixels.geometry import Size
from worker.pixels.modes import convert_to_modes
from worker.pixels.profiles import to_srgb
from worker.pixels.resampling import resample
from worker.telemetry.phases import Stopwatch


@dataclass(frozen=True)
class Rendered:
    """An encoded result; a report (`json`) has no size and no frames."""

    data: bytes
    sha256: str
    format: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    warnings: tuple[str, ...] = ()
    """What a client should know about the result, in sentences."""

    def with_warning(self, warning: str) -> "Rendered":
        return replace(self, warnings=(*self.warnings, warning))


def render(  # noqa: PLR0913 - the plan, its inputs and its limits
    upload: Upload,
    plan: Plan,
    limits: Limits,
    *,
    overlay: Upload | None = None,
    font_path: str | None = None,
    should_stop: Callable[[], bool] = never,
    on_step: Callable[[str, str, float], None] = ignore_step,
    watch: Stopwatch | None = None,
) -> dict[str, Rendered]:
    """Decode the upload once and render all variants, or raise `PictureError`.

    `should_stop` is checked before each step, after which `Stopped` is raised; a step cannot be interrupted. `on_step`
    is called after each with the variant, the operation and the duration in seconds. The durations of the phases are
    added to `watch`. The Exif orientation is applied.
    """
    watch = watch or Stopwatch()
    watch.begin("decoding")
    work = Work(limits, Assets(_decode_overlay(overlay, limits), font_path), should_stop, on_step, watch=watch)
    work.check_stop()
    renderer = _Renderer(Reader(upload, plan, limits), plan, work)
    watch.end()
    rendered_by_name = {name: _render_variant(name, renderer) for name in renderer.largest_first()}
    return {name: rendered_by_name[name] for name in plan.variants}


def _decode_overlay(overlay: Upload | None, limits: Limits) -> Image.Image | None:
    if overlay is None:
        return None
    try:
        file = open_image(overlay.data, overlay.format, limits)
        check_checksums(overlay.data, overlay.format)
        decoded = decode_still(file, [None], declared_space(overlay.data, overlay.format))
        return convert_to_modes(to_srgb(decoded.frames[0], decoded.profile), Operation.modes)
    except PictureError as exc:
        raise exc.at("overlay") from exc


def _render_variant(name: str, renderer: "_Renderer") -> Rendered:
    try:
        return renderer.rendered(name)
    except PictureError as exc:
        raise (exc.at(name) if name else exc) from exc


class _Renderer:
    """Renders the variants of one upload."""

    def __init__(self, reader: Reader, plan: Plan, work: Work) -> None:
        self._reader = reader
        self._work = work
        self._plan = plan
        self._last: tuple[int | None, Sequence[Operation], Picture] | None = None
        for variant in self._plan.variants.values():
            check_sizes(variant.operations, reader.size, 1, work.limits)

    def largest_first(self) -> list[str]:
        """Return the names of the variants: those with the same operations together, larger results before smaller."""
        pipelines = [variant.operations for variant in self._plan.variants.values()]

        def rank(name: str) -> tuple[float, int]:
            operations = self._plan.variants[name].operations
            scaled = operations[0].scaled_size(self._reader.size) if operations else None
            pixels = math.inf if scaled is None else scaled[0] * scaled[1]
            return -pixels, pipelines.index(operations)

        return sorted(self._plan.variants, key=rank)

    def rendered(self, name: str) -> Rendered:
        self._work, variant = replace(self._work, variant=name), self._plan.variants[name]
        self._work.watch.begin("decoding")
        decoded = self._reader.frames_for(variant)
        self._work.watch.end()
        check_sizes(variant.operations, decoded.size, len(decoded.frames), self._work.limits)
        if variant.is_report:
            return self._report(variant, decoded)
        picture = self._changed(variant, decoded)
        output, targets = variant.output, variant.output.targets(self._reader.upload.format)
        if not output.is_auto:
            rendered = self._encode(picture, output, targets[0], decoded)
        else:
            rendered = self._smallest(picture, output, suitable_formats(picture, targets), decoded)
        return self._in_hdr(rendered, variant) if output.hdr == "keep" else rendered

    def _in_hdr(self, rendered: Rendered, variant: Variant) -> Rendered:
        """Add the gain map of the upload to a result, or a warning if the upload is HDR and the result cannot be."""
        upload, output = self._reader.upload, variant.output
        is_jpeg = upload.format is InputFormat.JPEG
        gain_map = read_gain_map(upload.data, self._reader.size) if is_jpeg else None
        if gain_map is None:
            return rendered.with_warning("the image is HDR, and the result is not") if self._reader.is_hdr else rendered
        only_moves = all(operation.only_moves_pixels for operation in variant.operations)
        if rendered.format != "jpeg" or not only_moves or output.colorspace != "keep" or output.max_bytes is not None:
            return rendered.with_warning(
                "the gain map is left out; it needs a JPEG with colorspace=keep, without max_bytes, and only resize "
                "(not contain or smart), crop (not smart), flip and rotations by multiples of 90 degrees"
            )
        moved = self._moved(gain_map.image, variant.operations, self._reader.size)
        try:
            data = with_gain_map(rendered.data, replace(gain_map, image=moved))
        except ValueError:
            return rendered.with_warning("the gain map is left out; the XMP data leave no room for it")
        return replace(rendered, data=data, sha256=hashlib.sha256(data).hexdigest())

    def _moved(self, image: Image.Image, operations: Sequence[Operation], size: Size) -> Image.Image:
        """Apply operations to a gain map, at the size of the picture, and scale the result back."""
        image = upright_as(self._reader.orientation, image)
        scale = image.width / size[0]
        picture = Picture([resample(image, size, "bilinear")], None, None)
        moved = apply_operations(picture, operations, Work(self._work.limits, Assets())).frames[0]
        target = max(1, round(moved.width * scale)), max(1, round(moved.height * scale))
        return resample(moved, target, "box")

    def _smallest(
        self, picture: Picture, output: Output, targets: Sequence[OutputFormat], decoded: Decoded
    ) -> Rendered:
        """Encode in each format, and return the smallest file; raise the last error if all fail."""
        rendered, error = [], None
        for target in targets:
            try:
                rendered.append(self._encode(picture, output.for_format(target), target, decoded))
            except PictureError as exc:  # such as max_bytes, which another format may reach
                error = exc
        if not rendered and error is not None:
            raise error
        return min(rendered, key=lambda each: len(each.data))

    def _changed(self, variant: Variant, decoded: Decoded) -> Picture:
        """Apply the operations, unless the variant before had the same."""
        frame, operations = self._reader.frame_of(variant), variant.operations
        if self._last is not None and self._last[:2] == (frame, operations):
            for operation in operations:
                with self._work.step(operation):
                    pass
            return self._last[2]
        picture, steps = self._first_step(variant, decoded)
        picture = apply_operations(picture, steps, self._work, len(operations) - len(steps))
        self._last = frame, operations, picture
        return picture

    def _report(self, variant: Variant, decoded: Decoded) -> Rendered:
        picture, steps = self._first_step(variant, decoded)
        *steps, last = steps
        picture = apply_operations(picture, steps, self._work, len(variant.operations) - len(steps) - 1)
        size = decoded.size if last is variant.operations[0] else picture.size
        with self._work.step(last):
            picture, last, _ = picture.prepared_for(last, self._work.assets)
            report = last.report(picture.frames[0], size, self._reader.source())
        data = msgspec.json.format(msgspec.json.encode(report))
        return Rendered(data, hashlib.sha256(data).hexdigest(), "json", warnings=tuple(self._reader.warnings))

    def _encode(self, picture: Picture, output: Output, target: OutputFormat, decoded: Decoded) -> Rendered:
        self._work.check_stop()
        self._work.watch.begin("encoding")
        options = metadata.metadata_options(decoded.exif, decoded.info, output, target)
        data = encode(picture, output, target, options, self._work.check_stop)
        # An encoder may merge equal frames.
        frames = Image.open(BytesIO(data)).n_frames if picture.timing is not None else 1  # type: ignore[attr-defined]
        upload, digest = self._reader.upload, hashlib.sha256(data).hexdigest()
        lost = metadata.provenance_warnings(upload.data, upload.format, decoded.info, target)
        self._work.watch.end()
        return Rendered(data, digest, target.value, *picture.size, frames, (*self._reader.warnings, *lost))

    def _first_step(self, variant: Variant, decoded: Decoded) -> tuple[Picture, list[Operation]]:
        """Apply the first operation if it can use a reduced image and there is one; return the remaining operations."""
        steps = list(variant.operations)
        picture = Picture(decoded.frames, decoded.timing, decoded.profile, decoded.palette)
        is_shared = len(self._plan.variants) > 1 and decoded.timing is None
        scaled = steps[0].scaled_size(decoded.size) if steps and (decoded.box is not None or is_shared) else None
        if scaled is None:
            return picture, steps
        image, box = decoded.scales.source(scaled) if is_shared else (decoded.frames[0], decoded.box)
        picture = replace(picture, frames=[image])
        if steps[0].is_report or box is None:
            return picture, steps
        first = steps.pop(0)
        with self._work.step(first):
            picture, first, _ = picture.prepared_for(first, self._work.assets)
            result = first.apply_reduced(picture.frames[0], box, decoded.size)
        has_same_colors = result.mode == image.mode  # gray and inks may have been converted
        if is_shared and has_same_colors and first.gives_whole(decoded.size):
            decoded.scales.keep(result)
        return replace(picture, frames=[result]), steps
