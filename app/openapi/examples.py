"""Example tasks, whose views are the examples of the documentation."""

import msgspec

from app.tasks.views import DeliveryAttempt, Webhook, task_record, task_status
from worker.errors import ErrorCode
from worker.imaging.formats import InputFormat
from worker.imaging.plan import Output, Plan, Variant
from worker.operations import OPERATIONS
from worker.tasks.model import OutputRecord, Spec, Task
from worker.tasks.status import Status
from worker.webhooks.messages import State

TASK_ID = "3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e"
BATCH_ID = "8d0f6f0e-9c0c-4f0a-b0a2-3a1f7f2a9b11"
MESSAGE_ID = "msg_0b6d8f3a5c7e4d21a9f0c3b2e1d4a5f6"
REQUEST_ID = "5d3c0f3e9b1f4c6f8a2d7e6b5c4a3f21"
CALLBACK_URL = "https://example.com/hook"

_AT_MS = 1_772_366_400_000
"""2026-03-01T12:00:00Z."""

_SMALL = Variant((OPERATIONS["resize"](width=400),), Output(format="webp"))
_LARGE = Variant((), Output(format="avif", quality=50))

_OUTPUT = OutputRecord(
    path=f"processed/{TASK_ID}/photo.webp",
    format="webp",
    bytes=18_244,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    width=400,
    height=300,
    frames=1,
)


def _task(plan: Plan, status: Status, **others: object) -> Task:
    spec = Spec(
        plan, InputFormat.JPEG, "photo", name="photo.jpg", bytes=1_204_118, size=(4000, 3000), request_id=REQUEST_ID
    )
    fields = {"id": TASK_ID, "spec_json": msgspec.json.encode(spec), "status": status}
    return msgspec.convert(
        {**fields, "created_ms": _AT_MS, "queued_ms": _AT_MS, **others}, Task, builtin_types=(bytes,)
    )


_ONE, _TWO = Plan({"": _SMALL}), Plan({"small": _SMALL, "large": _LARGE})
_BEGUN = {"attempt": 1, "worker": "host:17", "started_ms": _AT_MS + 12}
_ENDED = {**_BEGUN, "ended_ms": _AT_MS + 61}

WAITING = _task(_ONE, Status.PENDING)
RUNNING = _task(_ONE, Status.STARTED, **_BEGUN)
DONE = _task(
    _ONE,
    Status.SUCCESS,
    **_ENDED,
    progress=1,
    phases="0.0004 0.011 0.006 0.019 0.0007",
    outputs_json=msgspec.json.encode({"": _OUTPUT}),
)
DONE_TWICE = _task(_TWO, Status.SUCCESS, **_ENDED)
FAILED = _task(
    _ONE, Status.FAILURE, **_ENDED, error="the image data is damaged or truncated", error_code=ErrorCode.DAMAGED
)
REVOKED = _task(_ONE, Status.REVOKED, ended_ms=_AT_MS + 40)

STATUSES = {
    "waiting": task_status(WAITING),
    "running": task_status(RUNNING),
    "done": task_status(DONE),
    "variants": task_status(DONE_TWICE),
    "failed": task_status(FAILED),
    "revoked": task_status(REVOKED),
}

_WEBHOOK = Webhook(CALLBACK_URL, MESSAGE_ID, State.DELIVERED, [DeliveryAttempt("2026-03-01T12:00:00.064Z", 112, 204)])

RECORDS = {
    "waiting": task_record(WAITING, 3),
    "done": task_record(DONE, None, _WEBHOOK),
}
