"""Format single values: money, prices, times, ages. A value that is not known is a dash, never 0."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from condord.cli.screen import plain
from condord.core.market_hours import EXCHANGE_ZONE
from condord.core.occ import symbols_text
from condord.core.position import Direction
from condord.core.signed import signed_dollars
from condord.live import wire
from condord.live.remedies import CAUSE_REMEDIES, DISK_REMEDIES, LOST_REMEDIES, split_remedy
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson, Unmatched
from condord.live.wire_history import TradeJson
from condord.live.wire_risk import RiskJson, UnderlyingJson
from condord.upstream.failure_table import REMEDIES

UNKNOWN = "—"

QUOTE_STATES: Mapping[str, str] = {
    "none": "no quote",
    "twoSided": "",
    "zeroBid": "no bid",
    "noAsk": "no ask",
    "locked": "locked",
    "crossed": "crossed",
    "stub": "stub quote",
}

COVERS: Mapping[str, str] = {
    "sameExpiry": "covered",
    "laterLong": "covered by a later long",
    "shares": "covered by shares",
}

PRICE_PROBLEMS: Mapping[str, str] = {
    "indexNotEntitled": "the account may not read index values",
    "noQuote": "Alpaca has no usable quote",
    "stale": "neither the stream nor REST has confirmed it for a minute",
    "unreachable": "neither the stream nor REST has answered yet",
}

BREAKERS: Mapping[str, str] = {"closed": "closed", "open": "open", "halfOpen": "half open"}

_WAIT_FOR_ALPACA = "if it lasts, see Alpaca's status page: it recovers by itself once Alpaca answers"
"""What to do while neither the stream nor REST works."""

_KINDS = {"ironCondor": "condor", "ironButterfly": "butterfly"}

_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def price(value: float | None) -> str:
    """Format dollars per share with two decimals, or as many as the price has."""
    if value is None:
        return UNKNOWN
    whole, _, decimals = f"{value:,.4f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def money(value: float | None) -> str:
    """Format dollars without a plus sign."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def gain(value: float | None) -> str:
    """Format dollars with their sign; an amount that rounds to zero is `0.00`."""
    return UNKNOWN if value is None else signed_dollars(value)


def gain_style(value: float | None) -> str:
    """Return the style of a gain or a loss."""
    return "" if not value else "good" if value > 0 else "bad"


def entry(credit: float | None) -> str:
    """Format a credit or debit with its name: `2.35 credit`, `6.45 debit`."""
    return UNKNOWN if credit is None else f"{price(abs(credit))} {'debit' if credit < 0 else 'credit'}"


def closing_price(value: float | None, direction: Direction) -> str:
    """Format a price to close as the cost of closing, or for a long condor as the proceeds."""
    return price(-value if value and direction == "long" else value)


def loss(value: float | None, *, is_unlimited: bool) -> str:
    """Format a maximum loss; one without a bound is `unlimited`."""
    return "unlimited" if value is None and is_unlimited else money(value)


def percent(value: float | None) -> str:
    """Format a percentage of profit or loss, as a whole number."""
    return UNKNOWN if value is None else f"{round(value) + 0} %"


def greek(value: float | None) -> str:
    """Format dollars of a greek with their sign."""
    return UNKNOWN if value is None else signed_dollars(value)


def change(value: float | None) -> str:
    """Format a change in percent with its sign."""
    return UNKNOWN if value is None else f"{value:+.2f} %" if round(value, 2) else "0.00 %"


def chance(value: float | None) -> str:
    """Format a probability in percent."""
    return UNKNOWN if value is None else f"{value:.1f} %"


def distance(risk: RiskJson) -> str:
    """Return the nearer side and how far away it is in percent of the price: `put 2.1 %`, negative beyond it."""
    sides = (("put", risk.distance.put.percent), ("call", risk.distance.call.percent))
    known = [(percent, side) for side, percent in sides if percent is not None]
    if not known:
        return UNKNOWN
    nearest, side = min(known)
    return f"{side} {nearness(nearest)}"


def nearness(percent: float | None) -> str:
    """Format a distance in percent of the price: `2.1 %`, with a second decimal below 1 %."""
    return UNKNOWN if percent is None else f"{percent:.{2 if abs(percent) < 1 else 1}f} %"


def distance_style(risk: RiskJson) -> str:
    """Return the style of a distance: beyond an inner strike, or so near that the side is tested."""
    return "bad" if risk.breached else "warn" if risk.tested in ("put", "call") else ""


def is_price_doubtful(entry: UnderlyingJson | None) -> bool:
    """Return whether the price of an underlying may be old; a price that is not known is not."""
    return entry is not None and entry.price is not None and (entry.unconfirmed or entry.reason is not None)


def cover(entry: Unmatched) -> str:
    """Describe the cover of a short, or that it has none; empty for a long."""
    if entry.uncovered_short:
        return "uncovered short"
    return COVERS[entry.cover] if entry.cover else ""


def unlimited(document: wire.Document) -> set[str]:
    """Return the underlyings whose loss has no bound: those of uncovered short calls."""
    bare = (entry for entry in document.unmatched if entry.uncovered_short and entry.right == "call")
    return {entry.underlying for entry in bare if entry.underlying is not None}


def price_trouble(entry: UnderlyingJson | None) -> str:
    """Describe why an underlying has no price, or why its price may be old; empty if it can be trusted."""
    if entry is None or (entry.price is not None and not is_price_doubtful(entry)):
        return ""
    why = PRICE_PROBLEMS.get(entry.reason or "", "")
    if entry.price is None:
        return f"no price: {why}" if why else "no price"
    return f"price unconfirmed: {why}" if why else "price unconfirmed"


def ex_dividend(entry: UnderlyingJson | None, today: dt.date) -> str:
    """Describe the next dividend of an underlying; empty if none is known."""
    if entry is None or entry.ex_dividend is None:
        return ""
    return f"ex-dividend {date(entry.ex_dividend.date, today)}: {price(entry.ex_dividend.amount)}"


def number(value: float | None) -> str:
    """Format a strike or a count without trailing zeros."""
    return UNKNOWN if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def condors(count: int) -> str:
    """Format a count: `1 condor`, `2 condors`."""
    return f"{count} condor{'' if count == 1 else 's'}"


def kind(condor: CondorJson | BrokenJson | TradeJson) -> str:
    """Return direction and kind: `short condor`, `long butterfly`."""
    return f"{condor.direction} {_KINDS[condor.kind]}"


def date(day: dt.date, today: dt.date) -> str:
    """Format a date: `Dec 18`, with its year unless it is this one."""
    return f"{day:%b} {day.day}" + ("" if day.year == today.year else f", {day.year}")


def days(count: int, unit: str = "") -> str:
    """Format the days to expiration; `unit` replaces `day` and `days`."""
    if count < 0:
        return "expired"
    return "today" if count == 0 else f"{count} {unit or ('day' if count == 1 else 'days')}"


def ask(quote: wire.QuoteJson | None) -> float | None:
    """Return the ask; None if there is no quote or no ask."""
    return None if quote is None or quote.state == "noAsk" else quote.ask


_JUST_NOW_SECONDS = 0.05
"""Less than this would be shown as 0.0 s."""
_CLOCKS_DIFFER_SECONDS = 1.0
"""How far an instant may be ahead of this machine's clock, as even synchronized clocks differ."""


def span(seconds: float) -> str:
    """Format a duration in its two largest units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = int(seconds)
    for size, name, part_size, part in _UNITS:
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part_size} {part}"
    return f"{whole} s"


def age(at: dt.datetime | None, now: dt.datetime) -> str:
    """Format how long ago something was.

    An instant in the future comes from another clock, so how long ago it was is not known.
    """
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    if seconds < -_CLOCKS_DIFFER_SECONDS:
        return f"{span(-seconds)} ahead of this clock"
    return "just now" if seconds < _JUST_NOW_SECONDS else f"{span(seconds)} ago"


def _lasting(since: dt.datetime, now: dt.datetime) -> str:
    seconds = (now - since).total_seconds()
    return f"since {age(since, now)}" if seconds < -_CLOCKS_DIFFER_SECONDS else f"for {span(seconds)}"


def ahead(at: dt.datetime, now: dt.datetime) -> str:
    """Format in how long something will be."""
    return "now" if at <= now else f"in {span((at - now).total_seconds())}"


def clock(at: dt.datetime) -> str:
    """Format the time of day in New York, to the millisecond."""
    return in_new_york(at).isoformat(timespec="milliseconds")[11:23]


def moment(at: dt.datetime, now: dt.datetime, time: str = "%H:%M") -> str:
    """Format a time in New York, with the day unless it is today; `time` is a format for strftime(3)."""
    local = in_new_york(at)
    day = "" if local.date() == in_new_york(now).date() else f"%a %b {local.day} "
    return f"{local.strftime(day + time)} ET"


def in_new_york(at: dt.datetime) -> dt.datetime:
    """Return the same instant in the time zone of the exchanges, in which all times are shown, as on the page."""
    return at.astimezone(ZoneInfo(EXCHANGE_ZONE))


def market(market: wire.MarketJson, now: dt.datetime, *, is_latest: bool = False) -> str:
    """Describe whether options trade now, and when that changes.

    With `is_latest`, a close 15 minutes after that of the exchange is marked as the latest of the options held.
    """
    if market.is_open is None:
        return f"market {UNKNOWN}"
    change_at, verb = (market.next_close, "closes") if market.is_open else (market.next_open, "opens")
    state = "market open" if market.is_open else "market closed"
    if change_at is None:
        return state
    by = "by " if is_latest and market.is_open and is_late_close(change_at) else ""
    return f"{state}, {verb} {by}{moment(change_at, now)}"


def is_late_close(close_at: dt.datetime) -> bool:
    """Return whether only some options trade until this close, 15 minutes after that of the exchange."""
    return f"{in_new_york(close_at):%H:%M}" in ("16:15", "13:15")


def state_style(state: wire.State | Literal["standby"]) -> str:
    """Return the style of a state; one that is neither good nor final is a warning."""
    return {"live": "good", "closed": "strong", "standby": "strong", "halted": "bad"}.get(state, "warn")


def trouble(status: wire.Status, now: dt.datetime) -> list[str]:
    """Return one sentence for each fault: of the option stream, of REST, of its circuit breaker.

    An ingester that stands by may do so for longer than the reason lasts, which is its leader's or a loss's.
    """
    sentences = []
    state: str = status.state
    if status.reason and status.code and state == "standby":
        sentences.append(f"{status.code} {_lasting(status.since, now)}: {status.reason}")
    elif status.reason:
        code = f" ({status.code})" if status.code else ""
        sentences.append(f"{status.state} {_lasting(status.since, now)}{code}: {status.reason}")
    if status.positions.error is not None:
        error, read = status.positions.error, age(status.positions.read_at, now)
        sentences.append(f"positions, last read {read} ({error.code}): {error.text}")
    if status.positions.breaker not in ("closed", None):
        sentences.append(f"positions are not requested now: the breaker is {BREAKERS[status.positions.breaker]}")
    return [plain(sentence) for sentence in sentences]


def why_old(status: wire.Status, now: dt.datetime) -> str:
    """Return a sentence why prices may be old although `unconfirmed` is false; empty if they are kept up to date."""
    if status.state in ("live", "closed"):
        return ""
    lasting = plain(f"{status.state} {_lasting(status.since, now)}")
    return trouble(status, now)[0] if status.reason else lasting


def split_remedies(report: wire.StatusReport) -> tuple[wire.StatusReport, list[str]]:
    """The report without its remedies, and those remedies, each once.

    A stream that is down without a remedy recovers by itself, and that is the remedy then.
    """
    remedies: dict[str, None] = {}

    def apart(sentence: str) -> str:
        text, remedy = split_remedy(sentence, (*REMEDIES, *LOST_REMEDIES.values(), *CAUSE_REMEDIES, *DISK_REMEDIES))
        if remedy:
            remedies[remedy] = None
        return text

    reason = report.reason and apart(report.reason)
    positions = report.positions
    if positions.error is not None:
        error = msgspec.structs.replace(positions.error, text=apart(positions.error.text))
        positions = msgspec.structs.replace(positions, error=error)
    notices = [msgspec.structs.replace(notice, text=apart(notice.text)) for notice in report.notices]
    is_up = report.state in ("live", "closed") or (report.state in ("starting", "standby") and report.code is None)
    if not remedies and not is_up and report.state != "halted":
        is_rest_down = report.positions.error is not None or report.positions.breaker in ("open", "halfOpen")
        remedies[_WAIT_FOR_ALPACA if is_rest_down else "nothing, it recovers by itself"] = None
    return msgspec.structs.replace(report, reason=reason, positions=positions, notices=notices), list(remedies)


def capitalized(sentence: str) -> str:
    """Return a sentence with a capital at its beginning; the rest stays as it is."""
    return sentence[:1].upper() + sentence[1:]


def notice(entry: wire.NoticeJson, now: dt.datetime) -> str:
    """Format a notice as a sentence, with those contracts that its own text does not name."""
    unnamed = [symbol for symbol in entry.symbols if symbol not in entry.text]
    contracts = f" ({symbols_text(unnamed)})" if unnamed else ""
    return plain(f"{entry.code}, seen {age(entry.since, now)}: {entry.text}{contracts}")
