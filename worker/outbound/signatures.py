"""Signatures of webhooks, as in the Standard Webhooks specification 1.0.0 (symmetric, v1)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix


def secret_key(secret: str) -> bytes:
    """Decode a secret (`whsec_` and base64 of 24 to 64 bytes), or raise a `ValueError` that does not contain it."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("a secret must begin with whsec_")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a secret must be base64 after whsec_") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("a secret must have 24 to 64 bytes")
    return key


def signature_headers(message_id: str, body: bytes, at_s: int, secrets: Iterable[str]) -> Mapping[str, str]:
    """Return the headers of an attempt at the time `at_s` (Unix seconds), with a signature for each secret."""
    content = f"{message_id}.{at_s}.".encode() + body
    digests = (hmac.digest(secret_key(secret), content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }
