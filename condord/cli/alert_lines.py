"""Show alerts for people: as a list with rules and channels, or all of them as one line."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterable, Mapping

from condord.cli import alert_sentence, formatting
from condord.cli.condor_notes import has_old_quotes
from condord.cli.grid import Cell, Row, grid
from condord.cli.screen import Screen, painted, plain
from condord.cli.view import broken_key, profit, row_key
from condord.core.rules.rule import Severity
from condord.live import wire
from condord.live.lost_source import unconfirmed_if_lost
from condord.live.urgency import by_need, held
from condord.live.wire_alerts import AlertCounts, AlertJson, AlertsJson, ChannelJson, RuleJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import ValuationJson

_SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The most severe first."""
MARKS: Mapping[Severity, str] = {"critical": "◆", "warning": "■", "info": "●"}
"""The shape of each severity, for people who do not see its colour."""
_STYLES: Mapping[Severity, str] = {"critical": "bad", "warning": "warn", "info": "strong"}
_ABOUT_BROKEN = frozenset({"broken-condor", "assignment"})
"""Rules whose alerts are about the legs left of a condor."""
_GONE = "HTTP 410"
_INDENT, _MIN_TEXT_WIDTH = 12, 20
_SUMMARY_LINES = 2
_SPARE_CHANNEL = ("LAST DELIVERY", "FROM", "TYPE", "WAITING")


def alerts_lines(
    answer: AlertsJson,
    now: dt.datetime,
    screen: Screen,
    *,
    with_all: bool = False,
    document: wire.Document | None = None,
    gap: str = "",
) -> list[str]:
    """Return the lines for an answer of `GET /api/alerts`; they depend only on the arguments.

    Without `with_all` they have only firing alerts, and channels that do not deliver. `document` has the condors that
    alerts fire for, None if they are not known. `gap` is a sentence about what is not watched, if anything is.
    """
    firing, current = ordered(answer.alerts, document), _current(document)
    texts = [alert_sentence.sentence(alert, now, document) for alert in firing]
    lines = [
        line for alert, text in zip(firing, texts, strict=True) for line in _alert(alert, text, now, screen, current)
    ]
    lines += ["", counts_text(counted(firing))] if firing else ["No alert is firing."]
    lines += painted(formatting.capitalized(plain(gap)), "warn", screen) if gap else []
    if not with_all:
        trouble = channels_trouble(answer.channels)
        return lines + ["" for _ in trouble[:1]] + [line for each in trouble for line in painted(each, "warn", screen)]
    over = sorted((alert for alert in answer.alerts if alert.state != "firing"), key=_by_age)
    if over:
        lines += [
            "",
            "Resolved or ended",
            *(line for alert in over for line in _alert(alert, alert.text, now, screen, {})),
        ]
    enabled = [rule for rule in answer.rules if rule.enabled]
    if enabled:
        lines += ["", *grid("RULE|SEVERITY|FROM| FOR", [_rule(rule) for rule in enabled], screen)]
    if off := ", ".join(plain(rule.name) for rule in answer.rules if not rule.enabled):
        lines += painted(f"turned off: {off}", "faint", screen)
    if answer.channels:
        rows = [_channel(channel, now) for channel in answer.channels]
        titles = "CHANNEL|TYPE|FROM|LAST DELIVERY| WAITING"
        lines += ["", *grid(titles, rows, screen, spare=_SPARE_CHANNEL)]
    return lines


def ordered(alerts: Iterable[AlertJson], document: wire.Document | None) -> list[AlertJson]:
    """Return those that fire, in the order of `by_need`; `document` is None if the condors are not known."""
    return sorted((alert for alert in alerts if alert.state == "firing"), key=by_need(document))


def _by_age(alert: AlertJson) -> tuple[float, str]:
    """Sort the newest first."""
    return -(alert.until or alert.since).timestamp(), alert.id


def counted(alerts: Iterable[AlertJson]) -> AlertCounts:
    """Count those that fire."""
    severities = [alert.severity for alert in alerts if alert.state == "firing"]
    return AlertCounts(**{severity: severities.count(severity) for severity in _SEVERITIES})


def counts_text(counts: AlertCounts) -> str:
    """Format the counts that are not zero: `1 critical, 2 warning`; empty if all are."""
    numbers = [(getattr(counts, severity), severity) for severity in _SEVERITIES]
    return ", ".join(f"{number} {severity}" for number, severity in numbers if number)


def summary(document: wire.Document, screen: Screen) -> list[str]:
    """Return two lines at most: how many alerts fire and the text of the first; none if no alert does.

    More may fire than the document has. The text is shortened to the width of the screen. It leaves out the price and
    the P/L of the moment at which the alert fired, because the lines above it have the current ones.
    """
    counts = document.totals.alerts
    numbers = counts_text(counts)
    if not numbers:
        return []
    firing = ordered(document.alerts, document)
    sentence = f"alerts: {numbers}" + (
        f" · {plain(alert_sentence.sentence(firing[0], document.as_of, document, has_price=False))}" if firing else ""
    )
    severest = next(severity for severity in _SEVERITIES if getattr(counts, severity))
    width = screen.width or len(sentence)
    lines = textwrap.wrap(sentence, width, max_lines=_SUMMARY_LINES, placeholder=" …", break_on_hyphens=False)
    return [screen.paint(line, _STYLES[severest]) for line in lines]


def _current(document: wire.Document | None) -> dict[str, str]:
    """Return what each condor is worth now, and the price of its underlying, both marked if they may be old.

    The keys come from `row_key`. The broken part is also under the id alone, if no condor with that id is whole.
    """
    if document is None:
        return {}
    document = unconfirmed_if_lost(document)
    quotes = {quote.symbol: quote for quote in document.quotes}
    prices = {entry.symbol: entry for entry in document.underlyings}
    old = ["old"] if formatting.why_old(document.status, document.as_of) else []
    found = {}
    for condor in held(document):
        details = ["unconfirmed"] if has_old_quotes(condor, quotes) else old
        if not isinstance(condor, BrokenJson):
            details = [
                *_shares(condor.valuation),
                f"close now {formatting.gain(condor.valuation.natural_pl)}",
                *details,
            ]
        entry = prices.get(condor.underlying)
        parts = [f"P/L {formatting.gain(profit(condor))}" + (f" ({', '.join(details)})" if details else "")]
        if entry is not None and entry.price is not None:
            mark = " (unconfirmed)" if formatting.is_price_doubtful(entry) else ""
            parts.append(f"{plain(condor.underlying)} {formatting.money(entry.price)}{mark}")
        found[row_key(condor)] = ", ".join(parts)
    return {condor.id: found[row_key(condor)] for condor in held(document) if row_key(condor) != condor.id} | found


def _shares(value: ValuationJson) -> list[str]:
    """Return which part of the maximum loss or profit has been lost or made; nothing if that is not known."""
    lost, made = value.percent_of_risk, value.percent_of_max_profit
    if lost is not None and lost < 0:
        return [f"{formatting.percent(-lost)} of max loss"]
    return [f"{formatting.percent(made)} of max profit"] if made is not None and made > 0 else []


def _worth(alert: AlertJson, current: Mapping[str, str]) -> str | None:
    """Return the value of the alert's condor now: of the legs left, if the alert is about them."""
    key = alert.condor_id or ""
    return current.get(broken_key(key) if alert.rule in _ABOUT_BROKEN else key) or current.get(key)


def channels_trouble(channels: Iterable[ChannelJson]) -> list[str]:
    """Return a sentence for each channel that does not deliver."""
    return [
        f"channel {plain(channel.name)}: {', '.join(faults)}" for channel in channels if (faults := _faults(channel))
    ]


def style_of(severity: Severity) -> str:
    """Return the style of a severity."""
    return _STYLES[severity]


def _alert(alert: AlertJson, text: str, now: dt.datetime, screen: Screen, current: Mapping[str, str]) -> list[str]:
    """Return the sentence of an alert, and below it the id and what else is known.

    `current` comes from `_current`; `text` is the sentence to show.
    """
    is_firing = alert.state == "firing"
    head = f"{MARKS[alert.severity]} {alert.severity}" if is_firing else alert.state
    style = _STYLES[alert.severity] if is_firing else "faint"
    at = formatting.moment
    details = [f"since {at(alert.since, now)}, {formatting.age(alert.since, now)}"]
    if not is_firing:
        until = f" until {at(alert.until, now)}" if alert.until else ""
        details = [f"{alert.severity} since {at(alert.since, now)}{until}"]
    if alert.value is not None:
        threshold = "" if alert.threshold is None else f" (threshold {formatting.number(alert.threshold)})"
        details.append(f"value {formatting.number(alert.value)}{threshold}")
    details += ["at natural"] if alert.basis == "natural" else []
    details += ["already true at the first check"] if alert.at_start else []
    details += [f"acknowledged {at(alert.acknowledged_at, now)}"] if alert.acknowledged_at else []
    then = alert_sentence.split(alert.text)[1] if is_firing else ""
    worth = _worth(alert, current)
    profits = [f"now {worth}"] * bool(worth) + [f"when it fired {plain(then)}"] * bool(then)
    sentence, *more = _wrapped(plain(text), screen)
    parts = (plain(alert.id), ", ".join(details), *(["; ".join(profits)] if profits else []))
    below = [line for part in parts for line in _wrapped(part, screen)]
    indented = [" " * _INDENT + line for line in (*more, *below)]
    return [f"{screen.paint(head.ljust(_INDENT), style)}{sentence}", *indented]


def _wrapped(text: str, screen: Screen) -> list[str]:
    if screen.width is None:
        return [text]
    width = max(_MIN_TEXT_WIDTH, screen.width - _INDENT)
    # An id is not broken, so that it can be copied.
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]


def _rule(rule: RuleJson) -> Row:
    clear = f"; clears at {' or '.join(rule.clear)}" if rule.clear else ""
    natural = ", at natural" if rule.basis == "natural" else ""
    return [
        Cell(plain(rule.name), "strong"),
        Cell(rule.severity, _STYLES[rule.severity]),
        Cell("built in" if rule.built_in else "config"),
        Cell(f"{rule.for_seconds:g} s"),
        Cell(plain(f"{' and '.join(rule.when)}{clear}{natural}")),
    ]


def _channel(channel: ChannelJson, now: dt.datetime) -> Row:
    return [
        Cell(plain(channel.name), "strong"),
        Cell(channel.type),
        Cell(channel.min_severity),
        Cell(formatting.age(channel.last_delivery_at, now)),
        Cell(str(channel.waiting)),
        Cell(", ".join(_faults(channel, with_waiting=False)), "warn"),
    ]


def _faults(channel: ChannelJson, *, with_waiting: bool = True) -> list[str]:
    """Describe why a channel does not deliver; empty if nothing is known against it."""
    faults = (
        ["disabled by an answer of 410 until the next start or until its configuration changes"]
        if channel.disabled
        else []
    )
    # The sentence above covers an answer of 410.
    error = channel.last_error
    faults += [plain(error)] if error and not (channel.disabled and error.startswith(_GONE)) else []
    if faults and with_waiting and channel.waiting:
        faults.append(f"{channel.waiting} waiting")
    return faults
