"""Decides how a fault repeats what somebody has written: on one line, short, and never what could be a secret."""

from __future__ import annotations

import re

SHOWN = 60  # characters of a name or a value

_SECRET_NAME = re.compile(r"secret|key|token|passw|pwd|credential|auth|apca", re.IGNORECASE)
_SECRET_LOOK = re.compile(r"[A-Za-z0-9]{20,}")
_USER_PART = re.compile(r"//[^/]*@")


def plain(text: str) -> str:
    """`text` on one line."""
    return text if text.isprintable() and text else repr(text)


def short(text: str, most: int = SHOWN) -> str:
    """`text` on one line, cut behind `most` characters."""
    return plain(text if len(text) <= most else text[:most] + "...")


def value(name: str, said: object) -> str:
    """The value `said` of the key `name`; of one that may be a secret, by its name or its look, nothing."""
    if _SECRET_NAME.search(name):
        return "(not shown)"
    if isinstance(said, dict):
        return "a table"
    if isinstance(said, list | tuple):
        return "[" + ", ".join(value(name, part) for part in said[:8]) + "]"
    if isinstance(said, bool):
        return "true" if said else "false"
    if isinstance(said, int) and abs(said) >= 10**SHOWN:
        return "an integer of many digits"  # str() refuses one of more than 4300, which TOML may hold
    text = repr(said) if isinstance(said, str) else str(said)
    return short(_USER_PART.sub("//***@", _SECRET_LOOK.sub("***", text)))
