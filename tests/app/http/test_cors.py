"""Pages of other origins: what a browser lets them send and read."""

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import Client
from tests.support.callers import NOBODY, callers
from worker.settings import InvalidSettings, read_settings

PAGE = "https://pages.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,last-event-id,prefer,x-request-id",
}


async def test_pages_of_the_origins_that_are_set_may_use_the_api(redis: ArqRedis, settings: Settings) -> None:
    """A browser asks first, and without the key."""
    open_to = msgspec.structs.replace(settings, cors_origins=(PAGE, "http://localhost:3000"))
    async with callers(open_to) as by_name:
        asked = await by_name[NOBODY].options("/process-image/", headers=PREFLIGHT)
        assert asked.status_code == 200, asked.text
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert {"DELETE", "GET", "POST"} <= set(asked.headers["access-control-allow-methods"].split(", "))
        assert "access-control-allow-credentials" not in asked.headers
        for name, status in (("ann", 200), (NOBODY, 401)):
            answer = await by_name[name].get("/tasks", headers={"Origin": PAGE})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
            readable = answer.headers["access-control-expose-headers"]
            for header in ("Location", "Retry-After", "Link", "Preference-Applied", "ETag", "X-Request-ID"):
                assert header in readable
        elsewhere = {**PREFLIGHT, "Origin": "https://other.example"}
        assert (await by_name[NOBODY].options("/process-image/", headers=elsewhere)).status_code == 400
        answer = await by_name["ann"].get("/tasks", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in answer.headers


async def test_without_origins_no_page_is_told_anything(api: Client) -> None:
    for answer in (
        await api.options("/process-image/", headers=PREFLIGHT),
        await api.get("/tasks", headers={"Origin": PAGE}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_an_origin_that_no_browser_sends_is_refused() -> None:
    allowed = "https://a.example,http://127.0.0.1:3000, http://[::1]:3000"
    assert read_settings(Settings, {"CORS_ORIGINS": allowed}).cors_origins[2] == "http://[::1]:3000"
    assert read_settings(Settings, {"CORS_ORIGINS": "*"}).cors_origins == ("*",)
    for wrong in ("example.org", "https://a.example/", "https://a.example/page", "https://A.example", "https://*.a"):
        with pytest.raises(InvalidSettings, match=r"CORS_ORIGINS: must be origins such as .*; got "):
            read_settings(Settings, {"CORS_ORIGINS": wrong})
