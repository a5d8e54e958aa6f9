"""`condord positions --watch`: keep a table up to date, repainted on a terminal, one below the other in a pipe."""

from __future__ import annotations

import datetime as dt
import os
import select
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from condord.cli import formatting
from condord.cli.canvas import Canvas
from condord.cli.mirror import Mirror
from condord.cli.output import require_reader, write_stderr, write_stdout
from condord.cli.pager import Pager
from condord.cli.progress import progress, with_progress
from condord.cli.raw_terminal import REPAINT, Terminal, WakePipe, take_terminal
from condord.cli.screen import Screen, can_paint, folded, plain, screen
from condord.cli.table import Line, Table, document_table, one_lines, render, render_one
from condord.cli.view import DEFAULT, Arrangement, TableView, parse_show
from condord.client.http import Daemon, broken_condor_error, decoded
from condord.client.resume import follow
from condord.errors import NotFound
from condord.live import wire
from condord.live.lost_source import condor_unconfirmed_if_lost, unconfirmed_if_lost
from condord.live.urgency import held

PIPE_INTERVAL_MS = 1000
REPAINT_SECONDS = 1.0  # ages in the table grow even if no event arrives
PAUSE_FACTOR = 4.0  # a pause of four times the time that painting took: painting uses a fifth of one core at most
_TIMED = frozenset({"snapshot", "delta", "heartbeat"})
"""The events with the time by the exchange's clock."""


def keep_watching(
    daemon: Daemon, condor_id: str | None, *, as_json: bool, view: TableView = DEFAULT, show: str | None = None
) -> None:
    """Show every new state of the document, or of one condor, until interrupted.

    In a pipe, at most one table a second is written: the daemon is asked to combine deltas for that long, so that the
    newest value is never lost. With JSON there is one document per change. `show` is what `--show` has.

    Raises:
        NotFound: the condor is not held, or was closed meanwhile, or no condor has the symbol that `show` names.
        typer.BadParameter: `show` names nothing that is known.
        CondordError: the first connection fails, or a later one in a way that a retry cannot fix.
    """
    if condor_id is not None:
        with progress(f"waiting for {daemon.address.url}"):
            # If it is not held, the error names similar ids; a broken one has no JSON.
            _ = daemon.condor(condor_id) if as_json else daemon.whole_or_broken(condor_id)
    if show is not None:
        with progress(f"waiting for {daemon.address.url}"):
            held = decoded(daemon.positions(), wire.Document)
        view = msgspec.structs.replace(view, show=parse_show(show, held))
    if can_paint(os.environ) and not as_json:
        _repaint(daemon, condor_id, view)
    else:
        _append(daemon, condor_id, view, as_json=as_json)


class Outage:
    """How long the connection has been lost, and why."""

    def __init__(self) -> None:
        self._since: dt.datetime | None = None
        self._reason = ""

    @property
    def sentence(self) -> str:
        """The lines about the outage; empty while there is a connection."""
        since = self._since  # read once, as another thread may set it
        if since is None:
            return ""
        since_text = formatting.moment(since, dt.datetime.now(dt.UTC), "%H:%M:%S")
        return f"not connected since {since_text}: {self._reason}; prices are old"

    def begin(self, reason: str) -> bool:
        """Record a failed connection; return whether it is the first of this outage."""
        is_first = self._since is None
        self._reason = plain(reason)
        self._since = self._since or dt.datetime.now(dt.UTC)
        return is_first

    def end(self) -> bool:
        """Record that there is a connection; return whether there was an outage."""
        was_lost = self._since is not None
        self._since = None
        return was_lost


def _append(daemon: Daemon, condor_id: str | None, view: TableView, *, as_json: bool) -> None:
    pipe_screen = screen(os.environ)
    mirror, outage = Mirror(), Outage()

    def show() -> None:
        if as_json:
            write_stdout(_body(mirror, condor_id) + b"\n")
        elif condor_id is None:
            write_stdout(render(_body(mirror, None), pipe_screen, outage.sentence, view) + "\n")
        else:
            write_stdout(render_one(_one(mirror, condor_id), condor_id, pipe_screen, outage.sentence) + "\n")

    def on_cut(reason: str, wait_seconds: float) -> None:
        # A table shown before has `live`: show it again, now as old.
        if outage.begin(reason) and mirror.document is not None and not as_json:
            show()
        write_stderr(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    interval_ms = None if as_json else PIPE_INTERVAL_MS
    events = follow(daemon, _filter(condor_id), interval_ms=interval_ms, on_cut=on_cut)
    for event in with_progress(events, f"waiting for {daemon.address.url}"):
        is_back = event.name != "bye" and outage.end() and not as_json
        if mirror.apply(event) or (is_back and mirror.document is not None):
            show()
        else:
            require_reader()


def _repaint(daemon: Daemon, condor_id: str | None, view: TableView) -> None:
    pipe = WakePipe()
    follower = StreamFollower(daemon, condor_id, pipe.wake)
    follower.start()
    with progress(f"waiting for {daemon.address.url}"):
        while follower.document is None and follower.is_alive():
            select.select([pipe.read_end], [], [], REPAINT_SECONDS)
            pipe.drain()
    if follower.document is None:
        follower.raise_error()
        return
    arrangement = Arrangement(view)
    try:
        with take_terminal(pipe) as terminal:
            _keep_painting(follower, terminal, arrangement)
    except KeyboardInterrupt:
        follower.print_table(arrangement)
        raise
    follower.print_table(arrangement)  # the last table stays on the terminal


def _keep_painting(follower: StreamFollower, terminal: Terminal, arrangement: Arrangement) -> None:
    canvas, pager = Canvas(), Pager()
    while not pager.should_quit:
        is_over = not follower.is_alive()  # asked first, so that the last picture has the last event
        started = time.monotonic()
        size = shutil.get_terminal_size()
        arrangement.keep(started, is_reading=pager.is_reading(started))
        where = screen(os.environ)
        lines = pager.picture(follower.table(where, arrangement), where, size.lines)
        if painted := canvas.paint(lines, size.columns, size.lines):
            write_stdout(painted)
        if is_over:
            follower.raise_error()
            return
        time.sleep(min(REPAINT_SECONDS, PAUSE_FACTOR * (time.monotonic() - started)))
        for key in terminal.wait(REPAINT_SECONDS):
            if key == REPAINT:
                canvas.forget()
            else:
                pager.press(key, time.monotonic())


class StreamFollower(threading.Thread):
    """Follows the stream in a separate thread, so that a resize or a key need not wait for an event.

    It keeps only the newest document. `on_change` is called from the thread after each event, lost connection and
    error.
    """

    def __init__(self, daemon: Daemon, condor_id: str | None, on_change: Callable[[], None]) -> None:
        super().__init__(name="stream-follower", daemon=True)  # it may wait for an event when the process ends
        self._daemon = daemon
        self._condor_id = condor_id
        self._on_change = on_change
        self._mirror = Mirror()
        self._outage = Outage()
        self._clock_is_behind_by = (
            dt.timedelta()
        )  # this machine's clock, compared with the exchange's in the last event
        self._error: Exception | None = None

    @property
    def document(self) -> dict[str, Any] | None:
        """The document as of the last event; None before the first."""
        return self._mirror.document

    def table(self, screen: Screen, arrangement: Arrangement) -> Table:
        """Return the table as of now."""
        now, outage = dt.datetime.now(dt.UTC) + self._clock_is_behind_by, self._outage.sentence
        if self._condor_id is not None:
            lines = one_lines(_one(self._mirror, self._condor_id), self._condor_id, now, screen, outage)
            return Table([], [Line(text, str(at), text) for at, text in enumerate(lines)], [])
        document = unconfirmed_if_lost(decoded(_body(self._mirror, None), wire.Document))
        return document_table(document, arrangement.arranged(document), now, screen, outage, arrangement.view)

    def print_table(self, arrangement: Arrangement) -> None:
        """Write the whole table as of now to stdout."""
        where = screen(os.environ)
        write_stdout("".join(f"{line}\n" for line in folded(self.table(where, arrangement).lines, where.width)))

    def run(self) -> None:
        """Follow the stream until an error."""
        try:
            for event in follow(self._daemon, _filter(self._condor_id), on_cut=self._on_cut):
                self._mirror.apply(event)
                if event.name in _TIMED and (as_of := self._mirror.as_of) is not None:
                    self._clock_is_behind_by = as_of - dt.datetime.now(dt.UTC)
                if event.name != "bye":
                    self._outage.end()
                self._on_change()
        except Exception as error:  # noqa: BLE001, raise_error raises it in the main thread
            self._error = error
        finally:
            self._on_change()

    def _on_cut(self, reason: str, _: float) -> None:
        self._outage.begin(reason)
        self._on_change()

    def raise_error(self) -> None:
        """Wait for the thread, then raise the error that ended it.

        Raises:
            CondordError: as for `follow`.
        """
        self.join()
        if self._error is not None:
            raise self._error


def _filter(condor_id: str | None) -> list[str]:
    return [] if condor_id is None else [condor_id]


def _one(mirror: Mirror, condor_id: str) -> wire.Document:
    """Return the document that has the condor, whole or broken.

    Raises:
        NotFound: it is no longer held.
    """
    document = decoded(_body(mirror, None), wire.Document)
    if condor_id not in [condor.id for condor in held(document)]:
        raise _gone(condor_id)
    return document


def _body(mirror: Mirror, condor_id: str | None) -> bytes:
    """Return the body that `GET /api/positions`, or with an id `/api/positions/{id}`, would have now."""
    document: dict[str, Any] = mirror.document or {}
    if condor_id is None:
        return msgspec.json.encode(document)
    for condor in document.get("condors", ()):
        if condor["id"] == condor_id:
            symbols = {leg["symbol"] for leg in condor["legs"]}
            quotes = [quote for quote in document["quotes"] if quote["symbol"] in symbols]
            body = msgspec.json.encode({"asOf": document["asOf"], "condor": condor, "quotes": quotes})
            if document["status"]["code"] not in wire.LOST_CODES:
                return body
            status = msgspec.convert(document["status"], wire.Status)
            return wire.encode(condor_unconfirmed_if_lost(decoded(body, wire.OneCondor), status))
    if _is_broken(document, condor_id):
        raise broken_condor_error(condor_id)
    raise _gone(condor_id)


def _gone(condor_id: str) -> NotFound:
    return NotFound(f"{condor_id} is no longer held", "`condord positions` lists what is held.")


def _is_broken(document: dict[str, Any], condor_id: str) -> bool:
    return condor_id in [broken["id"] for broken in document.get("broken", ())]
