"""Signed links to results: they need no API key, have an HMAC-SHA256 (RFC 2104) and expire."""

import base64
import hashlib
import hmac
import logging
import re
import secrets
from urllib.parse import quote

from redis.asyncio import Redis

from app.http.exceptions import LinkRefused
from worker.telemetry.clock import now_ms

SECRET = "links:secret"  # noqa: S105 - a key in Redis
"""Redis key of the secret. The first API process that needs it creates it; all processes share it."""

SECRET_BYTES = 32


class Links:
    """Creates and checks signatures; reads the secret from Redis once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._secret: bytes | None = None

    async def link(self, result_path: str, expires_s: int) -> str:
        """Return the path and query of a link that opens a result without a key until `expires_s` (Unix seconds)."""
        path = f"/{result_path}"
        return f"{quote(path)}?expires={expires_s}&signature={await self._signature(path, str(expires_s))}"

    async def check(self, path: str, expires: str, signature: str) -> int:
        """Return the seconds until a link to `path` expires; raise `LinkRefused` if it is not valid or has expired."""
        if not hmac.compare_digest((await self._signature(path, expires)).encode(), signature.encode()):
            raise LinkRefused("the signature of the link is not valid; request a new link")
        left_s = int(expires) - now_ms() // 1000
        if left_s <= 0:
            raise LinkRefused("the link has expired; request a new one")
        return left_s

    async def _signature(self, path: str, expires: str) -> str:
        while self._secret is None:
            await self._redis.set(SECRET, secrets.token_bytes(SECRET_BYTES), nx=True)
            self._secret = await self._redis.get(SECRET)
        digest = hmac.digest(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class WithoutSignatures(logging.Filter):
    """Log filter that removes signatures from uvicorn's access log, where anyone could reuse them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"(?<=signature=)[^&\s]+", "...", arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


WITHOUT_SIGNATURES = WithoutSignatures()
