"""The plan of a task: its variants with their operations and output, as parsed by `worker.imaging.parsing`."""

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, structs

from worker.imaging.formats import WITHOUT_PROFILES, WRITABLE, InputFormat, OutputFormat
from worker.operations import AnyOperation
from worker.pixels.colors import Color, translucent_problems
from worker.validation.fields import Problem

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[("keep", "auto", *(choice.value for choice in WRITABLE))]

_DEFAULT_QUALITIES = ", ".join(
    f"{choice.default_quality} for {choice.value}" for choice in WRITABLE if choice.default_quality
)

_CONVERTED = [source for source in InputFormat if source.value != source.default_output.value]
_KEPT_AS = ", ".join(f"{source.value} becomes {source.default_output.value}" for source in _CONVERTED)

AUTO_FORMATS = (OutputFormat.AVIF, OutputFormat.WEBP, OutputFormat.JPEG, OutputFormat.PNG)
"""The formats that `format=auto` may choose."""

_ALL_OF_AUTO = ", ".join(choice.value for choice in AUTO_FORMATS)
_ONE_OF_AUTO = "|".join(choice.value for choice in AUTO_FORMATS)

AUTO_EXTENSION = "img"
"""File extension of a result whose format is not yet known."""


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The output parameters of a result."""

    format: Annotated[
        FormatName,
        Meta(
            description=(
                f"Format of the result; keep is the format of the upload ({_KEPT_AS}); auto encodes the image at "
                "about the same quality in each format of `accept` that can hold its transparency and animation, and "
                "takes the smallest file."
            )
        ),
    ] = "keep"
    quality: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100,
                description=f"Encoder quality; higher values give larger files. Default: {_DEFAULT_QUALITIES}.",
            ),
        ]
        | None
    ) = None
    subsampling: Annotated[
        Literal["auto", "444", "422", "420"],
        Meta(
            description=(
                "Chroma subsampling of JPEG and AVIF: 444 keeps the resolution of colors, which matters for text and "
                "sharp edges, 420 halves it in both directions. Default: 444 from a quality of 90, otherwise 420."
            )
        ),
    ] = "auto"
    lossless: Annotated[
        bool, Meta(description="Whether WebP or JPEG XL is lossless; PNG, TIFF and JPEG 2000 always are.")
    ] = False
    progressive: (
        Annotated[
            bool,
            Meta(
                description=(
                    "Whether a JPEG is progressive: about 4 % smaller, slower to encode. "
                    "Default: true up to 640 x 480 pixels."
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
                    "Effort of the PNG, WebP, AVIF or JPEG XL encoder to make the file small: 1 is the fastest, 9 the "
                    "smallest. Default: a low effort. Large AVIF images take the effort that fits into a minute."
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
                le=2**31 - 1,
                description=(
                    "Maximum size of the file in bytes: the best quality that fits is chosen, at most `quality` if "
                    "that is set; the task fails if none fits."
                ),
            ),
        ]
        | None
    ) = None
    accept: (
        Annotated[
            str,
            Meta(
                pattern=rf"^(?:{_ONE_OF_AUTO})(?:,(?:{_ONE_OF_AUTO})){{0,{len(AUTO_FORMATS) - 1}}}$",
                description=f"Formats that auto chooses from, comma-separated. Default: {_ALL_OF_AUTO}.",
                examples=["webp,jpeg"],
                extra={"allowed": f"one or more of {_ALL_OF_AUTO}, comma-separated"},
            ),
        ]
        | None
    ) = None
    metadata: Annotated[
        Literal["strip", "keep", "copyright", "none"],
        Meta(
            description=(
                "strip removes Exif, XMP and IPTC data, which contain camera, place and author, except for the marking "
                "of images made by AI (DigitalSourceType); none removes that too; copyright keeps authors and rights; "
                "keep keeps all but thumbnails, maker notes and the orientation, which is applied."
            )
        ),
    ] = "strip"
    hdr: Annotated[
        Literal["drop", "keep"],
        Meta(
            description=(
                "keep preserves the gain map of an Ultra HDR JPEG in a JPEG with colorspace=keep and without "
                "max_bytes, through resize, crop, flip and rotate by multiples of 90 degrees; otherwise the output "
                "has a warning."
            )
        ),
    ] = "drop"
    dpi: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=65_535,
                description=(
                    "Resolution for printing in pixels per inch, which JPEG, PNG and TIFF can state. Default: that of "
                    "the upload with metadata=keep, otherwise none."
                ),
            ),
        ]
        | None
    ) = None
    colorspace: Annotated[
        Literal["keep", "srgb", "p3"],
        Meta(
            description=(
                "keep does not change the colors and their ICC profile, if the format supports them; srgb converts "
                "them to sRGB, which needs no profile; p3 to Display P3, which GIF, JPEG 2000 and JPEG XL cannot hold."
            )
        ),
    ] = "keep"
    background: Annotated[
        Color,
        Meta(description=("Background color of a transparent image in a format without transparency; must be opaque.")),
    ] = "white"
    on_damage: Annotated[
        Literal["refuse", "keep"],
        Meta(
            description=(
                "What to do with an image that is damaged or truncated: refuse fails the task; keep uses what can be "
                "read, and adds an entry to the warnings of the output. The rest is black, gray or transparent. An "
                "animation ends before its first damaged frame."
            )
        ),
    ] = "refuse"
    frame: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**31 - 1,
                description=(
                    "Number of a single frame or page, from 0. Default: the whole animation if the format supports it, "
                    "otherwise the first frame."
                ),
            ),
        ]
        | None
    ) = None

    @property
    def is_auto(self) -> bool:
        return self.format == "auto"

    def targets(self, source: InputFormat | None) -> tuple[OutputFormat, ...]:
        """Return the possible formats of the result; raise `TypeError` if they depend on an unknown source."""
        if self.is_auto:
            if self.accept is None:
                return AUTO_FORMATS
            return tuple(_OUTPUT_FORMATS[name] for name in dict.fromkeys(self.accept.split(",")))
        if self.format != "keep":
            return (_OUTPUT_FORMATS[self.format],)
        if source is None:
            raise TypeError("the upload's format is not known")
        return (source.default_output,)

    def for_format(self, target: OutputFormat) -> "Output":
        """Return the options for one of the possible formats, at about the same quality as for the others."""
        if not self.is_auto:
            return self
        unsupported = {name: _DEFAULTS[name] for name in _SPECIFIC - target.options}
        output = structs.replace(self, **unsupported, format=target.value, accept=None)
        if self.quality is None or target.default_quality is None:
            return output
        usual = OutputFormat.JPEG.default_quality or 0
        return structs.replace(output, quality=max(1, round(self.quality * target.default_quality / usual)))

    def problems(self, source: InputFormat | None) -> list[Problem]:
        """Return a problem for each option that is set but not supported by the format, if that is known."""
        problems = []
        if self.accept is not None and not self.is_auto:
            problems.append(Problem("accept", "needs format=auto"))
        if self.lossless and self.quality is not None:
            problems.append(Problem("quality", "cannot be combined with lossless=true; set one of the two"))
        if source is None and self.format == "keep":
            return problems
        targets = self.targets(source)
        lacking = _SPECIFIC.difference(*(target.options for target in targets))
        unsupported = f"is not supported by {targets[0].value}; omit it or choose another format"
        changed = [name for name in self.__struct_fields__ if getattr(self, name) != _DEFAULTS[name]]
        problems += [Problem(name, unsupported) for name in changed if name in lacking]
        if targets == (OutputFormat.JPEG,):  # otherwise it may apply to an operation of the same form
            problems += translucent_problems(background=self.background)
        if self.colorspace == "p3" and WITHOUT_PROFILES.issuperset(targets):
            problems.append(Problem("colorspace", f"p3 {unsupported}"))
        return problems


_OUTPUT_FORMATS = {choice.value: choice for choice in OutputFormat}

_SPECIFIC = frozenset[str]().union(*(choice.options for choice in OutputFormat))
"""Names of the options that not all formats have."""

_DEFAULTS = {name: getattr(Output(), name) for name in Output.__struct_fields__}


class Variant(Struct, frozen=True):
    """A result: its operations in order, and its output parameters."""

    operations: tuple[AnyOperation, ...]
    output: Output

    @property
    def is_report(self) -> bool:
        """Whether the result is JSON."""
        return bool(self.operations) and self.operations[-1].is_report

    def problems(self, source: InputFormat | None) -> list[Problem]:
        """Return the problems of the output parameters, which a report does not have."""
        return [] if self.is_report else self.output.problems(source)

    def extension(self, source: InputFormat) -> str:
        if self.is_report:
            return "json"
        return AUTO_EXTENSION if self.output.is_auto else self.output.targets(source)[0].extension

    def media_type(self, source: InputFormat | None) -> str:
        """Return the media type of the result, or image/* if it is not known before."""
        if self.is_report:
            return "application/json"
        return "image/*" if self.output.is_auto or source is None else self.output.targets(source)[0].media_type

    def takes_all_frames(self, source: InputFormat) -> bool:
        """Whether an animation stays an animation."""
        if self.output.frame is not None or self.is_report:
            return False
        return any(target.is_animated for target in self.output.targets(source))


class Plan(Struct, frozen=True):
    """The validated request: the variants to create from an upload."""

    variants: dict[str, Variant]
    """Variants by name; the name of a single unnamed variant is empty."""

    @property
    def is_named(self) -> bool:
        return "" not in self.variants

    @property
    def step_count(self) -> int:
        """Number of operations and outputs, for the progress."""
        return sum(len(variant.operations) + 1 for variant in self.variants.values())

    @property
    def uses_overlay(self) -> bool:
        return any(step.uses_overlay for variant in self.variants.values() for step in variant.operations)
