"""`condord stream`: follows the events, one line each."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
import typer

from condord.cli import complete, words
from condord.cli.find import find
from condord.cli.progress import begun
from condord.cli.screen import Screen, emit, plain, screen, tell
from condord.client import Event, decoded
from condord.live import wire

EXAMPLE = "condord stream --json | jq -r .event"

_MOST_NAMED = 3


def stream(
    *,
    condors: Annotated[
        list[str] | None,
        typer.Option(
            "--condor", metavar="ID", help="Only this one; may be repeated.", autocompletion=complete.condor_ids
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help='{"event", "id", "data"}, one line an event.')] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="http://host:port or unix:///path.")] = None,
) -> None:
    """Follow the events until Ctrl-C.

    A cut or a restart of the daemon is waited out; nothing is lost or told twice.
    """
    daemon, shown_on, wanted = find(url, os.environ), screen(os.environ), set(condors or ())

    def cut(reason: str, wait_seconds: float) -> None:
        tell(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    for event in begun(daemon.events(condors or (), on_cut=cut), f"waiting for {daemon.address.url}"):
        if wanted and event.name == "snapshot":
            _tell_absent(event, wanted)
            wanted.clear()
        emit(json_line(event) if as_json else f"{event_line(event, dt.datetime.now(dt.UTC), shown_on)}\n")


def json_line(event: Event) -> bytes:
    """An event as one line of JSON; its data as it came, or as a string where that is no JSON."""
    try:
        msgspec.json.decode(event.data)
        data: object = msgspec.Raw(event.data.replace("\n", " ").encode())
    except msgspec.DecodeError:
        data = event.data
    return msgspec.json.encode({"event": event.name, "id": event.id, "data": data}) + b"\n"


def event_line(event: Event, now: dt.datetime, screen: Screen) -> str:
    """An event as one line for people: when, what, and what changed."""
    describe = _DESCRIPTIONS.get(event.name)
    at, text = describe(event.data.encode(), screen) if describe else (None, "")
    return f"{words.clock(at or now)} {screen.paint(plain(event.name), 'strong')} {text}".rstrip()


_Described = tuple[dt.datetime | None, str]


def _snapshot(data: bytes, screen: Screen) -> _Described:
    document = decoded(data, wire.Document)
    state, gained = _state(document.status, screen), _gain(document.totals.unrealized_pl, screen)
    count = f"{words.condors(len(document.condors))}, {len(document.unmatched)} in none"
    return document.as_of, f"{state}, {count}, P/L {gained}{_notices(document.status)}"


def _delta(data: bytes, screen: Screen) -> _Described:
    delta = decoded(data, wire.Delta)
    parts = []
    if delta.status is not msgspec.UNSET:
        reason = f": {plain(delta.status.reason)}" if delta.status.reason else ""
        parts.append(_state(delta.status, screen) + reason + _notices(delta.status))
    parts += [_valuation(value, screen) for value in delta.valuations[:_MOST_NAMED]]
    if len(delta.valuations) > _MOST_NAMED:
        parts.append(f"and {len(delta.valuations) - _MOST_NAMED} more")
    return delta.as_of, "; ".join(parts or [_smaller_change(delta)])


def _smaller_change(delta: wire.Delta) -> str:
    """What changed where no condor did; nothing, for a client that came back and has missed nothing."""
    if delta.unmatched:
        return f"{len(delta.unmatched)} in no condor"
    if len(delta.quotes) == 1:
        return f"quote of {plain(delta.quotes[0].symbol)}"
    if delta.quotes:
        return f"{len(delta.quotes)} quotes"
    return "nothing new" if delta.totals is msgspec.UNSET else "totals"


def _valuation(value: wire.Valuation, screen: Screen) -> str:
    doubt = (" incomplete" if value.missing else "") + (" unconfirmed" if value.unconfirmed else "")
    return f"{plain(value.id)} mark {words.price(value.mark)} P/L {_gain(value.unrealized_pl, screen)}{doubt}"


def _heartbeat(data: bytes, _: Screen) -> _Described:
    return decoded(data, wire.Heartbeat).as_of, ""


def _bye(data: bytes, _: Screen) -> _Described:
    return None, plain(decoded(data, wire.Bye).reason)


_DESCRIPTIONS: Mapping[str, Callable[[bytes, Screen], _Described]] = {
    "snapshot": _snapshot,
    "delta": _delta,
    "heartbeat": _heartbeat,
    "bye": _bye,
}


def _state(status: wire.Status, screen: Screen) -> str:
    return screen.paint(status.state, words.state_style(status.state))


def _notices(status: wire.Status) -> str:
    """The words of all notices there are now, each once; `condord status` has their texts."""
    codes = dict.fromkeys(notice.code for notice in status.notices)
    return f" [{', '.join(codes)}]" if codes else ""


def _gain(value: float | None, screen: Screen) -> str:
    return screen.paint(words.gain(value), words.gain_style(value))


def _tell_absent(event: Event, wanted: set[str]) -> None:
    """Say which condors are not held: the daemon waits for them without a word."""
    held = {condor.id for condor in decoded(event.data.encode(), wire.Document).condors}
    for absent in sorted(wanted - held):
        tell(f"condord: {plain(absent)} is not held now; waiting for it")
