"""The Lua scripts: each changes in one step what no other client may see half-changed."""

from importlib import resources


def source(*names: str) -> str:
    """Return the text of one script after the other."""
    return "".join(resources.files("worker").joinpath(f"{name}.lua").read_text() for name in names)
