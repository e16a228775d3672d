"""Lua scripts that change tasks; `_common.lua` comes before each of them."""
