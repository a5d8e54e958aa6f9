"""Replace every secret in a text by `***`, however it is escaped.

A secret is printable ASCII, which `credentials` ensures. It is found in plain form, with any characters escaped once or
twice as `repr`, JSON and URLs do, and within base64, as in the header of Basic authentication.

The values of `ticket`, `token` and `access_token` in URLs are always masked, because tickets are issued all the time.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

MASK = "***"
_MIN_LENGTH = 6
"""Shorter secrets and pieces of base64 would be found in any word; no key or token is that short."""
_PERCENT = "%(?:25){0,2}"
_BACKSLASH = rf"(?:\\|{_PERCENT}(?i:5c))"
_RUNS = re.compile(r"[^\W_]+|\\+|.", re.ASCII | re.DOTALL)
"""Letters and digits, which nothing escapes; backslashes in a row; any other character."""
_PARAMETER = re.compile(
    rf"((?:(?<!\w)|(?<=3[Ff]|26))(?:(?:access_)?token|ticket)(?:=|{_PERCENT}3[Dd]))[^&#;\s\"'<>\\]+", re.ASCII
)
"""A parameter of a URL with its value. The URL may be escaped: `%3F` or `%26` is before the name then."""


class Redaction:
    """Masks `secrets` in the texts that it is called with."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _MIN_LENGTH for form in (secret, *_in_base64(secret))}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(_expression, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """`text` with `***` in place of every secret, in a time proportional to its length."""
        return _PARAMETER.sub(rf"\1{MASK}", self._secrets.sub(MASK, text))


def _in_base64(secret: str) -> Iterator[str]:
    """The base64 characters that depend only on the secret, in both alphabets.

    They differ by the offset of the secret within the groups of three bytes.
    """
    raw = secret.encode(errors="surrogatepass")
    for before in range(3):
        bits = 8 * (before + len(raw))
        # The first characters hold bits of the text before the secret, the last one bits of the text after it.
        start = -(-8 * before // 6)
        core = base64.b64encode(bytes(before) + raw).decode()[start : bits // 6]
        if len(core) >= _MIN_LENGTH:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))


def _expression(form: str) -> str:
    """An expression for every spelling of `form`, which can match a text in one way only, so that it never backtracks.

    Escaping multiplies backslashes in a row, and puts them before a sign: one in JSON, three in JSON within JSON.
    """
    parts: list[str] = []
    before = "\\"  # backslashes before the first sign may belong to the text before, so they stay
    for run in _RUNS.findall(form):
        if run.isalnum():
            parts.append(run)
        elif run[0] == "\\":
            parts.append(f"{_BACKSLASH}{{{len(run)},{8 * len(run) + 7}}}")
        else:
            # Only URLs escape "%"; and the backslashes in a row before a sign include those that escape it.
            escapes = "" if run == "%" or before[0] == "\\" else f"{_BACKSLASH}{{0,7}}"
            code = f"(?i:{ord(run):02x})"
            parts.append(f"{escapes}(?:{re.escape(run)}|{_PERCENT}{code}|(?:u00|x){code})")
        before = run
    return "".join(parts)
