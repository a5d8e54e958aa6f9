"""Sign webhooks as Standard Webhooks 1.0 has it: HMAC-SHA256 over the id, the time and the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from condord.host.secret import Secret

PREFIX = "whsec_"


def key_of(secret: Secret) -> bytes | None:
    """Return the bytes of a signing secret, `whsec_` and base64; None if it is not valid."""
    try:
        key = base64.b64decode(secret.reveal().strip().removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        return None
    return key or None


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`. `timestamp` is in seconds of the epoch, as in `webhook-timestamp`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
