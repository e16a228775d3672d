"""The folders of the Postman collection: which requests it has, in an order in which all of them can be sent.

Each route that is in the OpenAPI document is in `FOLDERS` or in `LEFT_OUT`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.http.description import NOTHING
from app.openapi.postman import scripts

ONCE = {"Idempotency-Key": "{{$guid}}"}
"""A new key for each request; Postman replaces `{{$guid}}` by a UUID."""

ADMIN = (200, 403)
"""Statuses of requests that need an admin key: 403 with other keys."""


class Step(Struct, frozen=True):
    """A request of the collection and what is tested of its response."""

    name: str
    route: str
    """The `operationId` of its route."""
    statuses: Sequence[int] = (200,)
    scripts: Sequence[str] = ()
    """What runs after the response, besides the test of its status."""
    headers: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    fields: Mapping[str, str] = NOTHING
    """Fields of the form besides those of its example."""
    body: Any = None
    """The body, a text or JSON, instead of a form."""
    has_file_body: bool = False
    """Whether the body is a file instead of a form."""
    has_query_fields: bool = False
    """Whether the fields of the form are in the query, because the body is the image or comes later."""
    needs_key: bool = True


class Folder(Struct, frozen=True):
    """A folder of the collection."""

    name: str
    description: str
    steps: Sequence[Step]
    example: str = ""
    """The beginning of the name of the form's example that its uploads have; without such an example, no folder."""


UPLOAD = Step("Upload", "process_image", (202,), (scripts.KEEP_TASK,), ONCE)

STATUS = Step("Status", "task_status", (200,), (scripts.SUCCEEDED,), {"Prefer": "wait=60"})

DOWNLOAD = Step("Download", "output", scripts=(scripts.has_type("image/"),))

FOLDERS = (
    Folder(
        "Process an image",
        "Upload an image, wait for its task, fetch the result. Choose a file in the field `file` of *Upload*; without "
        "one, a small picture is sent. *Status* waits until the task has ended.",
        (
            UPLOAD,
            STATUS,
            Step("Result", "task_result", scripts=(scripts.has_type("image/"),), headers={"Accept": "image/*"}),
            Step("Result as JSON", "task_result", scripts=(scripts.contains("processed_image"),)),
            DOWNLOAD,
            Step("Link", "link", scripts=(scripts.KEEP_LINK,)),
            Step(
                "Download by link",
                "output",
                scripts=(scripts.has_type("image/"),),
                query={"expires": "{{expires}}", "signature": "{{signature}}"},
                needs_key=False,
            ),
        ),
    ),
    Folder(
        "Plain body",
        "The body of the request is the image, and the fields are in the query. Choose a file, or none.",
        (
            Step(
                "Upload file",
                "process_image",
                (202,),
                (scripts.KEEP_TASK,),
                {"Content-Type": "application/octet-stream", **ONCE},
                has_file_body=True,
                has_query_fields=True,
            ),
            STATUS,
            DOWNLOAD,
        ),
    ),
    Folder(
        "Task",
        "What is known of the last task. *Events* is a stream that ends with the task; *Send webhook again* is 409 for "
        "a task without a `callback_url`.",
        (
            Step("Record", "record", scripts=(scripts.contains("created_at"),)),
            Step("Original", "original", (200, 410)),
            Step("Thumbnail", "thumbnail", scripts=(scripts.has_type("image/webp"),)),
            Step("Timeline", "timeline", scripts=(scripts.contains("queued"),)),
            Step("Events", "task_events", scripts=(scripts.contains("event: ended"),)),
            Step("Send webhook again", "resend", (202, 409)),
            Step("Tasks", "list_tasks", scripts=(scripts.contains("task_id"),), query={"limit": "10"}),
        ),
    ),
    Folder(
        "Variants",
        "Several results of one upload, which is decoded once.",
        (UPLOAD, STATUS, DOWNLOAD),
        example="several results",
    ),
    Folder(
        "Preset",
        "The operations and the output of a preset, which the operator of the server has defined.",
        (UPLOAD, STATUS, DOWNLOAD),
        example="preset ",
    ),
    Folder(
        "Earlier upload",
        "The upload of the last task once more, without sending it again; 410 if the server does not keep uploads.",
        (
            Step(
                "Upload by source",
                "process_image",
                (202, 410),
                (scripts.KEEP_TASK,),
                ONCE,
                fields={"source": "{{task_id}}"},
            ),
            STATUS,
        ),
    ),
    Folder(
        "Resumable upload",
        "An upload in several requests, which can go on after a broken connection. *Continue* sends a file: choose "
        "one, or none.",
        (
            Step(
                "Begin",
                "process_image",
                (201,),
                (scripts.KEEP_UPLOAD,),
                {"Upload-Complete": "?0", "Content-Type": "application/octet-stream"},
                has_query_fields=True,
            ),
            Step("Offset", "upload", scripts=(scripts.contains('"offset":0'),)),
            Step(
                "Continue",
                "continue_upload",
                (202,),
                (scripts.KEEP_TASK,),
                {"Upload-Complete": "?1", "Upload-Offset": "0", "Content-Type": "application/partial-upload"},
                has_file_body=True,
            ),
            STATUS,
            Step("Delete upload", "delete_upload", (204,)),
        ),
    ),
    Folder(
        "Batch",
        "Many images in one request, and their results as a ZIP archive. Choose several files in the field `file`, or "
        "none. *Batch events* is a stream that ends with the batch. Retries and deletions concern only this batch.",
        (
            Step("Upload batch", "create_batch", (202,), (scripts.KEEP_BATCH,), ONCE),
            Step("Batch events", "batch_events", scripts=(scripts.contains("event: completed"),)),
            Step("Batch", "batch", scripts=(scripts.COMPLETED,)),
            Step("Archive", "batch_archive", scripts=(scripts.has_type("application/zip"),)),
            Step("Retry batch", "retry_batch"),
            Step("Retry tasks", "retry_tasks", query={"status": "FAILURE", "batch": "{{batch_id}}"}),
            Step("Cancel batch", "cancel_batch"),
            Step("Delete tasks", "delete_tasks", query={"status": "REVOKED", "batch": "{{batch_id}}"}),
            Step("Delete batch", "delete_batch", (204,)),
        ),
    ),
    Folder(
        "Control",
        "Cancel, retry and delete a task that would start tomorrow.",
        (
            Step(
                "Upload for tomorrow",
                "process_image",
                (202,),
                (scripts.KEEP_TASK,),
                ONCE,
                # A task with the results of an earlier one has ended at once, and cannot be cancelled.
                fields={"start_at": "{{tomorrow}}", "reuse": "false"},
            ),
            Step("Cancel", "cancel", scripts=(scripts.REVOKED,)),
            Step("Retry", "retry", (202, 410)),
            Step("Status", "task_status", headers={"Prefer": "wait=60"}),
            Step("Delete", "delete", (204,)),
        ),
    ),
    Folder(
        "Catalog",
        "The operations with their parameters, and the presets of the server.",
        (Step("Operations", "operations", scripts=(scripts.contains('"operations"'),)), Step("Presets", "presets")),
    ),
    Folder(
        "Monitoring",
        "With API keys, these requests but *Failures* need one with the admin right, and are 403 with others. Pausing "
        "the queue (`POST /queue/pause`, `POST /queue/resume`) is left out: it would stop the tasks of everyone.",
        (
            Step("Queue", "queue", ADMIN),
            Step("Workers", "list_workers", ADMIN),
            Step("Statistics", "statistics", ADMIN),
            Step("Failures", "failures", scripts=(scripts.contains('"groups"'),)),
            Step("Metrics", "metrics", ADMIN),
        ),
    ),
    Folder(
        "Session",
        "The sessions of the monitor. *Sign in* is 403 without an admin key in `apiKey`.",
        (
            Step("Sign in", "sign_in", ADMIN, (scripts.KEEP_CSRF_TOKEN,), body={"key": "{{apiKey}}"}),
            Step("Session", "session", scripts=(scripts.contains("needs_key"),)),
            Step("Sign out", "sign_out", (204,), headers={"X-CSRF-Token": "{{csrf_token}}"}),
        ),
    ),
    Folder(
        "Documentation",
        "The description of the API for programs and people. It needs no API key.",
        (
            Step("OpenAPI", "openapi", scripts=(scripts.contains("openapi"),)),
            Step("Reference", "docs", scripts=(scripts.has_type("text/html"),)),
            Step("Postman", "postman", scripts=(scripts.contains("schema.getpostman.com"),)),
            Step("For language models", "llms", scripts=(scripts.contains("# Darkroom"),)),
        ),
    ),
    Folder("Health", "Checks for load balancers.", (Step("Live", "livez"), Step("Ready", "readyz"))),
)

LEFT_OUT = {
    "all_events": "The stream of all tasks has no end, and a run of the collection would wait for it.",
    "pause_queue": "It would stop the tasks of everyone.",
    "resume_queue": "It would resume a queue that an operator has paused.",
}
"""`operationId` -> why the collection has no request for the route."""
