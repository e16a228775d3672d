"""The settings of the API, which include those of the worker."""

import re
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from app.keys import Keys
from worker import settings as engine


def _origins(texts: Iterable[str]) -> None:
    """Raise `ValueError` for text that is not an origin as browsers send it (RFC 6454, 6.1)."""
    for text in texts:
        if not re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?", text):
            raise ValueError(text)


def _host_names(texts: Iterable[str]) -> None:
    """Raise `ValueError` for text that is not a host name or IP address without a port (RFC 9110, 7.2)."""
    for text in texts:
        if not re.fullmatch(r"\*|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text):
            raise ValueError(text)


class Settings(engine.Settings, frozen=True, kw_only=True):
    """Settings of the API, in addition to those of the worker."""

    redis_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Time in seconds to wait for a reply from Redis, twice, before a request gets 503.",
        ),
    ] = 0.9
    max_concurrent_uploads: Annotated[
        int,
        Meta(
            ge=1,
            description="Number of uploads received at the same time, each with about 10 MB of memory; others wait.",
        ),
    ] = 32
    presets_file: Annotated[str, Meta(description="TOML file with presets, read at start.")] | None = None
    only_presets: Annotated[
        bool, Meta(description="Whether uploads must use a preset and no other operation fields.")
    ] = False
    idempotency_ttl_s: Annotated[
        int,
        Meta(
            ge=1,
            le=315_360_000,
            description="Time in seconds for which an `Idempotency-Key` is remembered.",
        ),
    ] = 86_400
    reuse_results: Annotated[
        bool,
        Meta(
            description=(
                "Whether tasks get the results of equal ones of the same API key, unless their `reuse` is false."
            )
        ),
    ] = False
    redirect_downloads: Annotated[
        bool,
        Meta(description="Whether downloads are redirected to signed URLs of the object store."),
    ] = False
    api_keys: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "API keys required from clients, comma-separated entries as `python -m app.keys NAME` prints them."
            )
        ),
    ] = ()
    allow_anyone: Annotated[
        bool,
        Meta(description="Whether to serve other machines without `API_KEYS`, which gives everyone full access."),
    ] = False
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Host names of this server besides localhost, comma-separated; `*` for any. "
                "Required with `ALLOW_ANYONE`, and to serve other names without `API_KEYS`."
            ),
            extra={
                "allowed": "host names without ports such as images.example.org, comma-separated, or *",
                "check": _host_names,
            },
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins of web pages that may use the API (CORS), comma-separated; `*` for all.",
            extra={"allowed": "origins such as https://example.org, comma-separated, or *", "check": _origins},
        ),
    ] = ()
    monitor_read_only: Annotated[
        bool, Meta(description="Whether sessions of `/monitor` are read-only; API keys keep their rights.")
    ] = False

    max_batch: Annotated[int, Meta(ge=1, le=5000, description="Maximum number of images in a batch.")] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        Keys(self.api_keys)
        if self.allow_anyone and not (self.api_keys or self.allowed_hosts):
            raise engine.InvalidSettings(
                "ALLOWED_HOSTS: ALLOW_ANYONE=true without API_KEYS needs the host names of this server, such as "
                "localhost or images.example.org; * accepts any, also those that a web page elsewhere points here"
            )
        if self.only_presets and self.presets_file is None:
            raise engine.InvalidSettings("ONLY_PRESETS: 'true' needs PRESETS_FILE")
        if self.redirect_downloads and self.storage_url.startswith("file:"):
            raise engine.InvalidSettings(
                "REDIRECT_DOWNLOADS: 'true' needs an object store in STORAGE_URL; a local directory cannot sign URLs"
            )
