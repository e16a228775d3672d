"""What Pillow does not read or check in the files of single formats; may import worker.pixels."""
