"""From bytes to pixels and back: plan, decode, render, encode. May import `operations`, `pixels` and `validation`."""
