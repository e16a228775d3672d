"""The HTTP face's settings: the engine's and its own."""

from typing import Annotated

from msgspec import Meta

from worker import settings as engine


class Settings(engine.Settings, frozen=True, kw_only=True):
    """What the API can be told; read by `worker.settings.read_settings`."""

    max_upload_bytes: Annotated[int, Meta(ge=1, description="Largest picture file in bytes that is taken in.")] = (
        32 * 1024 * 1024
    )
