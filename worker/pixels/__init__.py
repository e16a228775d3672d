"""What operations share: geometry, modes, colors, text. May import `validation`."""
