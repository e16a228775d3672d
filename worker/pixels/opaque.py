"""Colours that must cover what is beneath them."""

from worker.fields import Problem
from worker.pixels.colours import rgba


def translucent_problems(**colours: str) -> list[Problem]:
    """Return a problem for each parameter whose colour is not opaque."""
    return [
        Problem(name, f"'{colour}' is translucent; give a colour without alpha")
        for name, colour in colours.items()
        if rgba(colour)[3] < 255
    ]
