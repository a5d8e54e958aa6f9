"""Decides what of a text is a secret, however it is spelled, and puts `***` in its place.

Rules:
    A secret is found as it is, with any of its characters escaped as `repr`, JSON and URLs escape them, also where one
    does it to the work of another, and in base64 of whatever it stands in, as in the header of Basic authentication.
    A secret is printable ASCII, as `credentials` sees to. One of fewer than 6 characters is not masked: it would stand
    in any word, and no key and no token is as short.
    What is hidden is one expression, whose search takes a time in proportion to the text, whatever the text is.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterable, Iterator

MASK = "***"
_LEAST = 6
"""Shorter texts, and shorter pieces of base64, would stand in any word."""
_PERCENT = "%(?:25){0,2}"
_BACKSLASH = rf"(?:\\|{_PERCENT}(?i:5c))"


class Redaction:
    """Called with a text, it returns it without `secrets`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _LEAST for form in (secret, *_in_base64(secret))}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(_spelled, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """`text` with `***` for every secret in it."""
        return self._secrets.sub(MASK, text)


def _in_base64(secret: str) -> Iterator[str]:
    """What base64 makes of a secret alone, by where it begins among the groups of three bytes; in both alphabets."""
    raw = secret.encode(errors="surrogatepass")
    for before in range(3):
        bits = 8 * (before + len(raw))
        start = -(-8 * before // 6)  # the first characters hold bits of what stands before, the last of what follows
        core = base64.b64encode(bytes(before) + raw).decode()[start : bits // 6]
        if len(core) >= _LEAST:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))


def _spelled(form: str) -> str:
    """The expression for all spellings of `form`. What escapes its first sign stays, as what is before may end in it.

    No text can be read in two ways, so that a search never starts over and over.
    """
    runs = re.findall(r"[^\W_]+|\\+|.", form, re.ASCII | re.DOTALL)
    return _run(runs[0]) + "".join(_escapes(before, run) + _run(run) for before, run in itertools.pairwise(runs))


def _escapes(before: str, run: str) -> str:
    """Backslashes that may stand before a sign: one in JSON, three in JSON within JSON, and so on."""
    is_escaped = not (run.isalnum() or run == "%" or "\\" in before + run)
    return f"{_BACKSLASH}{{0,7}}" if is_escaped else ""


def _run(run: str) -> str:
    """Letters and digits, which nothing escapes; one sign; or all backslashes in a row, which escaping multiplies."""
    if run.isalnum():
        return run
    if run[0] == "\\":
        return f"{_BACKSLASH}{{{len(run)},{8 * len(run) + 7}}}"
    code = f"(?i:{ord(run[0]):02x})"
    return f"(?:{re.escape(run)}|{_PERCENT}{code}|(?:u00|x){code})"
