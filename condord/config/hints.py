"""Join the hints of several faults."""

from __future__ import annotations

import re
from collections.abc import Iterable

_COMMAND = re.compile(r"((?:sudo )?ch(?:mod|own) .*)")


def joined(hints: Iterable[str]) -> str:
    """Each of the hints once, one after the other; a single one ends with its command, if it has one, to be copied."""
    different = [*dict.fromkeys(hints)]
    if len(different) == 1:
        return different[0]
    # A full stop would become a part of the command.
    return " ".join(hint if hint.endswith(".") else _COMMAND.sub(r"`\1`.", hint) for hint in different)
