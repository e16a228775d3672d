"""What is wrong with a picture."""


class PictureError(Exception):
    """The picture cannot be processed; the text is a sentence for the person who sent it."""
