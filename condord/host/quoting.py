"""Quote foreign text in our own sentences: on one line, cut to length, and without anything that may be a secret.

What a person wrote (names, values and paths of the configuration) is quoted by `plain`, `short` and `value`; what
another program sent, by `excerpt` and `printable`.
"""

from __future__ import annotations

import re

SHOWN = 60  # characters of a name or a value
_EXCERPT = 100  # characters of another program's text

_SECRET_NAME = re.compile(r"secret|key|token|passw|pwd|credential|auth|apca", re.IGNORECASE)
_LONG_WORD = re.compile(r"[A-Za-z0-9]{20,}")
_LONG_WORD_OR_BASE64 = re.compile(r"[A-Za-z0-9+/]{20,}")  # not for values, where a slash is that of a path
_PATH_NAME = "server.uds"  # a path, which is no secret, but may contain long words
_USER_PART = re.compile(r"//[^/]*@")


def plain(text: str) -> str:
    """`text` on one line."""
    return text if text.isprintable() and text else repr(text)


def short(text: str, most: int = SHOWN) -> str:
    """`text` on one line, cut after `most` characters."""
    return plain(text if len(text) <= most else text[:most] + "...")


def value(name: str, raw: object) -> str:
    """The value `raw` of the key `name`, masked where its name or its form may be those of a secret."""
    if _SECRET_NAME.search(name):
        return "(not shown)"
    if name == _PATH_NAME:
        return short(repr(raw))
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, list | tuple):
        return "[" + ", ".join(value(name, part) for part in raw[:8]) + "]"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int) and abs(raw) >= 10**SHOWN:
        return "an integer of many digits"  # str() refuses more than 4300 digits, but TOML allows them
    text = repr(raw) if isinstance(raw, str) else str(raw)
    return short(_USER_PART.sub("//***@", _LONG_WORD.sub("***", text)))


def excerpt(text: str) -> str:
    """The printable beginning of `text`, without anything as long as a key, which has 20 characters or more."""
    return printable(_LONG_WORD_OR_BASE64.sub("…", text))


def printable(text: str) -> str:
    """The beginning of `text`, with `?` for characters that cannot be printed, which JSON may not permit."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_EXCERPT])
