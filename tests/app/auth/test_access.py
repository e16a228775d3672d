"""Who may do what, over HTTP: each route as nobody, as somebody else, as the owner and as an admin."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from arq.connections import ArqRedis
from starlette.routing import Route

from app.api_settings import Settings
from app.routes import make_routes
from tests.app.tasks.test_events import first
from tests.conftest import DEADLINE_S, PHOTO, Client, environment, eventually, working
from tests.support.callers import MADE, NOBODY, callers, callers_at, with_keys
from tests.worker.tasks.test_listing import listed
from worker.storage import Storage
from worker.tasks.status import Status
from worker.tasks.store import Tasks

OPEN, SIGNED_IN, OWN, ADMINS = (200, 200, 200, 200), (401, 200, 200, 200), (401, 404, 200, 200), (401, 403, 403, 200)

DECISIONS: dict[tuple[str, str], tuple[int, int, int, int]] = {
    # As nobody, as somebody else, as the owner, as an admin.
    ("GET", "/"): OPEN,
    ("POST", "/process-image/"): (401, 202, 202, 202),
    ("POST", "/process-image"): (401, 202, 202, 202),
    ("GET", "/uploads/{upload_id}"): OWN,
    ("PATCH", "/uploads/{upload_id}"): (401, 404, 204, 204),
    ("DELETE", "/uploads/{upload_id}"): (401, 404, 204, 204),
    ("GET", "/task-status/{task_id}"): OWN,
    ("GET", "/task-result/{task_id}"): OWN,
    ("GET", "/processed/{task_id}/{name}"): OWN,
    ("GET", "/tasks"): SIGNED_IN,
    ("GET", "/tasks/{task_id}/upload"): OWN,
    ("GET", "/tasks/{task_id}/thumbnail"): (401, 404, 404, 404),  # the result here is no image
    ("GET", "/tasks/{task_id}"): OWN,
    ("DELETE", "/tasks/{task_id}"): (401, 404, 204, 204),
    ("POST", "/tasks/{task_id}/cancel"): OWN,
    ("POST", "/tasks/{task_id}/retry"): (401, 404, 202, 202),
    ("POST", "/tasks/{task_id}/webhook"): (401, 404, 409, 409),  # there is none
    ("POST", "/tasks/{task_id}/link"): OWN,
    ("GET", "/tasks/{task_id}/timeline"): OWN,
    ("POST", "/tasks/retry"): (401, 422, 422, 422),
    ("POST", "/tasks/delete"): (401, 422, 422, 422),
    ("GET", "/tasks/{task_id}/events"): OWN,
    ("POST", "/batches"): (401, 202, 202, 202),
    ("GET", "/batches/{batch_id}"): OWN,
    ("DELETE", "/batches/{batch_id}"): (401, 404, 204, 204),
    ("POST", "/batches/{batch_id}/cancel"): OWN,
    ("POST", "/batches/{batch_id}/retry"): OWN,
    ("GET", "/batches/{batch_id}/events"): OWN,
    ("GET", "/batches/{batch_id}/result.zip"): OWN,
    ("GET", "/events"): SIGNED_IN,
    ("GET", "/queue"): ADMINS,
    ("POST", "/queue/pause"): ADMINS,
    ("POST", "/queue/resume"): ADMINS,
    ("GET", "/session"): OPEN,
    ("POST", "/session"): (403, 403, 403, 403),  # there is no key in it
    ("DELETE", "/session"): (204, 204, 204, 204),  # there need not be one
    ("GET", "/monitor"): OPEN,
    ("GET", "/static/{name}"): OPEN,
    ("GET", "/operations"): OPEN,
    ("GET", "/presets"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/postman.json"): OPEN,
    ("GET", "/llms.txt"): OPEN,
    ("GET", "/metrics"): ADMINS,
    ("GET", "/failures"): SIGNED_IN,
    ("GET", "/stats"): ADMINS,
    ("GET", "/workers"): ADMINS,
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): (503, 503, 503, 503),  # there is no worker
}
"""A new route stands here too, or the next test fails."""

STATES = {"cancel": Status.PENDING, "retry": Status.REVOKED}
"""In which a task is for a route to work, by the route's last word; else it has ended well."""

FORM: dict[str, Any] = {"files": {"file": ("photo.jpg", PHOTO)}, "data": {"operation": "grayscale"}}


@pytest.fixture
async def by_name(redis: ArqRedis, settings: Settings) -> AsyncIterator[Mapping[str, Client]]:
    async with callers(settings) as clients:
        yield clients


def test_every_route_is_decided_on() -> None:
    found = {
        (method, route.path_format) for route in make_routes() for method in (route.methods or ()) if method != "HEAD"
    }
    assert all(isinstance(route, Route) for route in make_routes())
    assert found == set(DECISIONS)


@pytest.mark.parametrize(("method", "path"), DECISIONS)
async def test_a_route_answers_those_who_may(
    by_name: Mapping[str, Client], tasks: Tasks, storage: Storage, method: str, path: str
) -> None:
    body = FORM if path.startswith("/process-image") or path == "/batches" else {}
    for name, expected in zip((NOBODY, "bob", "ann", "ops"), DECISIONS[method, path], strict=True):
        task_id = await by_name["ann"].upload()
        status = STATES.get(path.rpartition("/")[2], Status.SUCCESS)
        if status is not Status.PENDING:
            await tasks.move(task_id, Status.STARTED)
            await tasks.move(task_id, status)
            await storage.put_bytes(f"processed/{task_id}/photo.jpg", b"result")
        file = "shared/base.css" if path.startswith("/static") else "photo.jpg"
        batch_id = await ended_batch(by_name["ann"], tasks) if "batch_id" in path else ""
        upload_id = await begun_upload(by_name["ann"]) if "upload_id" in path else ""
        body = APPENDED if method == "PATCH" else body
        url = path.format(task_id=task_id, name=file, batch_id=batch_id, upload_id=upload_id)
        async with by_name[name].stream(method, url, **body) as answer:
            assert answer.status_code == expected, name
            if expected == 401:
                assert answer.headers["www-authenticate"] == 'Bearer realm="darkroom"'
                assert answer.headers["content-type"] == "application/problem+json"
        assert (await tasks.get(task_id)).owner == "ann" if expected != 204 else True
        await by_name["ops"].post(f"/tasks/{task_id}/cancel")


APPENDED = {"headers": {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?0"}}


async def begun_upload(client: Client) -> str:
    answer = await client.post("/process-image/", headers={"Upload-Complete": "?0"})
    return answer.headers["location"].rpartition("/")[2]


async def ended_batch(client: Client, tasks: Tasks) -> str:
    batch = (await client.post("/batches", **FORM)).json()
    await tasks.move(batch["task_ids"][0], Status.REVOKED)
    return str(batch["batch_id"])


async def test_what_is_somebody_elses_looks_like_what_is_not(by_name: Mapping[str, Client]) -> None:
    task_id = await by_name["ann"].upload()
    unknown = "f8a5d96e-ff1f-4d9d-bc67-b1c6b9dbec1f"
    for path in ("/tasks/{}", "/task-status/{}", "/processed/{}/photo.jpg", "/tasks/{}/events"):
        theirs, none = [await by_name["bob"].get(path.format(each)) for each in (task_id, unknown)]
        assert theirs.text.replace(task_id, unknown) == none.text
        assert theirs.status_code == none.status_code == 404
    async with asyncio.timeout(5):  # long before the wait is over
        waited = await by_name["bob"].get(f"/task-status/{task_id}", headers={"Prefer": "wait=60"})
    assert waited.status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer nonsense",
        "Basic dXNlcjpwYXNz",
        "Bearer {key}x",
        "Bearer {key} x",
        "{key}",
        "bearer ü",
    ],
)
async def test_a_key_that_is_not_known_is_refused_as_its_standard_says(
    by_name: Mapping[str, Client], header: str
) -> None:
    given = header.format(key=MADE["ann"][0])
    answer = await by_name[NOBODY].get("/tasks", headers=[(b"Authorization", given.encode())])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="darkroom", error="invalid_token"'
    assert MADE["ann"][0] not in answer.text
    accepted = await by_name[NOBODY].get("/tasks", headers={"Authorization": f"bEARER  {MADE['ann'][0]}"})
    assert accepted.status_code == 200


async def test_paths_that_are_no_routes_need_a_key_too(by_name: Mapping[str, Client]) -> None:
    for path in ("/nothing", "/livez/", "/processed/a/b/c?signature=x", "/Livez"):
        assert (await by_name[NOBODY].get(path)).status_code in (401, 404), path
    assert (await by_name[NOBODY].get("/nothing")).status_code == 401
    assert (await by_name["bob"].get("/nothing")).status_code == 404


async def test_what_is_for_admins_is_said_to_be(by_name: Mapping[str, Client]) -> None:
    refused = await by_name["bob"].get("/metrics")
    assert refused.headers["www-authenticate"].endswith('error="insufficient_scope"')
    assert refused.json()["detail"] == "this requires an API key with the admin right"


async def test_one_lists_ones_own_and_an_admin_all(by_name: Mapping[str, Client], tasks: Tasks) -> None:
    own: dict[str, list[str]] = {"ann": [], "bob": []}
    for name in ("ann", "bob", "ann", "bob"):
        own[name].insert(0, await by_name[name].upload())
        await asyncio.sleep(0.002)  # lists go by the millisecond
    await tasks.move(own["ann"][1], Status.REVOKED)
    for name in ("ann", "bob"):
        for query in ("", "?limit=1", "?operation=grayscale", f"?owner={name}"):
            assert await listed(by_name[name], f"/tasks{query}") == own[name]
        assert await listed(by_name["ops"], f"/tasks?owner={name}&operation=grayscale") == own[name]
    assert await listed(by_name["ann"], "/tasks?status=REVOKED") == own["ann"][1:]
    assert await listed(by_name["bob"], "/tasks?status=REVOKED") == []
    assert await listed(by_name["ops"], "/tasks?owner=ann&status=PENDING,STARTED") == own["ann"][:1]
    assert set(await listed(by_name["ops"])) == {*own["ann"], *own["bob"]}
    assert (await by_name["bob"].get("/tasks?owner=ann")).status_code == 403
    [record] = (await by_name["ops"].get("/tasks?limit=1")).json()["tasks"]
    assert record["owner"] == "bob"


async def test_one_hears_of_ones_own_tasks_and_an_admin_of_all(by_name: Mapping[str, Client], tasks: Tasks) -> None:
    before = await by_name["ann"].upload()
    hearing = {
        name: asyncio.create_task(heard(by_name[name], count)) for name, count in (("ann", 3), ("bob", 2), ("ops", 5))
    }
    theirs = await by_name["bob"].upload()
    for task_id in (theirs, before):
        await tasks.move(task_id, Status.STARTED)
    later = await by_name["ann"].upload()
    async with asyncio.timeout(DEADLINE_S):
        assert await hearing["ann"] == [before, before, later]
        assert await hearing["bob"] == [theirs, theirs]
        assert await hearing["ops"] == [before, theirs, theirs, before, later]


async def heard(client: Client, count: int) -> list[str]:
    """Return whose the events are, those missed and those that come."""
    async with aclosing(first(client, "/events", count, **{"Last-Event-ID": "0"})) as stream:
        return [data["task_id"] async for _, data, _ in stream]


async def test_a_key_has_so_many_tasks_waiting_and_no_more(by_name: Mapping[str, Client], tasks: Tasks) -> None:
    """Ann may have 3, of 12 that come at once; nobody else is held up by it."""
    answers = await asyncio.gather(*(by_name["ann"].post("/process-image/", **FORM) for _ in range(12)))
    accepted = [answer.json()["task_id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(accepted), len(refused)) == (3, 9)
    assert refused[0].headers["retry-after"] == "30"
    assert refused[0].json()["detail"] == "this API key already has 3 waiting tasks, its limit; try again in 30 s"
    await by_name["bob"].upload()

    ended, *_ = accepted
    await by_name["ann"].post(f"/tasks/{ended}/cancel")

    async def has_room() -> bool:
        return (await by_name["ann"].post("/process-image/", **FORM)).status_code == 202

    await eventually(has_room)
    assert (await by_name["ann"].post(f"/tasks/{ended}/retry")).status_code == 429
    assert (await tasks.get(ended)).status is Status.REVOKED
    assert (await by_name["ops"].post(f"/tasks/{ended}/retry")).status_code == 202


async def test_an_idempotency_key_is_ones_own(by_name: Mapping[str, Client]) -> None:
    headers = {"Idempotency-Key": "same"}
    ids = [
        (await by_name[name].post("/process-image/", **FORM, headers=headers)).json()["task_id"]
        for name in ("ann", "bob", "ann")
    ]
    assert ids[0] == ids[2] != ids[1]


async def test_what_runs_or_was_handed_back_counts_as_what_it_is(by_name: Mapping[str, Client], tasks: Tasks) -> None:
    ids = [await by_name["ann"].upload() for _ in range(3)]
    await tasks.begin(1)
    await by_name["ann"].upload()
    await tasks.move(ids[0], Status.PENDING)  # a stopping worker is never refused
    assert (await by_name["ann"].post("/process-image/", **FORM)).status_code == 429


async def test_nothing_is_left_of_an_owners_tasks_when_they_are_gone(
    redis: ArqRedis, by_name: Mapping[str, Client], tasks: Tasks
) -> None:
    """Deleted, or expired together with what says whose they were."""
    deleted, expired = [await by_name["ann"].upload() for _ in range(2)]
    await by_name["ann"].delete(f"/tasks/{deleted}")
    await tasks.move(expired, Status.REVOKED)
    await redis.delete(f"task:{expired}")
    assert await redis.zcard("tasks:created:ann") == 1
    await tasks.delete(expired)
    assert {key.decode() for key in await redis.keys("tasks:*")} == {"tasks:events"}


async def test_tasks_without_an_owner_are_an_admins(redis: ArqRedis, api: Client, settings: Settings) -> None:
    task_id = await api.upload()
    async with callers(settings) as by_name:
        assert (await by_name["ann"].get(f"/tasks/{task_id}")).status_code == 404
        assert (await by_name["ops"].get(f"/tasks/{task_id}")).json()["owner"] is None


async def test_no_secret_is_ever_logged(
    redis: ArqRedis, settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """In this process at every level, and in one of its own with uvicorn's log of requests."""
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "app.server", "--port", "0", "--log-level", "debug"]
    with log.open("w") as output:
        api = psutil.Popen(command, env=environment(with_keys(settings)), stdout=output, stderr=output)
    try:
        there = await eventually(lambda: url_in(log))
        async with working(settings), callers(settings) as here, callers_at(there) as elsewhere:
            signatures = [await session(here), await session(elsewhere)]
    finally:
        api.terminate()
        api.wait(DEADLINE_S)
    ours = "\n".join(
        f"{record.getMessage()} {record.exc_text}" for record in caplog.records if not record.name.startswith("http")
    )
    assert "GET /processed/" in log.read_text()
    for text in (ours, log.read_text()):
        for secret in (*signatures, "dk_", *(entry.split(":")[1] for _, entry in MADE.values())):
            assert secret not in text


async def url_in(log: Path) -> str | None:
    found = [word for word in log.read_text().split() if word.startswith("http://127.0.0.1:")]
    return found[0] if found else None


async def session(by_name: Mapping[str, Client]) -> str:
    """Do what there is to do, right and wrong; return the signature that was given."""
    task_id = await by_name["ann"].upload()
    await by_name["ann"].ended(task_id)
    link = (await by_name["ann"].post(f"/tasks/{task_id}/link")).json()["url"]
    assert (await by_name[NOBODY].get(link)).status_code == 200
    assert (await by_name[NOBODY].get(link + "x")).status_code == 403
    wrong = {"Authorization": MADE["bob"][0]}
    for path in ("/tasks", f"/tasks/{task_id}", link.partition("?")[0]):
        assert (await by_name[NOBODY].get(path, headers=wrong)).status_code == 401
    await by_name["bob"].post("/process-image/", content=json.dumps({"key": MADE["bob"][0]}))
    return str(httpx2.URL(link).params["signature"])
