"""What schemathesis cannot make up: pictures, addresses on this machine, JSON by its schema within a form."""

from typing import Any
from uuid import uuid4

import httpx2
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext, Response

from app.openapi.schemas import FILE
from app.uploads.idempotency import KEY
from tests.support.pictures import drawing, encoded

PICTURES = [encoded(drawing((64, 48)), name) for name in ("JPEG", "PNG", "WEBP", "GIF")]

RIGHT = {
    "url": "http://127.0.0.1:9/photo.jpg",
    "callback_url": "http://127.0.0.1:9/hook?a=b",
    "boxes": '[{"left": 1, "top": 2, "width": 30, "height": 20}]',
    "operations": '[{"operation": "grayscale"}, {"operation": "flip"}]',
    "variants": '{"small": {"operations": [{"operation": "resize", "width": 20}]}, "same": {}}',
}
"""Nothing answers on port 9: nobody is called, and what is fetched from there fails its task."""

schemathesis.openapi.format("binary", st.sampled_from(PICTURES))


@schemathesis.hook
def before_call(context: HookContext, case: "Case[Any]", kwargs: object) -> None:
    """Complete what is meant to be right; what is wrong on purpose stays so."""
    if case.operation.path != "/process-image/":
        return
    is_right = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if case.headers.get(KEY.name) == KEY.example:
        case.headers[KEY.name] = str(uuid4())  # under one key there can be one form
    if isinstance(case.body, dict):
        form: dict[str, Any] = case.body
        form.update({name: PICTURES[0] for name, value in form.items() if value == FILE})
        form.update({name: value for name, value in RIGHT.items() if is_right and name in form})
    case._record_starting_state()  # else what is changed here would make a wrong request count as a right one


@schemathesis.hook
def filter_case(context: HookContext, case: "Case[Any]") -> bool:
    """Leave out forms with blank fields, which count as not given; the schema does not say so of each field."""
    return not (isinstance(case.body, dict) and any(value == "" for value in case.body.values()))


@schemathesis.hook
def after_call(context: HookContext, case: "Case[Any]", response: Response) -> None:
    """Let the workers go on, should they have been told to pause: later requests wait for what they do."""
    if case.operation.path == "/queue/pause" and response.status_code == 200:
        sent = response.request
        key = str(sent.headers["Authorization"])
        httpx2.post(str(sent.url).replace("pause", "resume"), headers={"Authorization": key})
