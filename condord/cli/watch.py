"""Decides how a table is kept up to date: repainted on a terminal, one after the other into a pipe.

Rules: on a terminal what changed is painted as it changes, and each second, as ages grow; painting takes a fifth of the
time at most, however large the account. Into a pipe at most one table a second, held back by the daemon, so that the
last value is never lost; with JSON each change, one document a line. After a cut the table is shown as old, with the
time of the cut, for it says `live` otherwise; into a pipe stderr tells of each attempt.
"""

from __future__ import annotations

import datetime as dt
import os
import select
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from condord.cli import words
from condord.cli.canvas import Canvas
from condord.cli.mirror import Mirror
from condord.cli.progress import begun, progress
from condord.cli.screen import can_paint, emit, plain, screen, tell
from condord.cli.table import text
from condord.cli.taken import Bell, Terminal, taken
from condord.client import Daemon
from condord.errors import NotFound

PIPE_INTERVAL_MS = 1000
TICK_SECONDS = 1.0  # after so long ages have grown, whatever came
REST = 4.0  # times as long as painting took

Line = TypeVar("Line")


def keep_watching(daemon: Daemon, condor_id: str | None, *, as_json: bool) -> None:
    """Show every new state of the document, or of one condor, until interrupted.

    Raises:
        NotFound: the condor is not held, or no more.
        Unavailable: there is no daemon to begin with.
    """
    if condor_id is not None:
        with progress(f"waiting for {daemon.address.url}"):
            daemon.condor(condor_id)  # says which ids are near, if it is not held
    if can_paint(os.environ) and not as_json:
        _repaint(daemon, condor_id)
    else:
        _append(daemon, condor_id, as_json=as_json)


class Outage:
    """How long the connection has been away, and why."""

    def __init__(self) -> None:
        self._since: dt.datetime | None = None
        self._reason = ""

    @property
    def sentence(self) -> str:
        """What is to be said of it, empty while there is a connection."""
        since = self._since  # read once: another thread may set it
        if since is None:
            return ""
        told = words.moment(since, dt.datetime.now(dt.UTC), "%H:%M:%S")
        return f"not connected since {told}: {self._reason}; prices are old"

    def cut(self, reason: str) -> bool:
        """Take note of a cut; whether it is the first of this outage."""
        is_first = self._since is None
        self._reason = plain(reason)
        self._since = self._since or dt.datetime.now(dt.UTC)
        return is_first

    def end(self) -> bool:
        """There is a connection; whether there was none."""
        was_away = self._since is not None
        self._since = None
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
    events = daemon.events(_wanted(condor_id), interval_ms=interval_ms, on_cut=cut)
    for event in begun(events, f"waiting for {daemon.address.url}"):
        is_back = event.name != "bye" and outage.end() and not as_json
        if mirror.apply(event) or (is_back and mirror.document is not None):
            show()


def _repaint(daemon: Daemon, condor_id: str | None) -> None:
    bell = Bell()
    following = Following(daemon, condor_id, bell.ring)
    following.start()
    with progress(f"waiting for {daemon.address.url}"):
        while following.document is None and following.is_alive():
            select.select([bell.hearing], [], [], TICK_SECONDS)
            bell.heard()
    if following.document is None:
        following.end()
        return
    try:
        with taken(bell) as terminal:
            _keep_painting(following, terminal)
    except KeyboardInterrupt:
        emit(following.text())
        raise
    emit(following.text())  # what was seen last stays on the terminal


def _keep_painting(following: Following, terminal: Terminal) -> None:
    canvas, wanted = Canvas(), {"anew"}
    while "end" not in wanted:
        if "anew" in wanted:
            canvas.forget()
        started = time.monotonic()
        size = shutil.get_terminal_size()
        lines = fitting(following.text().splitlines(), size.lines, "…")
        if painted := canvas.paint(lines, size.columns, size.lines):
            emit(painted)
        if not following.is_alive():
            following.end()
            return
        # A large account takes longer to paint: the machine is for others, too.
        time.sleep(min(TICK_SECONDS, REST * (time.monotonic() - started)))
        wanted = terminal.wait(TICK_SECONDS)


class Following(threading.Thread):
    """Follows the stream aside, so that a resize or a key need not wait for an event.

    It keeps the newest document and nothing else, however long nobody looks. `ring` is called when there is a
    reason to look. It ends only for an error, which `end` raises.
    """

    def __init__(self, daemon: Daemon, condor_id: str | None, ring: Callable[[], None]) -> None:
        super().__init__(name="following", daemon=True)  # one that waits for an event ends with the process
        self._daemon = daemon
        self._condor_id = condor_id
        self._ring = ring
        self._mirror = Mirror()
        self._outage = Outage()
        self._error: Exception | None = None

    @property
    def document(self) -> dict[str, Any] | None:
        """As the last event left it; None before the first."""
        return self._mirror.document

    def text(self) -> str:
        """The table as it is now."""
        body = _part(self._mirror, self._condor_id)
        return text(body, self._condor_id, screen(os.environ), self._outage.sentence)

    def run(self) -> None:
        """Follow, until an error."""
        try:
            for event in self._daemon.events(_wanted(self._condor_id), on_cut=self._cut):
                self._mirror.apply(event)
                if event.name != "bye":
                    self._outage.end()
                self._ring()
        except Exception as error:  # noqa: BLE001, it is raised where somebody sees it
            self._error = error
        finally:
            self._ring()

    def _cut(self, reason: str, _: float) -> None:
        self._outage.cut(reason)
        self._ring()

    def end(self) -> None:
        """Wait for the end.

        Raises:
            CondordError: what ended it.
        """
        self.join()
        if self._error is not None:
            raise self._error


def fitting(lines: list[Line], height: int, more: Line) -> list[Line]:
    """At most `height` lines: what is too much goes from above the last paragraph, the account and its status.

    That has half of them, or what the rest leaves. `more` stands where something is left out.
    """
    if len(lines) <= height:
        return lines
    last = max((at + 1 for at, line in enumerate(lines) if not str(line)), default=len(lines))
    tail = lines[last:][-max(1, height // 2) :]
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
