"""Lua scripts: atomic changes in Redis. Those of telemetry lie here, those of tasks in `worker/tasks/lua`."""

from importlib import resources


def script(package: str, *names: str) -> str:
    """Return the text of the named scripts of a package's `lua` folder, one after the other."""
    return "".join((resources.files(f"{package}.lua") / f"{name}.lua").read_text() for name in names)
