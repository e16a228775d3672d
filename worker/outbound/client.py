"""The HTTP client for URLs from clients (images by URL, webhooks), which must not reach this machine or its network.

Addresses are checked when connecting, so that DNS rebinding has no effect, and for each redirect; literal addresses are
also checked when the form is validated. Only http and https, no proxies.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx2

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Resolves a host name and a port to addresses; raises `OSError` if there are none."""

MAX_URL_LENGTH = 2048
MAX_REDIRECTS = 3
MAX_ADDRESSES = 4
"""Maximum number of addresses of a host name that are tried."""

CONNECT_TIMEOUT_S = 5.0
"""Timeout for the DNS lookup, and for each connection attempt."""

# IANA's special-purpose address registries (RFC 6890), except for the few public ranges.
NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, including the metadata services of clouds
        "192.0.0.0/24",  # protocol assignments
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),  # documentation
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo (RFC 4380), ORCHID, benchmarks
        *("2001:db8::/32", "3fff::/20"),  # documentation
        "2002::/16",  # 6to4, RFC 3056
    )
)

IPV6_UNICAST = IPv6Network("2000::/3")
"""Global unicast addresses (RFC 4291, 2.4). Not included: ::1, fc00::/7, fe80::/10, ff00::/8, and most with IPv4:
::ffff:0:0/96 (mapped), ::/96 (compatible), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64, RFC 6052 and 8215)."""

ISATAP = {0x0000_5EFE, 0x0200_5EFE}
"""Bits 64 to 95 of an IPv6 address that embeds an IPv4 address (ISATAP, RFC 5214, 6.1)."""


class Refused(Exception):
    """The URL is not allowed; the message is for the client that sent it."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks such as 10.0.0.0/8, or raise `ValueError`."""
    return tuple(ip_network(text) for text in texts)


def is_public(address: Address) -> bool:
    """Return whether an address is public and embeds no other address."""
    if isinstance(address, IPv6Address) and (address not in IPV6_UNICAST or int(address) >> 32 & 0xFFFF_FFFF in ISATAP):
        return False
    return not any(address in network for network in NOT_PUBLIC)


def check_url(text: str, allow: Iterable[str]) -> None:
    """Raise `Refused` if the text of a URL shows that it is not valid or not allowed."""
    if len(text) > MAX_URL_LENGTH:
        raise Refused(f"must have at most {MAX_URL_LENGTH:,} characters; got {len(text):,}")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as exc:
        raise Refused(f"is not a valid URL: {exc}") from exc
    _check_form(url, networks(allow))


def _check_form(url: httpx2.URL, allow: Sequence[Network]) -> None:
    if url.scheme not in ("http", "https"):
        raise Refused("must begin with http:// or https://")
    if url.userinfo:
        raise Refused("must not contain a user name or password")
    host, port = url.raw_host.decode("ascii"), 80 if url.port is None else url.port
    if not host or "%" in host or not 0 < port < 2**16:
        raise Refused("must have a valid host and port")
    literal = _literal(host)
    if literal is not None:
        _dialable([str(literal)], host, allow)


def _literal(host: str) -> Address | None:
    """Parse a literal address in all forms that the system's resolver accepts: 127.1, 0x7f.1, 2130706433."""
    host = host.removesuffix(".")
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _dialable(addresses: Iterable[str], host: str, allow: Sequence[Network]) -> list[Address]:
    """Return the allowed addresses, or raise `Refused`, whose message does not reveal the addresses."""
    known = [ip_address(address) for address in dict.fromkeys(addresses)]
    allowed = [each for each in known if any(each in network for network in allow) or is_public(each)]
    if not allowed:
        raise Refused(f"leads to {host[:100]}, which is not on the public Internet (OUTBOUND_ALLOW opens more)")
    return allowed[:MAX_ADDRESSES]


def system_resolver() -> Resolver:
    """Return a resolver that uses the operating system, which orders the addresses by preference."""
    # A separate pool, so that hanging lookups do not delay those for Redis and storage.
    pool = ThreadPoolExecutor(8, thread_name_prefix="lookup")

    async def resolve(host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            entries = await loop.run_in_executor(
                pool, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            )
        return [str(entry[4][0]) for entry in entries]

    return resolve


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Resolves host names and connects only to addresses that it has checked; raises `Refused` if there are none."""

    def __init__(self, allow: Sequence[Network], resolve: Resolver) -> None:
        self._allow = allow
        self._resolve = resolve
        # No keep-alive: the pool knows only addresses, and could reuse a connection for another host, unverified.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = httpx2.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        _check_form(request.url, self._allow)
        answer = await self._send(request, await self._addresses(request.url))
        if not answer.has_redirect_location:
            return answer
        # httpx2 would read the whole body before it follows the redirect.
        await answer.aclose()
        location = [(name, value) for name, value in answer.headers.raw if name.lower() == b"location"]
        return httpx2.Response(answer.status_code, headers=location)  # as bytes, because they may not be ASCII

    async def _send(self, request: httpx2.Request, addresses: Sequence[Address]) -> httpx2.Response:
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.handle_async_request(_dialling(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_dialling(request, last))

    async def _addresses(self, url: httpx2.URL) -> list[Address]:
        host = url.raw_host.decode("ascii")
        literal = _literal(host)
        if literal is not None:
            return _dialable([str(literal)], host, self._allow)
        try:
            resolved = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError) as exc:  # including `TimeoutError`
            raise httpx2.ConnectError(f"{host[:100]} cannot be resolved") from exc
        return _dialable(resolved, host, self._allow)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _dialling(request: httpx2.Request, address: Address) -> httpx2.Request:
    """Return the request with the address as its target; Host, SNI and certificate check keep the host of the URL."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


def outbound_client(allow: Iterable[str], resolve: Resolver | None = None) -> httpx2.AsyncClient:
    """Return the client for outbound requests; `allow` are private networks that it may reach.

    Its calls raise httpx2's errors and `Refused`. It only limits the time to connect; callers set the total timeout.
    """
    # At INFO it logs all URLs, which may contain secrets.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return httpx2.AsyncClient(
        transport=GuardedTransport(networks(allow), resolve or system_resolver()),
        trust_env=False,  # ignore proxies and ~/.netrc; the transport still uses SSL_CERT_FILE
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S),
        max_redirects=MAX_REDIRECTS,
        headers={"User-Agent": f"darkroom/{version('darkroom')}", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # tasks do not share cookies
    )
