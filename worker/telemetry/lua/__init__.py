"""Lua scripts: atomic changes in Redis. This folder has those of telemetry, `worker/tasks/lua` those of tasks."""

from importlib import resources
from typing import Any

import msgspec
from redis.asyncio import Redis

ARGUMENTS = "local args = cmsgpack.unpack(ARGV[1])\n"
"""The first line of each script, which decodes the arguments."""

_encode = msgspec.msgpack.Encoder().encode


class Script:
    """A Lua script whose arguments have names: it gets them as one MessagePack map in `ARGV[1]`."""

    def __init__(self, redis: Redis, package: str, *names: str) -> None:
        """Join the named files of the package's `lua` folder to one script; Redis loads it at the first call."""
        folder = resources.files(f"{package}.lua")
        texts = [(folder / f"{name}.lua").read_text() for name in names]
        self._run = redis.register_script(ARGUMENTS + "".join(texts))

    async def __call__(self, keys: list[str], **args: Any) -> Any:
        """Run the script. None is nil in Lua; bytes must be UTF-8 and numbers below 2^53, as Lua's are doubles."""
        # Redis' decoder knows no binary type.
        texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in args.items()}
        return await self._run(keys=keys, args=[_encode(texts)])
