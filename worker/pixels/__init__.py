"""Code that operations share: geometry, modes, colors, text. May import `validation`."""
