"""API keys: how they are made, written and read, and how an API is started with them."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from arq.connections import ArqRedis
from starlette.testclient import TestClient

from app.api_settings import Settings
from app.auth.access import is_loopback
from app.keys import Caller, Keys, make_key
from app.main import create_app
from tests.app.standalone.test_local import refusal, running
from tests.conftest import DEADLINE_S, Client, serving
from tests.support.callers import bearer, with_keys
from worker.settings import InvalidSettings, read_settings

HASH = "ab" * 32


def test_a_key_that_was_made_is_known_by_its_entry() -> None:
    key, entry = make_key("web", 5, is_admin=True)
    other, _ = make_key("web", 5, is_admin=True)
    keys = Keys([entry])
    assert keys.caller(key) == Caller("web", is_admin=True, limit=5)
    assert keys.caller(other) is keys.caller("") is keys.caller(entry) is keys.caller(key.swapcase()) is None
    assert re.fullmatch(r"dk_[\w-]{43}", key)


def test_entries_say_name_hash_and_rights() -> None:
    settings = read_settings(Settings, {"API_KEYS": f"a:{HASH}, b:{'cd' * 32}:limit=7:admin,a:{'ef' * 32}"})
    known = [caller for _, caller in Keys(settings.api_keys)._callers]
    assert known == [Caller("a"), Caller("b", is_admin=True, limit=7), Caller("a")], "a name may have several keys"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (HASH, "entry 1 must begin with a name"),
        (f"{HASH}:web", "entry 1 must begin with a name"),
        ("dk_" + "x" * 43, "entry 1 must begin with a name"),
        (f"we b:{HASH}", "entry 1 must begin with a name"),
        (f"web:{HASH},", "entry 2 must begin with a name"),
        ("web:dk_" + "x" * 43, "entry 1 (web) must have a hash of 64 hexadecimal digits"),
        (f"web:{HASH.upper()}", "entry 1 (web) must have a hash"),
        (f"web:{HASH}:root", "entry 1 (web) may have only admin, limit="),
        (f"web:{HASH}:limit=0", "entry 1 (web) may have only admin, limit="),
        (f"web:{HASH},ci:{HASH}", "entry 2 (ci) has the same key as an earlier entry"),
        (f"web:{HASH[1:]},c i", "digits after its name; entry 2 must begin with a name"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_named_and_not_shown(entries: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read_settings(Settings, {"API_KEYS": entries})
    assert str(caught.value).startswith("API_KEYS: ")
    assert said in str(caught.value)
    assert "x" * 5 not in str(caught.value)
    assert HASH[:5] not in str(caught.value).lower()


def make(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.keys", *options], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


async def test_a_key_of_the_command_opens_an_api_that_others_can_reach(tmp_path: Path) -> None:
    printed = make("ops", "--admin", "--limit", "9").stdout
    [key], [entry] = re.findall(r"dk_\S+", printed), re.findall(r"ops:\S+", printed)
    assert entry.endswith(":admin:limit=9")
    with running("--host", "0.0.0.0", "--data-dir", str(tmp_path), API_KEYS=entry) as run:
        assert "curl -H 'Authorization: Bearer <key>' -F file=@photo.jpg" in run.banner
        async with run.client() as client:
            assert (await client.get("/tasks")).status_code == 401
            client.headers["Authorization"] = f"Bearer {key}"
            assert (await client.ended(await client.upload()))["status"] == "SUCCESS"
        assert key not in run.log.read_text()


@pytest.mark.parametrize("options", [("a b",), ("web", "--limit", "0"), ("dk_" + "x" * 43,), ()])
def test_a_key_that_could_not_be_read_is_not_made(options: tuple[str, ...]) -> None:
    done = make(*options)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_not_let_in_unsaid(tmp_path: Path, host: str) -> None:
    said = refusal("--host", host, "--port", "0", "--data-dir", str(tmp_path))
    assert said == (
        f"darkroom: other machines could reach {host}: set API_KEYS (`python -m app.keys NAME` creates one), "
        "or ALLOW_ANYONE=true and ALLOWED_HOSTS to give everyone full access\n"
    )


async def test_other_machines_are_let_in_when_that_is_said_plainly(tmp_path: Path) -> None:
    with running(
        "--host", "0.0.0.0", "--data-dir", str(tmp_path), ALLOW_ANYONE="true", ALLOWED_HOSTS="localhost"
    ) as run:
        async with run.client() as client:
            assert (await client.get("/tasks")).status_code == 200


def test_without_keys_only_this_machine_is_answered(settings: Settings) -> None:
    for host, status in [
        ("127.0.0.1", 200), ("127.8.9.1", 200), ("[::1]", 200), ("192.168.1.5", 403), ("[2001:db8::1]", 403),
    ]:  # fmt: skip
        with TestClient(create_app(settings), base_url=f"http://{host}") as client:
            assert client.get("/operations").status_code == status, host
            assert client.get("/livez").status_code == 200
    named = msgspec.structs.replace(settings, allowed_hosts=("192.168.1.5",))
    with TestClient(create_app(named), base_url="http://192.168.1.5") as client:
        refused = client.post("/process-image/")
    assert refused.headers["content-type"] == "application/problem+json"
    assert "set API_KEYS" in refused.json()["detail"]
    assert "ALLOW_ANYONE=true" in refused.json()["detail"]
    for other in (
        with_keys(settings),
        msgspec.structs.replace(settings, allow_anyone=True, allowed_hosts=("192.168.1.5",)),
    ):
        with TestClient(create_app(other), base_url="http://192.168.1.5", headers=bearer("ops")) as client:
            assert client.get("/operations").status_code == 200


def test_an_address_is_of_this_machine_alone_or_not() -> None:
    for host in ("127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "169.254.1.1", "fe80::1%eth0", "testserver", ""):
        assert not is_loopback(host)


async def test_the_address_is_the_one_that_was_dialled(redis: ArqRedis, settings: Settings) -> None:
    """Of all that the machine has; a Host header says nothing."""
    addresses = [each.address for of in psutil.net_if_addrs().values() for each in of if each.family.name == "AF_INET"]
    async with serving(settings, host="0.0.0.0") as url, Client() as client:
        for address in {*addresses, "127.0.0.1"}:
            there = url.replace("127.0.0.1", address)
            answer = await client.get(f"{there}/operations", headers={"Host": "127.0.0.1"})
            assert answer.status_code == (200 if address.startswith("127.") else 403)
