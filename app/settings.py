"""The HTTP face's settings: the engine's and its own."""

from typing import Annotated

from msgspec import Meta

from worker import settings as engine


class Settings(engine.Settings, frozen=True, kw_only=True):
    """What the API can be told; read by `worker.settings.read_settings`."""

    max_upload_bytes: Annotated[int, Meta(ge=1, description="Largest picture file in bytes that is taken in.")] = (
        32 * 1024 * 1024
    )
    max_concurrent_uploads: Annotated[
        int, Meta(ge=1, description="Uploads received at once, about 10 MB of memory each; more wait their turn.")
    ] = 32
    upload_timeout_s: Annotated[
        float, Meta(gt=0, description="Longest time in seconds for one upload to arrive; it gets 408 after that.")
    ] = 120.0
