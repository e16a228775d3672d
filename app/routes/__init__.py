"""The HTTP routes, one module for each resource."""

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import Route

from app.routes.batches.batch import batch, cancel_batch, create_batch, delete_batch, retry_batch
from app.routes.batches.batch_archive import batch_archive
from app.routes.batches.batch_events import batch_events
from app.routes.bulk import delete_tasks, retry_tasks
from app.routes.catalog import operations, presets
from app.routes.event_streams import all_events, task_events
from app.routes.failure_groups import failures
from app.routes.health import livez, readyz
from app.routes.monitoring import list_workers, metrics, statistics
from app.routes.pages import PAGES, docs, llms, openapi, postman
from app.routes.process_image import continue_upload, delete_upload, process_image, upload
from app.routes.queue_control import pause_queue, queue, resume_queue
from app.routes.results import link, output
from app.routes.session import session, sign_in, sign_out
from app.routes.task import cancel, delete, record, resend, retry, task_result, task_status, timeline
from app.routes.task_images import original, thumbnail
from app.routes.task_lists import list_tasks


class _TaskId(StringConvertor):
    """Convertor of task ids in paths, which excludes other routes such as `/tasks/retry`."""

    regex = "(?!(?:retry|delete)$)[^/]+"


def make_routes() -> list[Route]:
    """Return all routes; registers the convertor of task ids with Starlette."""
    register_url_convertor("task_id", _TaskId())
    return [
        *PAGES,
        Route("/process-image/", process_image, methods=["POST"]),
        # A redirect to the path with a slash would lose the upload: clients change it to GET, or do not follow it.
        Route("/process-image", process_image, methods=["POST"], include_in_schema=False),
        Route("/uploads/{upload_id}", upload),
        Route("/uploads/{upload_id}", continue_upload, methods=["PATCH"]),
        Route("/uploads/{upload_id}", delete_upload, methods=["DELETE"]),
        Route("/task-status/{task_id}", task_status),
        Route("/task-result/{task_id}", task_result),
        Route("/processed/{task_id}/{name}", output),
        Route("/tasks", list_tasks),
        Route("/tasks/retry", retry_tasks, methods=["POST"]),
        Route("/tasks/delete", delete_tasks, methods=["POST"]),
        Route("/tasks/{task_id:task_id}", record),
        Route("/tasks/{task_id:task_id}", delete, methods=["DELETE"]),
        Route("/tasks/{task_id}/cancel", cancel, methods=["POST"]),
        Route("/tasks/{task_id}/retry", retry, methods=["POST"]),
        Route("/tasks/{task_id}/upload", original),
        Route("/tasks/{task_id}/thumbnail", thumbnail),
        Route("/tasks/{task_id}/link", link, methods=["POST"]),
        Route("/tasks/{task_id}/events", task_events),
        Route("/tasks/{task_id}/timeline", timeline),
        Route("/tasks/{task_id}/webhook", resend, methods=["POST"]),
        Route("/batches", create_batch, methods=["POST"]),
        Route("/batches/{batch_id}", batch),
        Route("/batches/{batch_id}", delete_batch, methods=["DELETE"]),
        Route("/batches/{batch_id}/cancel", cancel_batch, methods=["POST"]),
        Route("/batches/{batch_id}/retry", retry_batch, methods=["POST"]),
        Route("/batches/{batch_id}/events", batch_events),
        Route("/batches/{batch_id}/result.zip", batch_archive),
        Route("/events", all_events),
        Route("/operations", operations),
        Route("/presets", presets),
        Route("/metrics", metrics),
        Route("/stats", statistics),
        Route("/failures", failures),
        Route("/queue", queue),
        Route("/queue/pause", pause_queue, methods=["POST"]),
        Route("/queue/resume", resume_queue, methods=["POST"]),
        Route("/workers", list_workers),
        Route("/session", session),
        Route("/session", sign_in, methods=["POST"]),
        Route("/session", sign_out, methods=["DELETE"]),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        Route("/postman.json", postman),
        Route("/llms.txt", llms),
        Route("/livez", livez),
        Route("/readyz", readyz),
    ]
