"""`condord stream`: follow the events, one line each."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
import typer

from condord.cli import alert_lines, completion, formatting, options
from condord.cli.daemon_address import find_daemon
from condord.cli.moves import Moves
from condord.cli.output import require_reader, write_stderr, write_stdout
from condord.cli.progress import with_progress
from condord.cli.screen import Screen, plain, screen, shortened, visible_width, without_colour
from condord.cli.view import AnyCondor, profit
from condord.client.http import Daemon, decoded
from condord.client.resume import follow
from condord.client.sse import ServerSentEvent
from condord.core.market_hours import exchange_day
from condord.core.naming import expiration_of
from condord.core.position import Direction
from condord.live import wire, wire_condor
from condord.live.never_read import why_positions_unread
from condord.live.urgency import held
from condord.live.wire_alerts import AlertJson

EXAMPLE = "condord stream --json | jq -r .event"

_MAX_NAMED = 3
_MIN_NAME = 6  # columns of an id that has no room
_SMALLER_CHANGES = {
    "alerts": "alerts",
    "alerts_gone": "alerts",
    "closing": "closing orders",
    "risks": "risk figures",
    "underlyings": "prices of underlyings",
    "history": "history",
    "totals": "totals",
    "account": "balances",
}
"""The other parts of a delta besides values and quotes, with their names, the most important first."""


def stream(
    *,
    condors: Annotated[
        list[str] | None,
        typer.Option(
            "--condor", metavar="ID", help="Only this condor; may be repeated.", autocompletion=completion.condor_ids
        ),
    ] = None,
    changes: Annotated[
        float | None,
        typer.Option(
            metavar="AMOUNT",
            parser=options.amount,
            help="Only alerts, and condors whose P/L moved by at least this many dollars since their last line.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help='One line per event: {"event", "id", "data"}.')] = False,
    url: options.Url = None,
) -> None:
    """Follow the events until Ctrl-C.

    It reconnects after a lost connection or a restart of the daemon, without losing or repeating an event. A line
    is as wide as the terminal at most.
    """
    daemon, requested = find_daemon(url, os.environ), set(condors or ())
    # As JSON, every event is a line.
    requested_count = 0 if as_json else len(requested)
    described = EventLines(requested_count) if changes is None else MoveFilter(changes, requested_count)

    def on_cut(reason: str, wait_seconds: float) -> None:
        write_stderr(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    for event in with_progress(follow(daemon, condors or (), on_cut=on_cut), f"waiting for {daemon.address.url}"):
        if requested and event.name == "snapshot":
            _report_absent(event, requested, daemon)
        now, where = dt.datetime.now(dt.UTC), screen(os.environ)  # a terminal may be resized
        lines = described.lines(event, now, where)
        if as_json and lines:
            write_stdout(json_line(event))
        elif lines:
            write_stdout("".join(f"{line}\n" for line in lines))
        else:
            require_reader()


class EventLines:
    """Describes each event in a line: its time, its name, and what changed.

    Deltas do not contain which condors are long, so that is remembered from the last snapshot. `requested_count` is how
    many condors `--condor` names; 0 if all are shown. Unless all are, a delta that is only about the account has no
    line.
    """

    def __init__(self, requested_count: int = 0) -> None:
        self._requested = requested_count
        self._directions: dict[str, Direction] = {}

    def lines(self, event: ServerSentEvent, now: dt.datetime, screen: Screen) -> list[str]:
        """Return the line of an event, if it has one."""
        room = None if screen.width is None else screen.width - len(_head(now, event.name))
        described = self._described(event, screen, room)
        return [] if described is None else [_line(described[0] or now, event.name, described[1], screen)]

    def valuation(
        self, value: wire_condor.ValuationJson, screen: Screen, room: int | None = None, change: str = ""
    ) -> str:
        """Describe a condor's value: the mark as the cost of closing, or for a long condor as the proceeds.

        Where that does not fit into `room` columns the mark is left out, and then the end of the id.
        """
        flags = (" incomplete" if value.missing else "") + (" unconfirmed" if value.unconfirmed else "")
        mark = formatting.closing_price(value.mark, self._directions.get(value.id, "short"))
        profit = f" P/L {_gain(value.unrealized_pl, screen)}{flags}{change}"
        name, with_mark = plain(value.id), f"{plain(value.id)} mark {mark}{profit}"
        if room is None or visible_width(with_mark) <= room:
            return with_mark
        return shortened(name, max(_MIN_NAME, room - visible_width(profit))) + profit

    def _described(self, event: ServerSentEvent, screen: Screen, room: int | None) -> _TimedText | None:
        data = event.data.encode()
        if event.name == "snapshot":
            document = decoded(data, wire.Document)
            self._directions = {condor.id: condor.direction for condor in document.condors}
            return document.as_of, _fitting(self._snapshot(document, screen), _notices(document.status), room)
        if event.name == "delta":
            delta = decoded(data, wire.Delta)
            is_left_out = self._requested and _is_of_account(delta)
            return None if is_left_out else (delta.as_of, self._delta(delta, screen, room))
        describe = _DESCRIPTIONS.get(event.name)
        return describe(data, screen, room) if describe else (None, "")

    def _snapshot(self, document: wire.Document, screen: Screen) -> list[list[str]]:
        """Return the parts of the line, and what is left of them where there is less room: the P/L is last to go."""
        state, total = _state(document.status, screen), f"P/L {_gain(document.totals.unrealized_pl, screen)}"
        if why_positions_unread(document):
            return [[state, "positions not read yet"]]
        if not self._requested:
            count = formatting.condors(len(document.condors))
            alone = f"{len(document.unmatched)} in no condor"
            return [[state, count, alone, total], [state, count, total], [state, total]]
        shown = held(document)
        count, own = f"{len(shown)} of {formatting.condors(self._requested)}", f"P/L {_gain(_sum(shown), screen)}"
        if not shown:
            return [[state, count, f"account {total}"], [state, count]]
        return [[state, count, own, f"account {total}"], [state, count, own], [state, own]]

    def _delta(self, delta: wire.Delta, screen: Screen, room: int | None) -> str:
        parts = [] if delta.status is msgspec.UNSET else [_status(delta.status, screen)]
        values = [self.valuation(value, screen) for value in delta.valuations]
        if values and not parts and room is not None:
            more = visible_width(_named((), values, 1)) - visible_width(values[0])
            values[0] = self.valuation(delta.valuations[0], screen, room - more)
        count = next(
            count for count in range(min(len(values), _MAX_NAMED), -1, -1) if _fits(parts, values, count, room)
        )
        return _named(parts, values, count) or _smaller_change(delta)


def _fitting(choices: Sequence[Sequence[str]], notices: str, room: int | None) -> str:
    """Return the first of the choices that fits, else the last one with a shorter state, which is its first part."""
    texts = [", ".join(parts) + notices for parts in choices]
    if (found := next((text for text in texts if room is None or visible_width(text) <= room), None)) is not None:
        return found
    (state, *rest), wanted = choices[-1], visible_width(", ".join(choices[-1]))
    short = shortened(without_colour(state), max(1, (room or 0) - wanted + visible_width(state)))
    return ", ".join([short, *rest]) + notices


class MoveFilter:
    """Leaves out events in which no profit or loss moved by at least `amount` dollars since it was last shown.

    A change of the state, an alert and the end of the daemon are always shown.
    """

    def __init__(self, amount: float, requested_count: int = 0) -> None:
        self._all = EventLines(requested_count)
        self._moves = Moves(amount)
        self._state: tuple[str, str | None] | None = None

    def lines(self, event: ServerSentEvent, now: dt.datetime, screen: Screen) -> list[str]:
        """Return a line for each condor that moved, or those of another event that is shown."""
        data = event.data.encode()
        if event.name == "snapshot":
            document = decoded(data, wire.Document)
            self._has_changed(document.status)
            line = self._all.lines(event, now, screen)  # first, as it remembers the directions
            return line + self._moved([condor.valuation for condor in document.condors], document.as_of, screen)
        if event.name == "delta":
            delta = decoded(data, wire.Delta)
            lines = self._moved(delta.valuations, delta.as_of, screen)
            if delta.status is not msgspec.UNSET and self._has_changed(delta.status):
                lines.insert(0, _line(delta.as_of, event.name, _status(delta.status, screen), screen))
            return lines
        return [] if event.name == "heartbeat" else self._all.lines(event, now, screen)

    def _moved(self, values: Sequence[wire_condor.ValuationJson], at: dt.datetime, screen: Screen) -> list[str]:
        room = None if screen.width is None else screen.width - len(_head(at, "delta"))
        return [
            _line(
                at,
                "delta",
                self._all.valuation(move.value, screen, room, f" ({formatting.gain(move.change)})"),
                screen,
            )
            for move in self._moves.moved(values)
        ]

    def _has_changed(self, status: wire.Status) -> bool:
        before, self._state = self._state, (status.state, status.code)
        return before != self._state


def json_line(event: ServerSentEvent) -> bytes:
    """Return an event as one line of JSON, with its data as it was sent, or as a string if that is not JSON."""
    try:
        msgspec.json.decode(event.data)
        data: object = msgspec.Raw(event.data.replace("\n", " ").encode())
    except msgspec.DecodeError:
        data = event.data
    return msgspec.json.encode({"event": event.name, "id": event.id, "data": data}) + b"\n"


def _head(at: dt.datetime, name: str) -> str:
    return f"{formatting.clock(at)} {plain(name)} "


def _line(at: dt.datetime, name: str, text: str, screen: Screen) -> str:
    head = _head(at, name)
    if screen.width is not None and visible_width(head + text) > screen.width:
        # A code of colours could be cut in half.
        text = shortened(without_colour(text), max(1, screen.width - len(head)))
    return (head.replace(plain(name), screen.paint(plain(name), "strong")) + text).rstrip()


_TimedText = tuple[dt.datetime | None, str]
"""The time of an event, None if it has none, and a text."""


def _sum(shown: Sequence[AnyCondor]) -> float | None:
    known = [gain for condor in shown if (gain := profit(condor)) is not None]
    return sum(known) if len(known) == len(shown) else None


def _is_of_account(delta: wire.Delta) -> bool:
    """Return whether a delta has the totals or the balances of the account, and nothing else."""
    rest = msgspec.structs.replace(delta, totals=msgspec.UNSET, account=msgspec.UNSET)
    return rest != delta and rest == wire.Delta(as_of=delta.as_of, quotes=[], valuations=[], unmatched=[])


def _fits(parts: Sequence[str], values: Sequence[str], count: int, room: int | None) -> bool:
    """Return whether the first `count` values fit. The first one always does, unless `parts` has a status already."""
    return room is None or count <= (0 if parts else 1) or visible_width(_named(parts, values, count)) <= room


def _named(parts: Sequence[str], values: Sequence[str], count: int) -> str:
    more = (
        [f"and {len(values) - count} more" if count else formatting.condors(len(values))] if len(values) > count else []
    )
    return "; ".join([*parts, *values[:count], *more])


def _status(status: wire.Status, screen: Screen) -> str:
    reason = f": {plain(status.reason)}" if status.reason else ""
    return _state(status, screen) + reason + _notices(status)


def _smaller_change(delta: wire.Delta) -> str:
    """Describe a delta that changes no condor; one after a resume can be empty."""
    if delta.unmatched:
        return f"{len(delta.unmatched)} in no condor"
    if len(delta.quotes) == 1:
        return f"quote of {plain(delta.quotes[0].symbol)}"
    if delta.quotes:
        return f"{len(delta.quotes)} quotes"
    found = (text for name, text in _SMALLER_CHANGES.items() if getattr(delta, name) is not msgspec.UNSET)
    return next(found, "nothing new")


def _alert(data: bytes, screen: Screen, room: int | None) -> _TimedText:
    alert = decoded(data, AlertJson)
    start, sentence = f"{alert.severity} {alert.state}", plain(alert.text)
    text = f"{start} {plain(alert.id)}: {sentence}"
    if room is not None and visible_width(text) > room:  # the sentence names the condor too
        text = shortened(f"{start}: {sentence}", max(len(start), room))
    painted = screen.paint(alert.severity, alert_lines.style_of(alert.severity))
    return (alert.since if alert.state == "firing" else alert.until), painted + text.removeprefix(alert.severity)


def _heartbeat(data: bytes, _screen: Screen, _room: int | None) -> _TimedText:
    return decoded(data, wire.Heartbeat).as_of, ""


def _bye(data: bytes, _screen: Screen, _room: int | None) -> _TimedText:
    return None, plain(decoded(data, wire.Bye).reason)


_DESCRIPTIONS: Mapping[str, Callable[[bytes, Screen, int | None], _TimedText]] = {
    "alert": _alert,
    "heartbeat": _heartbeat,
    "bye": _bye,
}


def _state(status: wire.Status, screen: Screen) -> str:
    return screen.paint(status.state, formatting.state_style(status.state))


def _notices(status: wire.Status) -> str:
    """List the codes of the current notices, each once; `condord status` shows their texts."""
    codes = dict.fromkeys(notice.code for notice in status.notices)
    return f" [{', '.join(codes)}]" if codes else ""


def _gain(value: float | None, screen: Screen) -> str:
    return screen.paint(formatting.gain(value), formatting.gain_style(value))


def _report_absent(event: ServerSentEvent, requested: set[str], daemon: Daemon) -> None:
    """Report the requested condors that are not held, as the daemon sends nothing for them until they are.

    That is done once, in the first snapshot of positions that were read; then nothing is left in `requested`.

    Raises:
        NotFound: one of them can never be held: no condor has such an id, or it has expired.
    """
    document = decoded(event.data.encode(), wire.Document)
    if why_positions_unread(document):
        return
    absent = sorted(requested - {condor.id for condor in held(document)})
    for each in absent:
        expiration = expiration_of(each)
        if expiration is None or expiration < exchange_day(document.as_of):
            daemon.whole_or_broken(each)
    for each in absent:
        write_stderr(f"condord: {plain(each)} is not held; waiting until it is")
    requested.clear()
