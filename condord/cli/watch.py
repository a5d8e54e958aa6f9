"""Decides how a table is kept up to date: repainted on a terminal, one after the other into a pipe.

Rules: into a pipe at most one table a second, held back by the daemon, so that the last value is never lost; with
JSON each change, one document a line. A cut is said on stderr or, on a terminal, under the table, because what
stands above is then no longer live.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from condord.cli.mirror import Mirror
from condord.cli.screen import emit, plain, screen, tell
from condord.cli.table import text
from condord.client import Daemon
from condord.errors import NotFound

PIPE_INTERVAL_MS = 1000


def keep_watching(daemon: Daemon, condor_id: str | None, *, as_json: bool) -> None:
    """Show every new state of the document, or of one condor, until interrupted.

    Raises:
        NotFound: the condor is not held, or no more.
        Unavailable: there is no daemon to begin with.
    """
    if condor_id is not None:
        daemon.condor(condor_id)  # says which ids are near, if it is not held
    if sys.stdout.isatty() and not as_json:
        _repaint(daemon, condor_id)
    else:
        _append(daemon, condor_id, as_json=as_json)


def _append(daemon: Daemon, condor_id: str | None, *, as_json: bool) -> None:
    shown_on = screen(os.environ)
    mirror = Mirror()

    def cut(reason: str, wait_seconds: float) -> None:
        tell(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    interval_ms = None if as_json else PIPE_INTERVAL_MS
    for event in daemon.events(_wanted(condor_id), interval_ms=interval_ms, on_cut=cut):
        if mirror.apply(event):
            body = _part(mirror, condor_id)
            emit(body + b"\n" if as_json else text(body, condor_id, shown_on) + "\n")


def _repaint(daemon: Daemon, condor_id: str | None) -> None:
    from rich.console import Console  # 60 ms
    from rich.live import Live
    from rich.text import Text

    mirror = Mirror()
    with Live(console=Console(), auto_refresh=False) as live:

        def show(note: str) -> None:
            if mirror.document is None:  # a bye came first
                return
            shown_on = screen(os.environ)
            lines = text(_part(mirror, condor_id), condor_id, shown_on).splitlines()
            lines += [shown_on.paint(note, "bad")] if note else []
            # rich only places and wipes the lines; our own colours pass through it
            shown = "\n".join(fitting(lines, live.console.height))
            live.update(Text.from_ansi(shown, no_wrap=True), refresh=True)

        def cut(reason: str, wait_seconds: float) -> None:
            show(f"not live: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

        for event in daemon.events(_wanted(condor_id), on_cut=cut):
            mirror.apply(event)
            show("")


def fitting(lines: list[str], height: int) -> list[str]:
    """At most `height` lines: what is too much goes from above the last paragraph, the account and its status."""
    if len(lines) <= height:
        return lines
    last = len(lines) - lines[::-1].index("") if "" in lines else len(lines)
    tail = lines[last:][-max(1, height - 2) :]
    return [*lines[: max(0, height - len(tail) - 1)], "…", *tail]


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
