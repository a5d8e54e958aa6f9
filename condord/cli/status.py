"""`condord status`: how the daemon is, on one screen."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Annotated

import typer

from condord.cli import words
from condord.cli.find import find
from condord.cli.progress import progress
from condord.cli.screen import Screen, emit, folded, plain, screen
from condord.client import decoded
from condord.live import wire

EXAMPLE = "condord status --json | jq -r .state"

_NAME, _LEAST_VALUE = 13, 20  # columns


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The daemon's own JSON.")] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="http://host:port or unix:///path.")] = None,
) -> None:
    """Show how the daemon and its connections are.

    It exits with 0 whatever the state, for the daemon answered; the state is in the answer.
    """
    daemon = find(url, os.environ)
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.status()
    if as_json:
        emit(body + b"\n")
        return
    lines = status_lines(decoded(body, wire.StatusReport), dt.datetime.now(dt.UTC), screen(os.environ))
    emit("".join(f"{line}\n" for line in lines))


def status_lines(report: wire.StatusReport, now: dt.datetime, screen: Screen) -> list[str]:
    """The screen."""
    stream, rest = report.stream, report.positions
    since = f"{words.moment(report.since, now)}, {words.age(report.since, now)}"
    connected = "connected" if stream.connected else screen.paint("not connected", "warn")
    if stream.next_attempt_at is not None:
        connected += f", next attempt {words.ahead(stream.next_attempt_at, now)}"
    fields = {
        "daemon": f"condord {plain(report.version)}, process {report.pid}, up {words.span(report.uptime)}",
        "address": plain(report.address),
        "upstream": f"{screen.paint(report.state, words.state_style(report.state))} since {since}",
        "to do": words.remedy(report, report.pid),
        "source": f"{report.source}, feed {report.feed}",
        "stream": f"{connected}, {stream.subscribed} of {stream.requested} symbols, {report.reconnects} reconnects",
        "watchdog": f"newest message {words.age(stream.last_message_at, now)}",
        "positions": f"read {words.age(rest.read_at, now)}",
        "breaker": words.BREAKERS[rest.breaker],
        "market": words.market(report.market, now).removeprefix("market "),
        "subscribers": f"{report.subscribers} of {report.max_subscribers}",
        "frames": f"{report.frames} sent, {report.dropped} dropped{_resyncs(report.resyncs)}",
        "refused": _counts(report.refused),
    }
    lines = [line for name, value in fields.items() if value for line in _field(name, value, screen)]
    sentences = words.trouble(report, now) + [words.notice(notice, now) for notice in report.notices]
    return lines + folded([screen.paint(sentence, "warn") for sentence in sentences], screen.width)


def _field(name: str, value: str, screen: Screen) -> list[str]:
    """A name and its value, which is folded in its own column where there is room for one."""
    if screen.width is None or screen.width < _LEAST_VALUE + _NAME:
        return folded([f"{name:<{_NAME}}{value}"], screen.width)
    first, *more = folded([value], screen.width - _NAME)
    return [f"{name:<{_NAME}}{first}", *(" " * _NAME + line for line in more)]


def _resyncs(counts: Mapping[str, int]) -> str:
    shown = _counts(counts)
    return f", {sum(counts.values())} resyncs ({shown})" if shown else ""


def _counts(counts: Mapping[str, int]) -> str:
    """`slow 2, ring 1`; nothing where nothing was counted."""
    return ", ".join(f"{plain(reason)} {count}" for reason, count in counts.items() if count)
