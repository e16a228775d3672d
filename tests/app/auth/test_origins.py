"""Which Host and which Origin an API accepts, header by header; tests/browser/test_other_origins uses a browser."""

import msgspec
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.conftest import Client, serving
from tests.support.callers import bearer, with_keys
from tests.support.sockets import answer_to
from worker.settings import InvalidSettings, read_settings

EVIL = "http://evil.example"

OWN_HOSTS = ["localhost", "localhost:8000", "LOCALHOST.", "127.0.0.1", "127.9.8.7:80", "[::1]", "[::1]:8000"]
OTHER_HOSTS = [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
    "192.168.1.5", "0.0.0.0", "[fe80::1]", "localhost:8000:80", "localhost evil.example", "", "[::1",
    "é.example", "x" * 5000,
]  # fmt: skip

CHANGES = [
    ("POST", "/process-image/"), ("POST", "/queue/pause"), ("POST", "/tasks/retry?status=FAILURE"),
    ("DELETE", "/tasks/3f0c5e4e-7d0b-4c55-9d0e-5a0f6b1c2d3e"), ("DELETE", "/session"), ("POST", "/session"),
    ("PUT", "/queue"),
]  # fmt: skip

FOREIGN = [
    {"Origin": EVIL}, {"Origin": "null"}, {"Origin": "http://localhost:3000"}, {"Origin": "https://{host}.evil.example"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": ""},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"}, {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
]  # fmt: skip

OWN = [
    {}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, {"Origin": "http://{host}"},
    {"Origin": "https://{host}"},
]  # fmt: skip


def filled(headers: dict[str, str], client: Client) -> dict[str, str]:
    host = f"{client.base_url.host}:{client.base_url.port}"
    return {name: value.format(host=host) for name, value in headers.items()}


@pytest.mark.parametrize("is_open", [False, True])
async def test_without_keys_only_names_of_this_machine_are_answered(
    redis: ArqRedis, settings: Settings, *, is_open: bool
) -> None:
    """`ALLOW_ANYONE=true`, as in compose.yaml, opens addresses, not names."""
    settings = msgspec.structs.replace(settings, allow_anyone=is_open, allowed_hosts=("localhost",) if is_open else ())
    async with serving(settings) as url, Client(base_url=url) as client:
        for host in OWN_HOSTS:
            assert (await client.get("/tasks", headers={"Host": host})).status_code == 200, host
        task_id = await client.upload()
        for host in OTHER_HOSTS:
            headers = [(b"Host", host.encode())]
            for method, path in (("GET", "/tasks"), ("GET", "/"), ("GET", "/metrics"), ("DELETE", f"/tasks/{task_id}")):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 403, (host, path)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["type"] == "/docs#host-not-allowed"
                assert "ALLOWED_HOSTS" in answer.json()["detail"]
            assert (
                await client.get("/livez", headers=headers)
            ).status_code == 200  # a probe by the container's address
        assert (await client.get(f"/tasks/{task_id}")).status_code == 200
        for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n", b"Host: localhost\r\nHost: localhost\r\n"):
            raw = await answer_to(url, b"GET /tasks HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n")
            assert raw.startswith(b"HTTP/1.1 400 ")
            assert b"exactly one Host header" in raw


def test_a_server_that_anyone_may_use_must_name_its_hosts() -> None:
    with pytest.raises(
        InvalidSettings, match=r"^ALLOWED_HOSTS: ALLOW_ANYONE=true without API_KEYS needs the host names"
    ):
        read_settings(Settings, {"ALLOW_ANYONE": "true"})
    for hosts in ("localhost", "*"):
        read_settings(Settings, {"ALLOW_ANYONE": "true", "ALLOWED_HOSTS": hosts})


async def test_a_redirect_to_the_path_with_or_without_its_last_slash_names_no_host(
    redis: ArqRedis, settings: Settings
) -> None:
    async with serving(with_keys(settings)) as url, Client(base_url=url, headers=bearer("ops")) as client:
        for path, place in (
            ("/tasks/?status=FAILURE", "/tasks?status=FAILURE"),
            ("/task-status/x/", "/task-status/x"),
            ("/docs/", "/docs"),
        ):
            answer = await client.get(path, headers={"Host": "evil.example"})
            assert (answer.status_code, answer.headers["location"]) == (307, place)
        for path in ("//evil.example", "//evil.example/", "/nothing/", "/task-status/"):
            assert (await client.get(f"{url}{path}")).status_code == 404


async def test_an_authorization_header_may_end_with_spaces(redis: ArqRedis, settings: Settings) -> None:
    async with serving(with_keys(settings)) as url:
        key = bearer("ops")["Authorization"]
        head = f"GET /tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {key} \t\r\n\r\n"
        assert (await answer_to(url, head.encode())).startswith(b"HTTP/1.1 200 ")


async def test_allowed_hosts_are_answered_too(redis: ArqRedis, settings: Settings) -> None:
    for allowed, other in ((("images.example.org", "10.0.0.7", "[fd00::1]"), 403), (("*",), 200)):
        for known in (settings, with_keys(settings)):
            own = msgspec.structs.replace(known, allowed_hosts=allowed)
            async with serving(own) as url, Client(base_url=url, headers=bearer("ops")) as client:
                for host in ("images.example.org", "Images.Example.ORG:443", "10.0.0.7:80", "[fd00::1]:8", "localhost"):
                    assert (await client.get("/tasks", headers={"Host": host})).status_code == 200
                assert (await client.get("/tasks", headers={"Host": "evil.example"})).status_code == other


async def test_with_keys_any_host_is_answered_unless_some_are_set(redis: ArqRedis, settings: Settings) -> None:
    async with serving(with_keys(settings)) as url, Client(base_url=url, headers=bearer("ops")) as client:
        for host in ("images.example.org", "10.0.0.7:8000"):
            assert (await client.get("/tasks", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
async def test_a_change_that_another_origin_asks_for_is_refused(api: Client, change: tuple[str, str]) -> None:
    for headers in FOREIGN:
        answer = await api.request(*change, headers=filled(headers, api))
        assert answer.status_code == 403, headers
        assert answer.json()["type"] == "/docs#foreign-origin"
        assert "CORS_ORIGINS" in answer.json()["detail"]
    for headers in OWN:
        answer = await api.request(*change, headers=filled(headers, api))
        assert "foreign-origin" not in answer.text, headers


async def test_reads_are_answered_whatever_the_origin(api: Client) -> None:
    """Links and images on other pages; without CORS headers scripts there read nothing of it."""
    for headers in FOREIGN:
        answer = await api.get("/tasks", headers=filled(headers, api))
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_origins_of_cors_may_change_things(redis: ArqRedis, settings: Settings) -> None:
    for origins, other in ((("https://pages.example",), 403), (("*",), 200)):
        async with (
            serving(msgspec.structs.replace(settings, cors_origins=origins)) as url,
            Client(base_url=url) as client,
        ):
            for origin, status in (("https://pages.example", 200), (EVIL, other), ("null", other)):
                answer = await client.post("/queue/pause", headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
                assert answer.status_code == status, (origins, origin)


async def test_a_key_is_proof_enough_and_a_cookie_is_none(redis: ArqRedis, settings: Settings) -> None:
    async with serving(with_keys(settings)) as url, Client(base_url=url) as client:
        headers = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/queue/pause", headers={**headers, **bearer("ops")})).status_code == 200
        assert (await client.post("/session", headers=headers, json={"key": "x"})).json()[
            "type"
        ] == "/docs#foreign-origin"
        await client.post("/session", json={"key": bearer("ops")["Authorization"].removeprefix("Bearer ")})
        token = {"X-CSRF-Token": client.cookies["darkroom_csrf"]}
        assert (await client.post("/queue/pause", headers=token)).status_code == 200
        assert (await client.post("/queue/pause", headers={**headers, **token})).status_code == 403


@pytest.mark.parametrize(
    "wrong", ["a.example:8000", "http://a.example", "a.example/x", "a b", "[::1]:80", "::1", "*.a.example"]
)
def test_what_is_no_host_name_stops_the_start(wrong: str) -> None:
    with pytest.raises(InvalidSettings, match=r"ALLOWED_HOSTS: must be host names without ports .*; got "):
        read_settings(Settings, {"ALLOWED_HOSTS": f"good.example, {wrong}"})
    assert read_settings(Settings, {"ALLOWED_HOSTS": "a.example, [fd00::1],10.0.0.1"}).allowed_hosts[1] == "[fd00::1]"
