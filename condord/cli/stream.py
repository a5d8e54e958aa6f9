"""`condord stream`: follow the events, one line each."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
import typer

from condord.cli import alert_lines, completion, formatting, options
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stderr, write_stdout
from condord.cli.progress import with_progress
from condord.cli.screen import Screen, plain, screen
from condord.client.http import decoded
from condord.client.resume import follow
from condord.client.sse import ServerSentEvent
from condord.live import wire, wire_condor
from condord.live.wire_alerts import AlertJson

EXAMPLE = "condord stream --json | jq -r .event"

_MAX_NAMED = 3


def stream(
    *,
    condors: Annotated[
        list[str] | None,
        typer.Option(
            "--condor", metavar="ID", help="Only this condor; may be repeated.", autocompletion=completion.condor_ids
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help='One line per event: {"event", "id", "data"}.')] = False,
    url: options.Url = None,
) -> None:
    """Follow the events until Ctrl-C.

    It reconnects after a lost connection or a restart of the daemon, without losing or repeating an event.
    """
    daemon, output_screen, requested = find_daemon(url, os.environ), screen(os.environ), set(condors or ())

    def on_cut(reason: str, wait_seconds: float) -> None:
        write_stderr(f"condord: {plain(reason)}; next attempt in {wait_seconds:.1f} s")

    for event in with_progress(follow(daemon, condors or (), on_cut=on_cut), f"waiting for {daemon.address.url}"):
        if requested and event.name == "snapshot":
            _report_absent(event, requested)
            requested.clear()
        write_stdout(json_line(event) if as_json else f"{event_line(event, dt.datetime.now(dt.UTC), output_screen)}\n")


def json_line(event: ServerSentEvent) -> bytes:
    """Return an event as one line of JSON, with its data as it was sent, or as a string if that is not JSON."""
    try:
        msgspec.json.decode(event.data)
        data: object = msgspec.Raw(event.data.replace("\n", " ").encode())
    except msgspec.DecodeError:
        data = event.data
    return msgspec.json.encode({"event": event.name, "id": event.id, "data": data}) + b"\n"


def event_line(event: ServerSentEvent, now: dt.datetime, screen: Screen) -> str:
    """Return an event as one line for people: its time, its name, and what changed."""
    describe = _DESCRIPTIONS.get(event.name)
    at, text = describe(event.data.encode(), screen) if describe else (None, "")
    return f"{formatting.clock(at or now)} {screen.paint(plain(event.name), 'strong')} {text}".rstrip()


_Described = tuple[dt.datetime | None, str]
"""The time of an event, None if it has none, and a text."""


def _snapshot(data: bytes, screen: Screen) -> _Described:
    document = decoded(data, wire.Document)
    state, profit = _state(document.status, screen), _gain(document.totals.unrealized_pl, screen)
    count = f"{formatting.condors(len(document.condors))}, {len(document.unmatched)} in no condor"
    return document.as_of, f"{state}, {count}, P/L {profit}{_notices(document.status)}"


def _delta(data: bytes, screen: Screen) -> _Described:
    delta = decoded(data, wire.Delta)
    parts = []
    if delta.status is not msgspec.UNSET:
        reason = f": {plain(delta.status.reason)}" if delta.status.reason else ""
        parts.append(_state(delta.status, screen) + reason + _notices(delta.status))
    parts += [_valuation(value, screen) for value in delta.valuations[:_MAX_NAMED]]
    if len(delta.valuations) > _MAX_NAMED:
        parts.append(f"and {len(delta.valuations) - _MAX_NAMED} more")
    return delta.as_of, "; ".join(parts or [_smaller_change(delta)])


def _smaller_change(delta: wire.Delta) -> str:
    """Describe a delta that changes no condor; one after a resume can be empty."""
    if delta.unmatched:
        return f"{len(delta.unmatched)} in no condor"
    if len(delta.quotes) == 1:
        return f"quote of {plain(delta.quotes[0].symbol)}"
    if delta.quotes:
        return f"{len(delta.quotes)} quotes"
    if delta.alerts is not msgspec.UNSET or delta.alerts_gone is not msgspec.UNSET:
        return "alerts"
    if delta.totals is not msgspec.UNSET:
        return "totals"
    return "nothing new" if delta.history is msgspec.UNSET else "history"


def _valuation(value: wire_condor.ValuationJson, screen: Screen) -> str:
    flags = (" incomplete" if value.missing else "") + (" unconfirmed" if value.unconfirmed else "")
    return f"{plain(value.id)} mark {formatting.price(value.mark)} P/L {_gain(value.unrealized_pl, screen)}{flags}"


def _alert(data: bytes, screen: Screen) -> _Described:
    alert = decoded(data, AlertJson)
    severity = screen.paint(alert.severity, alert_lines.style_of(alert.severity))
    text = f"{severity} {alert.state} {plain(alert.id)}: {plain(alert.text)}"
    return (alert.since if alert.state == "firing" else alert.until), text


def _heartbeat(data: bytes, _: Screen) -> _Described:
    return decoded(data, wire.Heartbeat).as_of, ""


def _bye(data: bytes, _: Screen) -> _Described:
    return None, plain(decoded(data, wire.Bye).reason)


_DESCRIPTIONS: Mapping[str, Callable[[bytes, Screen], _Described]] = {
    "snapshot": _snapshot,
    "delta": _delta,
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


def _report_absent(event: ServerSentEvent, requested: set[str]) -> None:
    """Report the requested condors that are not held, as the daemon sends nothing for them until they are."""
    document = decoded(event.data.encode(), wire.Document)
    held = {condor.id for condor in document.condors} | {broken.id for broken in document.broken}
    for absent in sorted(requested - held):
        write_stderr(f"condord: {plain(absent)} is not held; its events will follow when it is")
