"""A secret that logs, errors and encoders cannot reveal by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A text that is shown as `***`; only `reveal()` returns it.

    It cannot be copied, pickled or encoded as JSON. Comparisons take constant time.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, _: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        first, second = (text.encode(errors="surrogatepass") for text in (self._text, other._text))
        return hmac.compare_digest(first, second)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to guess it

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a Secret is not copied or pickled")
