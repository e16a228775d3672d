"""Read an upload: open, decode and check it, with the choice of what to do if it is damaged."""

from dataclasses import dataclass

from PIL import Image

from worker.errors import DamagedPicture
from worker.imaging.animation import decode_animation, seek
from worker.imaging.containers import jpeg, xmp
from worker.imaging.containers.c2pa import has_manifest
from worker.imaging.containers.color_spaces import declared_space
from worker.imaging.containers.tiff import page_count
from worker.imaging.decoding import (
    Decoded,
    check_checksums,
    decode_errors_as_picture_errors,
    decode_still,
    load_readable,
    open_image,
    upright_size,
    visible_size,
)
from worker.imaging.formats import ANIMATED, InputFormat
from worker.imaging.guards import Limits
from worker.imaging.orientation import orientation_of, readable_exif, rotate_size
from worker.imaging.plan import Plan, Variant
from worker.operations.base import Source


@dataclass(frozen=True)
class Upload:
    """An uploaded file."""

    data: bytes
    format: InputFormat


class Reader:
    """Decodes the frames of one upload for the variants of a plan."""

    def __init__(self, upload: Upload, plan: Plan, limits: Limits) -> None:
        """Open the upload by its header, or raise `PictureError`."""
        self.upload = upload
        self.warnings: list[str] = []
        """What clients should know about the results, in sentences."""
        self._plan = plan
        self._limits = limits
        self._keeps_damaged = all(variant.output.on_damage == "keep" for variant in plan.variants.values())
        self._space = declared_space(upload.data, upload.format)
        self._decoded: dict[int | None, Decoded] = {}
        self._file = self._open()
        with decode_errors_as_picture_errors():
            self.orientation = orientation_of(self._file)
        self.size = rotate_size(visible_size(self._file), self.orientation)
        """Size of the first frame in pixels, upright."""
        self.is_hdr = self._space is not None and self._space.hdr is not None

    def frames_for(self, variant: Variant) -> Decoded:
        """Return the frames for a variant, decoded once for all variants that need the same."""
        frame = self.frame_of(variant)
        if frame not in self._decoded:
            decoded = self._decode(frame)
            if not self._decoded:
                self._check_checksums()
            self.warnings += decoded.warnings
            self._decoded[frame] = decoded
        return self._decoded[frame]

    def frame_of(self, variant: Variant) -> int | None:
        """Return the number of the frame that a variant uses, or None for a whole animation."""
        if self.upload.format in ANIMATED and variant.takes_all_frames(self.upload.format):
            with decode_errors_as_picture_errors():
                # Pillow decodes all frames of a GIF to count them.
                if self.upload.format is InputFormat.GIF or getattr(self._file, "n_frames", 1) > 1:
                    return None
        return variant.output.frame or 0

    def source(self) -> Source:
        """Return the facts of the upload for a report."""
        file = self._open()
        with decode_errors_as_picture_errors():
            return Source(
                data=self.upload.data,
                format=self.upload.format.value,
                mode=file.mode,
                size=upright_size(file),
                frames=self._frame_count(file),
                has_alpha=file.has_transparency_data,
                exif=readable_exif(file),
                icc_profile=file.info.get("icc_profile"),
                has_gps_in_xmp=xmp.has_gps(xmp.packet_of(file.info)),
                digital_source_type=xmp.digital_source_type(xmp.packet_of(file.info)),
                has_c2pa=has_manifest(self.upload.data, self.upload.format),
            )

    def _open(self) -> Image.Image:
        """Open the upload; with `on_damage=keep`, without faulty chunks that a PNG needs."""
        data, source, limits = self.upload.data, self.upload.format, self._limits
        if not self._keeps_damaged:
            return open_image(data, source, limits)
        try:
            return open_image(data, source, limits)
        except DamagedPicture:
            self._warn_of_damage()
            return open_image(data, source, limits, keeps_damaged=True)

    def _decode(self, frame: int | None) -> Decoded:
        limits = self._limits
        if self._decoded:  # the first decoding has consumed it
            self._file = self._open()
        if frame is None:
            try:
                return decode_animation(self._file, limits, self._space, keeps_damaged=self._keeps_damaged)
            except DamagedPicture:
                if not self._keeps_damaged:
                    raise
                self._file, frame = self._open(), 0
        if frame:
            seek(self._file, frame, limits)
        return self._decode_readable() if self._keeps_damaged else self._decode_intact(frame)

    def _decode_intact(self, frame: int) -> Decoded:
        firsts = [
            next(iter(variant.operations), None)
            for variant in self._plan.variants.values()
            if self.frame_of(variant) == frame
        ]
        try:
            return decode_still(self._file, firsts, self._space)
        except DamagedPicture:
            if self.upload.format is not InputFormat.JPEG:
                raise
            # Lossless JPEGs can only be decoded in full.
            return decode_still(self._ended_jpeg(), [None], self._space)

    def _decode_readable(self) -> Decoded:
        with decode_errors_as_picture_errors():
            if load_readable(self._file):
                if self.upload.format is InputFormat.JPEG:
                    self._file = self._ended_jpeg()
                else:
                    self._warn_of_damage()
        return decode_still(self._file, [None], self._space)

    def _ended_jpeg(self) -> Image.Image:
        """Open a JPEG that lacks its end marker as if it had one, if every pixel is there or damage is to be kept."""
        data = self.upload.data
        with decode_errors_as_picture_errors():
            if not jpeg.lacks_only_its_end(data):
                if not self._keeps_damaged:
                    raise DamagedPicture
                self._warn_of_damage()
        return open_image(jpeg.with_end(data), self.upload.format, self._limits)

    def _warn_of_damage(self) -> None:
        warning = "the image data is damaged or truncated; the result shows what could be read"
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _check_checksums(self) -> None:
        try:
            check_checksums(self.upload.data, self.upload.format)
        except DamagedPicture:
            if not self._keeps_damaged:
                raise
            self._warn_of_damage()

    def _frame_count(self, file: Image.Image) -> int:
        return page_count(self.upload.data) if file.format == "TIFF" else getattr(file, "n_frames", 1)
