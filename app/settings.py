"""The HTTP face's settings: the engine's and its own."""

from typing import Annotated

from msgspec import Meta

from worker import settings as engine


class Settings(engine.Settings, frozen=True, kw_only=True):
    """What the API can be told; read by `worker.settings.read_settings`."""

    max_concurrent_uploads: Annotated[
        int, Meta(ge=1, description="Uploads received at once, about 10 MB of memory each; more wait their turn.")
    ] = 32
    presets_file: Annotated[str, Meta(description="TOML file of presets, read once at the start.")] | None = None
    only_presets: Annotated[
        bool, Meta(description="Whether uploads must name a preset, and nothing else of what is to be done.")
    ] = False
    idempotency_ttl_s: Annotated[
        int,
        Meta(
            ge=1,
            le=315_360_000,
            description="Seconds for which an answer is kept under its `Idempotency-Key`, to be given again.",
        ),
    ] = 86_400
    redirect_downloads: Annotated[
        bool,
        Meta(description="Whether downloads are sent on to signed URLs of the object store, past the API."),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.only_presets and self.presets_file is None:
            raise engine.InvalidSettings("ONLY_PRESETS: 'true' needs a PRESETS_FILE; without one nothing could be done")
        if self.redirect_downloads and self.storage_url.startswith("file:"):
            raise engine.InvalidSettings(
                "REDIRECT_DOWNLOADS: 'true' needs an object store in STORAGE_URL; a local directory cannot sign URLs"
            )
