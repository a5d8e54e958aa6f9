"""`condord status`: the state of the daemon on one screen."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping

from condord.cli import alert_lines, alert_sentence, formatting, options
from condord.cli.alerts import condors_of
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stdout
from condord.cli.progress import progress
from condord.cli.screen import Screen, folded, plain, screen
from condord.client.http import Daemon, decoded
from condord.errors import CondordError
from condord.live import wire
from condord.live.remedies import sentence
from condord.live.wire_alerts import AlertsJson
from condord.live.wire_risk import StocksJson

EXAMPLE = "condord status --json | jq -r .state"

_LOCAL_SECONDS = 3.0
"""How long a daemon on this machine has for each answer: the question is whether it works."""
_NAME_WIDTH, _MIN_VALUE_WIDTH = 13, 20


def status(
    *,
    as_json: options.AsJson = False,
    url: options.Url = None,
) -> None:
    """Show the state of the daemon and its connections.

    The exit code is 0 in every state of a daemon that answers.
    """
    daemon = find_daemon(url, os.environ, local_seconds=_LOCAL_SECONDS)
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.status()
        alerts = None if as_json else _alerts(daemon)
        document = None if alerts is None else condors_of(daemon, alerts)
    if as_json:
        write_stdout(body + b"\n")
        return
    report, now = decoded(body, wire.StatusReport), dt.datetime.now(dt.UTC)
    lines = status_lines(report, alerts, now, screen(os.environ), document)
    write_stdout("".join(f"{line}\n" for line in lines))


def _alerts(daemon: Daemon) -> AlertsJson | None:
    """Return the alerts; None if they cannot be read, for example from a relay that has lost its source."""
    try:
        return decoded(daemon.alerts(), AlertsJson)
    except CondordError:
        return None


def status_lines(
    report: wire.StatusReport,
    alerts: AlertsJson | None,
    now: dt.datetime,
    screen: Screen,
    document: wire.Document | None = None,
) -> list[str]:
    """Return the lines of the screen; `alerts` is None if they could not be read, and `document` if none was.

    `now` is by this machine's clock. It is used only if the time of the alerts, which is by the exchange's clock as all
    times here are, is not known, or for ages may be that of the last one before a loss.
    """
    exchange_now = now if alerts is None else alerts.as_of
    report, remedies = formatting.split_remedies(report)
    stream, rest, is_lost = report.stream, report.positions, report.code in wire.LOST_CODES
    now = now if is_lost else exchange_now
    since = f"since {formatting.moment(report.since, now)}, {formatting.age(report.since, now)}"
    state = f"{report.state}, {report.code}" if is_lost else report.state
    unknown = screen.paint(f"unknown since {formatting.moment(report.since, now)} ({report.code})", "warn")
    role = report.cluster.role  # no event carries only a newer `readAt`, so only a daemon of the account knows it
    fields = [
        ("daemon", f"condord {plain(report.version)}, process {report.pid}, up {formatting.span(report.uptime)}"),
        ("address", plain(report.address)),
        ("relay of", _relay(report.cluster)),
        ("cluster", _member(report.cluster)),
        ("upstream", f"{screen.paint(state, 'warn' if is_lost else formatting.state_style(report.state))} {since}"),
        *(("" if number else "to do", plain(sentence(remedy))) for number, remedy in enumerate(remedies)),
        ("source", f"{report.source}, feed {report.feed}"),
        ("stream", unknown if stream.connected is None else _stream(report, now, screen)),
        ("stocks", "" if report.stocks is None else _stocks(report.stocks, now, screen)),
        ("watchdog", f"newest message {formatting.age(stream.last_message_at, now)}"),
        ("positions", "" if is_lost or role != "all" else f"read {formatting.age(rest.read_at, now)}"),
        ("breaker", unknown if rest.breaker is None else formatting.BREAKERS[rest.breaker]),
        ("market", formatting.market(report.market, exchange_now, is_latest=True).removeprefix("market ")),
        ("alerts", _alerts_value(alerts, document, screen, report)),
        ("subscribers", f"{report.subscribers} of {report.max_subscribers}"),
        ("frames", f"{report.frames} sent, {report.dropped} dropped{_resyncs(report.resyncs)}"),
        ("refused", _counts(report.refused)),
    ]
    lines = [line for name, value in fields if value for line in _field(name, value, screen)]
    sentences = formatting.trouble(report, now) + [formatting.notice(notice, now) for notice in report.notices]
    sentences += [] if alerts is None else alert_lines.channels_trouble(alerts.channels)
    return lines + folded([screen.paint(each, "warn") for each in sentences], screen.width)


def _stream(report: wire.StatusReport, now: dt.datetime, screen: Screen) -> str:
    """Format whether the option stream is connected, with how many symbols, and when it connects again."""
    stream = report.stream
    connected = "connected" if stream.connected else screen.paint("not connected", "warn")
    if stream.next_attempt_at is not None:
        connected += f", next attempt {formatting.ahead(stream.next_attempt_at, now)}"
    return f"{connected}, {stream.subscribed} of {stream.requested} symbols, {report.reconnects} reconnects"


def _alerts_value(
    alerts: AlertsJson | None,
    document: wire.Document | None,
    screen: Screen,
    report: wire.StatusReport,
) -> str:
    """Return how many alerts fire, and the sentence of the first; after a loss, as they were last read."""
    if alerts is None:
        return screen.paint("not known: they cannot be read", "warn")
    firing = alert_lines.ordered(alerts.alerts, document)
    if not firing and report.positions.read_at is None:
        return screen.paint("not known: the positions have not been read yet", "warn")
    as_of = "as last read: " if report.code in wire.LOST_CODES else ""
    if not firing:
        return f"{as_of}none firing"
    reason = alert_sentence.sentence(firing[0], alerts.as_of, document, has_price=False)
    sentence = f"{as_of}{alert_lines.counts_text(alert_lines.counted(firing))}: {plain(reason)}"
    return screen.paint(sentence, alert_lines.style_of(firing[0].severity))


def _stocks(stocks: StocksJson, now: dt.datetime, screen: Screen) -> str:
    """Format the stream of the underlyings' prices: its state, and how many of them come from it and from REST."""
    if not stocks.stream and not stocks.polled:
        return "no prices of stocks are needed" if stocks.state == "closed" else stocks.state
    state = screen.paint(stocks.state, formatting.state_style(stocks.state))
    code = f" ({plain(stocks.code)})" if stocks.code else ""
    counts = f"{len(stocks.stream)} streamed, {len(stocks.polled)} requested over REST"
    return f"{state}{code} since {formatting.moment(stocks.since, now)}, {counts}"


def _relay(cluster: wire.ClusterJson) -> str:
    """Format a relay's source and lag; empty for any other role."""
    if cluster.role != "relay":
        return ""
    leader = "a bus, on which no leader is known" if cluster.leader is None else f"{cluster.leader} on a bus"
    followed = cluster.source or f"{leader}, {_fence(cluster)}"
    lag = "" if cluster.lag_ms is None else f", {cluster.lag_ms} ms behind"
    return f"{plain(followed)}{lag}, gaps {cluster.gaps}, dropped {cluster.dropped}"


def _member(cluster: wire.ClusterJson) -> str:
    """Format the role of one of several ingesters, and which one leads; empty for any other."""
    if cluster.role not in ("leader", "standby"):
        return ""
    leader = "no leader is known" if cluster.leader is None else f"{plain(cluster.leader)} leads"
    return f"{cluster.role}, {leader}, {_fence(cluster)}"


def _fence(cluster: wire.ClusterJson) -> str:
    return "fence not known" if cluster.fence is None else f"fence {cluster.fence}"


def _field(name: str, value: str, screen: Screen) -> list[str]:
    """Return the lines of one field; a long value is folded in its own column if there is room for one."""
    if screen.width is None or screen.width < _MIN_VALUE_WIDTH + _NAME_WIDTH:
        return folded([f"{name:<{_NAME_WIDTH}}{value}"], screen.width)
    first, *more = folded([value], screen.width - _NAME_WIDTH)
    return [f"{name:<{_NAME_WIDTH}}{first}", *(" " * _NAME_WIDTH + line for line in more)]


def _resyncs(counts: Mapping[str, int]) -> str:
    shown = _counts(counts)
    return f", {sum(counts.values())} resyncs ({shown})" if shown else ""


def _counts(counts: Mapping[str, int]) -> str:
    """Format the counts that are not zero: `slow 2, ring 1`."""
    return ", ".join(f"{plain(reason)} {count}" for reason, count in counts.items() if count)
