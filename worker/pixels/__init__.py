"""What operations have in common: sizes and places, modes and colours, letters. It knows no operation and no file."""
