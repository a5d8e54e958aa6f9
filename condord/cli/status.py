"""`condord status`: how the daemon is, on one screen."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Annotated

import typer

from condord.cli import words
from condord.cli.find import find
from condord.cli.screen import Screen, emit, plain, screen
from condord.client import decoded
from condord.live import wire


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The daemon's own JSON.")] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="http://host:port or unix:///path.")] = None,
) -> None:
    """Show how the daemon and its connections are.

    It exits with 0 whatever the state, for the daemon answered; the state is in the answer.
    """
    body = find(url, os.environ).status()
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
        "source": f"{report.source}, feed {report.feed}",
        "stream": f"{connected}, {stream.subscribed} of {stream.requested} symbols, {report.reconnects} reconnects",
        "watchdog": f"newest message {words.age(stream.last_message_at, now)}",
        "positions": f"read {words.age(rest.read_at, now)}",
        "breaker": words.BREAKERS[rest.breaker],
        "market": words.market(report.market, now).removeprefix("market "),
        "subscribers": f"{report.subscribers} of {report.max_subscribers}",
        "frames": f"{report.frames} sent, {report.dropped} dropped{_resyncs(report.resyncs)}",
    }
    if refused := _counts(report.refused):
        fields["refused"] = refused
    lines = [f"{name:<13}{value}" for name, value in fields.items()]
    sentences = words.trouble(report, now) + [words.notice(notice, now) for notice in report.notices]
    return lines + [screen.paint(sentence, "warn") for sentence in sentences]


def _resyncs(counts: Mapping[str, int]) -> str:
    shown = _counts(counts)
    return f", {sum(counts.values())} resyncs ({shown})" if shown else ""


def _counts(counts: Mapping[str, int]) -> str:
    """`slow 2, ring 1`; nothing where nothing was counted."""
    return ", ".join(f"{plain(reason)} {count}" for reason, count in counts.items() if count)
