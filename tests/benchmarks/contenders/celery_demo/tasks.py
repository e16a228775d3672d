"""The demo that Darkroom replaces: the Celery task, Pillow plain."""

import os

from celery import Celery
from PIL import Image

celery_app = Celery("tasks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
celery_app.conf.update(task_track_started=True)


@celery_app.task
def process_image(path, operation):
    image = Image.open(path)
    image = image.convert("L") if operation == "grayscale" else image.resize((100, 100))
    result = f"processed/{os.path.basename(path)}"
    image.save(result)
    return result
