"""The demo that Darkroom replaces, as a reader of its README would write it: the API."""

import os
import uuid

from celery.result import AsyncResult
from fastapi import FastAPI, Form, HTTPException, UploadFile
from tasks import celery_app, process_image

app = FastAPI()
os.makedirs("uploads", exist_ok=True)
os.makedirs("processed", exist_ok=True)


@app.post("/process-image/")
async def start_processing(
    file: UploadFile,
    operation: str = Form(...),
    width: int | None = Form(None),  # the demo has these three neither; ten sizes need them
    format: str | None = Form(None),
    quality: int | None = Form(None),
):
    if operation not in ("grayscale", "resize"):
        raise HTTPException(status_code=400, detail="Invalid operation")
    path = f"uploads/{uuid.uuid4()}-{file.filename}"
    with open(path, "wb") as upload:
        upload.write(await file.read())
    task = process_image.delay(path, operation, width, format, quality)
    return {"task_id": task.id, "message": "Image processing started"}


@app.get("/task-status/{task_id}")
async def task_status(task_id: str):
    result = AsyncResult(task_id, app=celery_app)
    if result.state == "SUCCESS":
        return {"task_id": task_id, "status": "SUCCESS", "result": result.result}
    return {"task_id": task_id, "status": result.state}


@app.get("/task-result/{task_id}")
async def task_result(task_id: str):
    result = AsyncResult(task_id, app=celery_app)
    if result.state != "SUCCESS":
        raise HTTPException(status_code=404, detail="Task not completed")
    return {"task_id": task_id, "processed_image": result.result}
