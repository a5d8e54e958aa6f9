"""Decides how a table is kept up to date: repainted on a terminal, one after the other into a pipe.

Rules: into a pipe at most one table a second, held back by the daemon, so that the last value is never lost; with
JSON each change, one document a line. After a cut the table is shown once more, as old, for it says `live` otherwise;
into a pipe stderr tells of each attempt.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import Any, TypeVar

import msgspec

from condord.cli import words
from condord.cli.mirror import Mirror
from condord.cli.screen import emit, on_terminal, plain, screen, tell, writing
from condord.cli.table import text
from condord.client import Daemon
from condord.errors import NotFound

PIPE_INTERVAL_MS = 1000

Line = TypeVar("Line")


def keep_watching(daemon: Daemon, condor_id: str | None, *, as_json: bool) -> None:
    """Show every new state of the document, or of one condor, until interrupted.

    Raises:
        NotFound: the condor is not held, or no more.
        Unavailable: there is no daemon to begin with.
    """
    if condor_id is not None:
        daemon.condor(condor_id)  # says which ids are near, if it is not held
    if on_terminal() and not as_json:
        _repaint(daemon, condor_id)
    else:
        _append(daemon, condor_id, as_json=as_json)


class Outage:
    """How long the connection has been away, and why; `sentence` is empty while there is one."""

    def __init__(self) -> None:
        self.sentence = ""
        self._since = ""

    def cut(self, reason: str) -> bool:
        """Take note of a cut; whether it is the first of this outage."""
        is_first = not self._since
        self._since = self._since or words.clock(dt.datetime.now(dt.UTC))[:8]
        self.sentence = f"not connected since {self._since}: {plain(reason)}; prices are old"
        return is_first

    def end(self) -> bool:
        """There is a connection; whether there was none."""
        was_away = bool(self._since)
        self.sentence = self._since = ""
        return was_away


def _append(daemon: Daemon, condor_id: str | None, *, as_json: bool) -> None:
    shown_on = screen(os.environ)
    mirror, outage = Mirror(), Outage()

    def show() -> None:
        body = _part(mirror, condor_id)
        emit(body + b"\n" if as_json else text(body, condor_id, shown_on, outage.sentence) + "\n")

    def cut(reason: str, wait_seconds: float) -> None:
        if outage.cut(reason) and mirror.document is not None and not as_json:
            show()
        tell(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    interval_ms = None if as_json else PIPE_INTERVAL_MS
    for event in daemon.events(_wanted(condor_id), interval_ms=interval_ms, on_cut=cut):
        is_back = event.name != "bye" and outage.end() and not as_json
        if mirror.apply(event) or (is_back and mirror.document is not None):
            show()


def _repaint(daemon: Daemon, condor_id: str | None) -> None:
    from rich.console import Console  # 60 ms
    from rich.live import Live
    from rich.text import Text

    mirror, outage = Mirror(), Outage()
    with writing(), Live(console=Console(), auto_refresh=False) as live:

        def show() -> None:
            if mirror.document is None:  # a bye came first
                return
            told = text(_part(mirror, condor_id), condor_id, screen(os.environ), outage.sentence)
            # rich only places and wipes the lines; our own colours pass through it
            lines = [part for line in told.splitlines() for part in _folded(Text.from_ansi(line))]
            shown = fitting(lines, live.console.height, Text("…"))
            live.update(Text("\n", no_wrap=True).join(shown), refresh=True)

        def _folded(line: Text) -> list[Text]:
            """Between two cells where it is too wide, so that no number is cut in half."""
            return list(line.wrap(live.console, live.console.width)) or [line]

        def cut(reason: str, _: float) -> None:
            outage.cut(reason)
            show()

        for event in daemon.events(_wanted(condor_id), on_cut=cut):
            mirror.apply(event)
            if event.name != "bye":
                outage.end()
            show()


def fitting(lines: list[Line], height: int, more: Line) -> list[Line]:
    """At most `height` lines: what is too much goes from above the last paragraph, the account and its status.

    `more` stands where something is left out.
    """
    if len(lines) <= height:
        return lines
    last = max((at + 1 for at, line in enumerate(lines) if not str(line)), default=len(lines))
    tail = lines[last:][-max(1, height - 2) :]
    return [*lines[: max(0, height - len(tail) - 1)], more, *tail]


def _wanted(condor_id: str | None) -> list[str]:
    return [] if condor_id is None else [condor_id]


def _part(mirror: Mirror, condor_id: str | None) -> bytes:
    """The body that `positions` would get now."""
    document: dict[str, Any] = mirror.document or {}
    if condor_id is None:
        return msgspec.json.encode(document)
    for condor in document.get("condors", ()):
        if condor["id"] == condor_id:
            symbols = {leg["symbol"] for leg in condor["legs"]}
            quotes = [quote for quote in document["quotes"] if quote["symbol"] in symbols]
            return msgspec.json.encode({"asOf": document["asOf"], "condor": condor, "quotes": quotes})
    raise NotFound(f"{condor_id} is no longer held", "`condord positions` lists what is held.")
