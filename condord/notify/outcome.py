"""The outcome of one attempt to send a message."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is the HTTP status, None without one. `text` is for people, and contains no part of the channel's URL.

    `is_gone`: the receiver wants no further messages (410). `is_down`: the failure has nothing to do with this message,
    so others would fail, too.
    """

    ok: bool
    text: str
    status: int | None = None
    is_gone: bool = False
    is_down: bool = False
