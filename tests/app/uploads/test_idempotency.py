"""`Idempotency-Key`: whatever breaks off, a request that is sent again makes no second task and no second file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import DEADLINE_S, PHOTO, Client, eventually, problem_fields, serving
from tests.support.pictures import decoded, jpeg

KEY = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
BODY = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n' + PHOTO
    + b'\r\n--x\r\nContent-Disposition: form-data; name="operation"\r\n\r\ngrayscale\r\n--x--\r\n'
)  # fmt: skip
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


async def send(
    client: Client, headers: dict[str, str] = KEY, data: bytes = PHOTO, name: str = "photo.jpg", **fields: Any
) -> httpx2.Response:
    files = {"file": (name, data)}
    return await client.post("/process-image/", files=files, data=fields or {"operation": "grayscale"}, headers=headers)


async def made(redis: ArqRedis) -> int:
    """Return how many tasks have been made."""
    return int(await redis.zcard("tasks:created"))


@asynccontextmanager
async def open_upload(client: Client, headers: dict[str, str] = KEY) -> AsyncIterator[Callable[[], Any]]:
    """Send a form but for its end, and yield what sends that and returns the answer; break off if it is not called."""
    reader, writer = await asyncio.open_connection(str(client.base_url.host), client.base_url.port)
    lines = {**FORM, **headers, "Host": "localhost", "Content-Length": str(len(BODY))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST /process-image/ HTTP/1.1\r\n{head}\r\n".encode() + BODY[:-10])

    async def finish() -> bytes:
        writer.write(BODY[-10:])
        return await asyncio.wait_for(reader.readuntil(b"}"), DEADLINE_S)

    try:
        yield finish
    finally:
        writer.transport.abort()


async def in_flight(client: Client, redis: ArqRedis) -> httpx2.Response:
    """Return the answer to the same key when that has been claimed."""
    await eventually(lambda: redis.keys("idempotency:*"))
    answer = await send(client)
    assert answer.status_code == 409
    return answer


def same(first: httpx2.Response, second: httpx2.Response) -> bool:
    """Whether two answers are the same but for the time and the id of their request."""
    own = {"date": "", "x-request-id": ""}
    heads = [{**each.headers, **own} for each in (first, second)]
    return (first.status_code, heads[0], first.content) == (second.status_code, heads[1], second.content)


async def test_the_same_request_gets_the_first_answer_byte_for_byte_and_leaves_no_file(
    service: Client, redis: ArqRedis, stored: Callable[[], list[str]]
) -> None:
    first = await send(service)
    assert first.status_code == 202
    await service.ended(first.json()["task_id"])
    before = stored()
    for _ in range(3):
        assert same(await send(service), first)
    assert same(await service.post("/process-image", content=BODY, headers=KEY | FORM), first), "another boundary"
    assert await made(redis) == 1
    assert stored() == before
    assert await redis.zcard("uploads") == 0


async def test_the_order_of_the_fields_does_not_matter(api: Client, redis: ArqRedis) -> None:
    first = await send(api, operation="resize", width="50", height="40")
    assert same(await send(api, height="40", width="50", operation="resize"), first)
    assert await made(redis) == 1


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        ({"data": jpeg((90, 60))}, {"operation": "grayscale"}),
        ({"name": "another.jpg"}, {"operation": "grayscale"}),
        ({}, {"operation": "sepia"}),
        ({}, {"operation": "grayscale", "format": "png"}),
        ({}, {"operation": "nonsense"}),
    ],
    ids=["other-bytes", "other-name", "other-value", "one-field-more", "wrong"],
)
async def test_another_request_with_the_key_is_422(
    api: Client, redis: ArqRedis, stored: Callable[[], list[str]], wish: Any, fields: Any
) -> None:
    first = await send(api)
    before = stored()
    refused = await send(api, **wish, **fields)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert "a different request was accepted with this Idempotency-Key" in refused.json()["detail"]
    assert (await made(redis), stored()) == (1, before)
    assert same(await send(api), first)


async def test_a_key_in_flight_is_409_with_a_time_to_come_back(api: Client, redis: ArqRedis) -> None:
    async with open_upload(api) as finish:
        refused = await in_flight(api, redis)
        assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("application/problem+json", "1")
        assert (await send(api, {"Idempotency-Key": '"another"'})).status_code == 202
        answer = await finish()
    repeated = await send(api)
    assert answer.endswith(repeated.content.strip())
    assert await made(redis) == 2


async def test_an_error_is_not_kept_and_the_key_can_be_used_again(api: Client, stored: Callable[[], list[str]]) -> None:
    assert problem_fields(await send(api, operation="nonsense"))
    assert (await send(api, data=b"no picture")).status_code == 415
    assert (await api.post("/process-image/", content=b"--x", headers=KEY | FORM)).status_code == 400
    assert (await api.post("/process-image/", content=b"{}", headers=KEY)).status_code == 400
    first = await send(api)
    assert first.status_code == 202
    assert stored() == [f"uploads/{first.json()['task_id']}"]


async def test_an_upload_that_breaks_off_frees_its_key(api: Client, redis: ArqRedis) -> None:
    async with open_upload(api):
        await in_flight(api, redis)

    async def accepted() -> bool:
        return (await send(api)).status_code == 202

    await eventually(accepted)
    assert await made(redis) == 1


async def test_a_full_queue_frees_the_key_and_still_repeats_what_was_accepted(
    redis: ArqRedis, settings: Settings
) -> None:
    tight = msgspec.structs.replace(settings, queue_limit=1)
    async with serving(tight) as url, Client(base_url=url) as api:
        first = await send(api)
        other = {"Idempotency-Key": '"other"'}
        for _ in range(2):  # found in Redis, then remembered
            assert (await send(api, other)).status_code == 429
        assert same(await send(api), first)
        await api.post(f"/tasks/{first.json()['task_id']}/cancel")

        async def accepted() -> bool:
            return (await send(api, other)).status_code == 202

        await eventually(accepted)
    assert await made(redis) == 2


@pytest.mark.parametrize("key", ['"', '""', "", '"a', 'a"b', "a b", '"a", "b"', "a,b", '"a\\b"', "a" * 256])
async def test_a_key_that_is_none_is_400(api: Client, redis: ArqRedis, key: str) -> None:
    answer = await send(api, {"Idempotency-Key": key})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"].startswith("Idempotency-Key: must be one string of 1 to 255 ASCII characters")
    assert await made(redis) == 0


async def test_two_keys_are_400(api: Client) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a"), *FORM.items()]
    assert (await api.post("/process-image/", content=BODY, headers=headers)).status_code == 400


@pytest.mark.parametrize(
    ("one", "other"),
    [('"a-uuid"', "a-uuid"), ('"say \\"x\\" \\\\"', '"say \\"x\\" \\\\"'), ("b" * 255, f'"{"b" * 255}"')],
)
async def test_a_key_is_the_same_with_quotes_and_without(api: Client, one: str, other: str) -> None:
    first = await send(api, {"Idempotency-Key": one})
    assert first.status_code == 202
    assert same(await send(api, {"Idempotency-Key": other}), first)


async def test_an_answer_is_kept_for_its_time(redis: ArqRedis, settings: Settings) -> None:
    async with serving(msgspec.structs.replace(settings, idempotency_ttl_s=1)) as url, Client(base_url=url) as api:
        first = await send(api)

        async def forgotten() -> bool:
            return not same(await send(api), first)

        await eventually(forgotten)
    assert await made(redis) == 2


async def test_the_time_is_a_day_by_default(api: Client, redis: ArqRedis) -> None:
    await send(api)
    [key] = await redis.keys("idempotency:*")
    assert 86_390 < await redis.ttl(key) <= 86_400


async def test_one_can_wait_on_under_a_key(service: Client, redis: ArqRedis) -> None:
    """A preference is no part of the request: who waited in vain, or never heard, sends the same and waits on."""
    accepted = await send(service)
    waits = KEY | {"Prefer": "wait=20", "Accept": "image/*"}
    pictures = [await send(service, waits) for _ in range(2)]
    assert [answer.status_code for answer in pictures] == [200, 200]
    assert decoded(pictures[0].content).mode == "L"
    assert same(*pictures)
    assert same(await send(service), accepted)
    assert await made(redis) == 1
