"""The HTTP face's settings: the engine's and its own."""

import re
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from app.keys import Keys
from worker import settings as engine


def _origins(texts: Iterable[str]) -> None:
    """Raise `ValueError` for what no browser sends as `Origin` (RFC 6454, 6.1), which would never match."""
    for text in texts:
        if not re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?", text):
            raise ValueError(text)


def _host_names(texts: Iterable[str]) -> None:
    """Raise `ValueError` for what no `Host` header can name (RFC 9110, 7.2), its port left out."""
    for text in texts:
        if not re.fullmatch(r"\*|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text):
            raise ValueError(text)


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
    api_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Keys without which nothing is answered, as `python -m app.keys NAME` prints them, with commas."
        ),
    ] = ()
    allow_anyone: Annotated[
        bool,
        Meta(
            description="Whether requests from other machines are answered without `API_KEYS`: anyone may do anything."
        ),
    ] = False
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names under which this server is reached beside localhost, with commas; `*` for any. "
            "Needed where there are no `API_KEYS`.",
            extra={
                "allowed": "host names without ports such as images.example.org, with commas, or *",
                "check": _host_names,
            },
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins of web pages elsewhere that may use the API, with commas; `*` for all.",
            extra={"allowed": "origins such as https://example.org, with commas, or *", "check": _origins},
        ),
    ] = ()
    monitor_read_only: Annotated[
        bool, Meta(description="Whether `/monitor` only shows; its sessions change nothing then, keys still do.")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        Keys(self.api_keys)
        if self.only_presets and self.presets_file is None:
            raise engine.InvalidSettings("ONLY_PRESETS: 'true' needs a PRESETS_FILE; without one nothing could be done")
        if self.redirect_downloads and self.storage_url.startswith("file:"):
            raise engine.InvalidSettings(
                "REDIRECT_DOWNLOADS: 'true' needs an object store in STORAGE_URL; a local directory cannot sign URLs"
            )
