"""Nothing that a client names leads to this machine or its network, unless OUTBOUND_ALLOW opens it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import httpx2
import pytest
import trustme

from tests.support.receiver import Answer, receiving
from worker.outbound.client import MAX_REDIRECTS, Refused, Resolver, check_url, is_public, outbound_client
from worker.settings import InvalidSettings, Settings, read_settings

LOOPBACK = ("127.0.0.0/8",)

FORBIDDEN = {
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1", "fec0::1"],
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254"],
    "CGNAT": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "192.88.99.1", "4000::1", "5f00::1", "100::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "IPv4-translated": ["::ffff:0:127.0.0.1"],
    "6to4": ["2002:7f00:1::1", "2002:a00:1::1", "2002:808:808::1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::1"],
    "Teredo": ["2001::1", "2001:0:53aa:64c:0:0:80ff:fffe"],
    "ISATAP": ["2606:4700::5efe:7f00:1", "2606:4700::200:5efe:10.0.0.1", "fe80::5efe:a00:1"],
    "ORCHID": ["2001:10::1", "2001:20::1"],
}

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.20.0.0",
    "198.17.255.255", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001:801::200e", "2001:4860:4860::8888",
    "2606:4700::5efd:7f00:1", "2003::1",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FORBIDDEN.items() for text in texts])
def test_an_address_that_is_not_public_is_refused_before_anything_is_dialled(kind: str, text: str) -> None:
    assert not is_public(ip_address(text)), kind
    host = f"[{text}]" if ":" in text else text
    for url in (f"http://{host}/a.jpg", f"https://{host}:8443"):
        with pytest.raises(Refused, match="is not on the public Internet"):
            check_url(url, ())
        check_url(url, [text])


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_none_of_those(text: str) -> None:
    assert is_public(ip_address(text))
    check_url(f"http://[{text}]/" if ":" in text else f"http://{text}/", ())


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.1", "127.0.0.1.", "0"])
def test_loopback_is_recognized_however_it_is_written(host: str) -> None:
    with pytest.raises(Refused, match="is not on the public Internet"):
        check_url(f"http://{host}/", ())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/a.jpg", "must begin with http:// or https://"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("gopher://example.com", "must begin with http:// or https://"),
        ("//example.com/a.jpg", "must begin with http:// or https://"),
        ("example.com/a.jpg", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
        ("http://", "must have a valid host"),
        ("http:///a.jpg", "must have a valid host"),
        ("http://example.com:0/", "must have a valid host and port"),
        ("http://example.com:65536/", "must have a valid host and port"),
        ("http://example.com:x/", "is not a valid URL"),
        ("http://exa mple.com/", "must have a valid host and port"),
        ("http://[fe80::1%25eth0]/", "must have a valid host and port"),
        ("http://user@example.com/", "must not contain a user name or password"),
        ("http://user:secret@example.com/", "must not contain a user name or password"),
        ("http://example.com/\r\nX: y", "is not a valid URL"),
        ("http://example.com/" + "a" * 2030, "must have at most 2,048 characters; got 2,049"),
    ],
)
def test_what_is_no_address_of_the_web_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        check_url(url, ())


def naming(*answers: str | list[str]) -> Resolver:
    """Resolve every name to the first answer, the next time to the next, and to the last one for ever."""
    left = list(answers)

    async def resolve(_: str, __: int) -> list[str]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [found] if isinstance(found, str) else found

    return resolve


@asynccontextmanager
async def client(*allow: str, resolve: Resolver | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    made = outbound_client(allow) if resolve is None else outbound_client(allow, resolve)
    async with made:
        yield made


@pytest.mark.parametrize("text", [texts[0] for texts in FORBIDDEN.values()])
async def test_a_name_that_resolves_to_such_an_address_is_refused_as_it_is_dialled(text: str) -> None:
    async with client(resolve=naming(text)) as http:
        with pytest.raises(Refused, match=r"^leads to pictures\.example, which is not on the public Internet"):
            await http.get("http://pictures.example/")


async def test_the_systems_own_names_for_this_machine_are_refused() -> None:
    async with receiving() as server, client() as http:
        with pytest.raises(Refused):
            await http.get(f"http://localhost:{server.port}/")
        assert server.received == []


async def test_an_allowed_network_is_reached_by_address_and_by_name() -> None:
    async with receiving() as server, client(*LOOPBACK) as http:
        for host in ("127.0.0.1", "localhost", "2130706433"):
            assert (await http.get(f"http://{host}:{server.port}/a?b=c")).status_code == 200
        assert [each.headers["host"] for each in server.received] == [
            f"127.0.0.1:{server.port}", f"localhost:{server.port}", f"2130706433:{server.port}",
        ]  # fmt: skip
        assert {each.target for each in server.received} == {"/a?b=c"}


async def test_a_name_that_resolves_differently_the_second_time_gains_nothing() -> None:
    """Each request asks once, and dials what it was told then; 127.0.0.2 is the server, 127.0.0.1 is not allowed."""
    async with receiving() as server, client("127.0.0.2/32", resolve=naming("127.0.0.1", "127.0.0.1")) as http:
        with pytest.raises(Refused):
            await http.get(f"http://rebinding.example:{server.port}/")
        assert server.received == []
    async with receiving() as server, client("127.0.0.1/32", resolve=naming("127.0.0.1", "127.0.0.2")) as http:
        assert (await http.get(f"http://rebinding.example:{server.port}/")).status_code == 200
        with pytest.raises(Refused):  # no connection is kept that a later request could take
            await http.get(f"http://rebinding.example:{server.port}/")
        assert len(server.received) == 1


async def test_of_several_addresses_only_those_that_are_allowed_are_dialled() -> None:
    answers = ["10.0.0.1", "::1", "127.0.0.3", "127.0.0.1"]  # nothing listens on the third
    async with receiving() as server, client(*LOOPBACK, resolve=naming(answers)) as http:
        assert (await http.get(f"http://many.example:{server.port}/")).status_code == 200


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "//192.168.0.1/a",
        "https://0xa.1/",
        "ftp://pictures.example/",
        "file:///etc/passwd",
        "http://user:secret@pictures.example/",
    ],
)
async def test_a_redirect_is_checked_like_an_address_of_its_own(location: str) -> None:
    """The first server is allowed by its very address."""
    async with receiving(Answer(302, {"Location": location})) as server:
        async with client("127.0.0.1/32", resolve=naming("127.0.0.1")) as http:
            with pytest.raises((Refused, httpx2.UnsupportedProtocol, httpx2.RemoteProtocolError)):
                await http.get(server.url, follow_redirects=True)
        assert len(server.received) == 1


async def test_a_redirect_to_a_name_that_resolves_to_a_forbidden_address_is_refused() -> None:
    away = Answer(302, {"Location": "http://inside.example/"})
    async with receiving(away) as server, client("127.0.0.1/32", resolve=naming("10.0.0.1")) as http:
        with pytest.raises(Refused, match=r"inside\.example"):
            await http.get(server.url, follow_redirects=True)


async def test_redirects_are_followed_three_times_and_no_further() -> None:
    hop = Answer(302, {"Location": "/again"})
    async with client(*LOOPBACK) as http:
        async with receiving(*[hop] * MAX_REDIRECTS, Answer()) as server:
            assert (await http.get(server.url, follow_redirects=True)).status_code == 200
        async with receiving(hop) as server:
            with pytest.raises(httpx2.TooManyRedirects):
                await http.get(server.url, follow_redirects=True)
            assert len(server.received) == MAX_REDIRECTS + 1


async def test_of_a_redirects_body_next_to_nothing_is_read() -> None:
    """httpx2 would read all of it, and unpack it, into memory."""
    endless = Answer(302, {"Location": "/there", "Content-Encoding": "gzip"}, body=[b"\0" * 1_000_000] * 100)
    async with receiving(endless, Answer(body=b"there")) as server, client(*LOOPBACK) as http:
        assert (await http.get(server.url, follow_redirects=True)).content == b"there"
        assert server.sent_bytes < 20_000_000  # what lies in the sockets' buffers


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """A certificate authority that the client trusts, as one trusts a company's own."""
    authority = trustme.CA()
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        yield authority


async def test_over_tls_the_name_stays_the_one_of_the_url(authority: trustme.CA) -> None:
    """In SNI and in the certificate, although an address is dialled."""
    asked: list[str] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pictures.example").configure_cert(tls)
    tls.sni_callback = lambda _, name, __: asked.append(name)
    async with receiving(tls=tls) as server, client(*LOOPBACK, resolve=naming("127.0.0.1")) as http:
        assert (await http.get(f"https://pictures.example:{server.port}/")).status_code == 200
        with pytest.raises(httpx2.ConnectError, match="Hostname mismatch"):
            await http.get(f"https://other.example:{server.port}/")
        assert asked == ["pictures.example", "other.example"]
        assert [each.headers["host"] for each in server.received] == [f"pictures.example:{server.port}"]


async def test_proxies_and_credentials_of_the_environment_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with client(*LOOPBACK) as http:
            assert (await http.get(server.url)).status_code == 200
        assert proxy.received == []
        assert "authorization" not in server.received[0].headers


async def test_one_request_leaves_no_cookie_for_the_next() -> None:
    async with receiving(Answer(200, {"Set-Cookie": "a=b"})) as server, client(*LOOPBACK) as http:
        for _ in range(2):
            await http.get(server.url)
        assert "cookie" not in server.received[1].headers


async def test_a_name_that_does_not_resolve_says_so() -> None:
    async def resolve(_: str, __: int) -> list[str]:
        raise OSError

    async with client(resolve=resolve) as http:
        with pytest.raises(httpx2.ConnectError, match=r"nothing\.example cannot be resolved"):
            await http.get("http://nothing.example/")
    async with client() as http:
        with pytest.raises(httpx2.ConnectError, match="cannot be resolved"):
            await http.get(f"http://{'a' * 70}.example/")


async def test_many_requests_at_once_are_all_answered() -> None:
    async with receiving() as server, client(*LOOPBACK) as http:
        answers = await asyncio.gather(*(http.get(f"http://localhost:{server.port}/") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}


def test_outbound_allow_takes_networks_with_commas_and_names_what_is_none() -> None:
    assert read_settings(Settings, {"OUTBOUND_ALLOW": "10.0.0.0/8, ::1"}).outbound_allow == ("10.0.0.0/8", "::1")
    for wrong in ("10.0.0.1/8", "localhost", "10.0.0.0/8,"):
        with pytest.raises(InvalidSettings, match=r"OUTBOUND_ALLOW: must be CIDR blocks such as 10\.0\.0\.0/8"):
            read_settings(Settings, {"OUTBOUND_ALLOW": wrong})
