"""What a client asks for: which outputs, each with its operations and its form. `worker.imaging.parsing` reads it."""

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from worker.imaging.formats import InputFormat, OutputFormat
from worker.operations import AnyOperation
from worker.pixels.colors import Color, translucent_problems
from worker.validation.fields import Problem

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[("keep", *(choice.value for choice in OutputFormat))]

_DEFAULT_QUALITIES = ", ".join(
    f"{choice.default_quality} for {choice.value}" for choice in OutputFormat if choice.default_quality is not None
)

_KEPT_AS = ", ".join(
    f"{source.value} becomes {source.default_output.value}"
    for source in InputFormat
    if source.value != source.default_output.value
)


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a result is written."""

    format: Annotated[FormatName, Meta(description=f"Format of the result; keep is the upload's own ({_KEPT_AS}).")] = (
        "keep"
    )
    quality: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100,
                description=f"Encoder quality: the more, the better and larger. Not given: {_DEFAULT_QUALITIES}.",
            ),
        ]
        | None
    ) = None
    lossless: Annotated[bool, Meta(description="Whether WebP keeps every pixel as it is; PNG and TIFF always do.")] = (
        False
    )
    progressive: (
        Annotated[
            bool,
            Meta(
                description=(
                    "Whether a JPEG appears in passes: some 4 % smaller, slower to write. "
                    "Not given: up to 640 x 480 pixels."
                )
            ),
        ]
        | None
    ) = None
    effort: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=9,
                description=(
                    "How hard the PNG, WebP or AVIF encoder tries to make the file small: 1 is the fastest, 9 the "
                    "smallest. Not given: a little."
                ),
            ),
        ]
        | None
    ) = None
    max_bytes: (
        Annotated[
            int,
            Meta(
                ge=1,
                description=(
                    "Largest size of the file in bytes: the best quality that fits is looked for, from `quality` "
                    "downwards where that is given; the task fails if none does."
                ),
            ),
        ]
        | None
    ) = None
    metadata: Annotated[
        Literal["strip", "keep", "copyright"],
        Meta(
            description=(
                "strip leaves out Exif and XMP, which tell camera, place and author; keep keeps them, but for "
                "thumbnails, the notes that makers leave in a form of their own, and the orientation, which is "
                "applied; copyright keeps the Exif fields Artist and Copyright."
            )
        ),
    ] = "strip"
    colorspace: Annotated[
        Literal["keep", "srgb"],
        Meta(
            description=(
                "keep leaves the colors and their ICC profile as they are, where the format can hold them; "
                "srgb converts them to sRGB, which every screen understands without a profile."
            )
        ),
    ] = "keep"
    background: Annotated[
        Color,
        Meta(
            description=(
                "Color under a transparent picture in a format without transparency, where it may not be translucent."
            )
        ),
    ] = "white"
    frame: (
        Annotated[
            int,
            Meta(
                ge=0,
                description=(
                    "The one frame or page to take, counted from 0. Not given: the whole animation where the format "
                    "can hold it, else the first frame."
                ),
            ),
        ]
        | None
    ) = None

    def target(self, source: InputFormat | None) -> OutputFormat:
        """Return the format of the result; raises `TypeError` when it depends on a source that is not known yet."""
        if self.format != "keep":
            return _OUTPUT_FORMATS[self.format]
        if source is None:
            raise TypeError("the upload's format is not known")
        return source.default_output

    def problems(self, source: InputFormat | None) -> list[Problem]:
        """Return a problem for each option that is given and that the format, if it is known, does not have."""
        if source is None and self.format == "keep":
            return []
        target = self.target(source)
        specific = frozenset[str]().union(*(choice.options for choice in OutputFormat))
        problems = [
            Problem(name, f"{target.value} has none; leave it out or choose another format")
            for name in self.__struct_fields__
            if name in specific - target.options and getattr(self, name) != _DEFAULTS[name]
        ]
        if target is OutputFormat.JPEG:  # elsewhere it may be meant for an operation of the same form
            problems += translucent_problems(background=self.background)
        if self.lossless and self.quality is not None:
            problems.append(Problem("quality", "a lossless picture has none; give one of the two"))
        return problems


_OUTPUT_FORMATS = {choice.value: choice for choice in OutputFormat}

_DEFAULTS = {name: getattr(Output(), name) for name in Output.__struct_fields__}


class Variant(Struct, frozen=True):
    """One result: operations in order, then its form."""

    operations: tuple[AnyOperation, ...]
    output: Output

    @property
    def is_report(self) -> bool:
        """Whether the result is JSON."""
        return bool(self.operations) and self.operations[-1].is_report

    def problems(self, source: InputFormat | None) -> list[Problem]:
        """Return what does not go together in its form; a report has none."""
        return [] if self.is_report else self.output.problems(source)

    def extension(self, source: InputFormat) -> str:
        return "json" if self.is_report else self.output.target(source).extension

    def media_type(self, source: InputFormat | None) -> str:
        return "application/json" if self.is_report else self.output.target(source).media_type

    def takes_all_frames(self, source: InputFormat) -> bool:
        """Whether an animation stays one."""
        return self.output.frame is None and not self.is_report and self.output.target(source).is_animated


class Plan(Struct, frozen=True):
    """The validated request: what to make of an upload."""

    variants: dict[str, Variant]
    """By name; the name of an only one that was given none is empty."""

    @property
    def is_named(self) -> bool:
        return "" not in self.variants

    @property
    def step_count(self) -> int:
        """How many operations there are, and outputs to store."""
        return sum(len(variant.operations) + 1 for variant in self.variants.values())

    @property
    def uses_overlay(self) -> bool:
        return any(step.uses_overlay for variant in self.variants.values() for step in variant.operations)
