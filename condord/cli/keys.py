"""Decode what a keyboard sends into keys: letters, and names such as `up` and `page-down`. No I/O."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

# What xterm, rxvt, the Linux console, screen and tmux send (terminfo: kcuu1, kpp, khome, …).
_SEQUENCES: Mapping[str, str] = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down",
    "\x1b[C": "right", "\x1bOC": "right", "\x1b[D": "left", "\x1bOD": "left",
    "\x1b[5~": "page-up", "\x1b[6~": "page-down",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[7~": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end", "\x1b[8~": "end",
}  # fmt: skip
_CONTROLS: Mapping[str, str] = {
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x15": "erase", "\x1b": "escape",
    "\x02": "page-up", "\x06": "page-down", "\x0c": "repaint",
}  # fmt: skip
_PART = re.compile(r"\x1b\[[0-9;?]*[A-Za-z~]|\x1bO[A-Za-z]|.", re.DOTALL)
_OPEN = re.compile(r"\x1b(\[[0-9;?]*|O)?\Z")


class Keys:
    """The keys of one keyboard, whose sequences may arrive in parts."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    @property
    def is_open(self) -> bool:
        """Whether more may belong to the last bytes."""
        return bool(self._open)

    def feed(self, data: bytes) -> list[str]:
        """Return the keys that are complete. Keys without a meaning here are left out."""
        text = self._open + self._decoder.decode(data)
        cut = _OPEN.search(text)
        at = len(text) if cut is None else cut.start()
        self._open = text[at:]
        return _named(text[:at])

    def close(self) -> list[str]:
        """Return the keys of a sequence that does not go on: Escape was pressed by itself."""
        text, self._open = self._open, ""
        return _named(text)


def _named(text: str) -> list[str]:
    names = (_SEQUENCES.get(part) or _CONTROLS.get(part) or part for part in _PART.findall(text))
    return [name for name in names if name.isprintable()]
