"""An API with keys, and clients of it who differ in theirs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from app.api_settings import Settings
from app.keys import make_key
from tests.conftest import Client, serving

MADE = {
    "ann": make_key("ann", 3, is_admin=False),
    "bob": make_key("bob", None, is_admin=False),
    "ops": make_key("ops", None, is_admin=True),
}
"""Name -> key and entry."""

NOBODY = "nobody"


def with_keys(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, api_keys=tuple(entry for _, entry in MADE.values()))


def bearer(name: str) -> dict[str, str]:
    return {} if name == NOBODY else {"Authorization": f"Bearer {MADE[name][0]}"}


@asynccontextmanager
async def callers(settings: Settings) -> AsyncIterator[Mapping[str, Client]]:
    """Serve with keys; yield a client for each of `MADE`, and `NOBODY`."""
    async with serving(with_keys(settings)) as url, callers_at(url) as by_name:
        yield by_name


@asynccontextmanager
async def callers_at(url: str) -> AsyncIterator[Mapping[str, Client]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(Client(base_url=url, headers=bearer(name)))
            for name in (NOBODY, *MADE)
        }
