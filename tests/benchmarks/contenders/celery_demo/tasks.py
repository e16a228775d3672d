"""The demo that Darkroom replaces: the Celery task, Pillow plain."""

import os

from celery import Celery
from PIL import Image

celery_app = Celery("tasks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
celery_app.conf.update(task_track_started=True)


@celery_app.task
def process_image(path, operation, width=None, format=None, quality=None):
    image = Image.open(path)
    size = (width, round(image.height * width / image.width)) if width else (100, 100)
    image = image.convert("L") if operation == "grayscale" else image.resize(size)
    result = f"processed/{os.path.basename(path)}"
    if format:
        result += f".{format}"
        image.save(result, quality=quality)
    else:
        image.save(result)
    return result
