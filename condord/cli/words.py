"""Decides how one value reads: money, prices, times, ages; what is not known is a dash, never 0."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from condord.cli.screen import plain
from condord.core.occ import named
from condord.live import wire

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

_HELD: Mapping[str, str] = {"crossed": "crossed quote", "stub": "stub quote"}

BREAKERS: Mapping[str, str] = {"closed": "closed", "open": "open", "halfOpen": "half open"}

_KINDS = {"ironCondor": "condor", "ironButterfly": "butterfly"}

_REMEDIES: Mapping[wire.Code, str] = {
    # Keys from the environment or from systemd's LoadCredential are read at the start alone.
    "authFailed": "check key, secret and alpaca.paper, then restart it, or `kill -HUP {pid}` if only files changed",
    "insufficientSubscription": (
        'set alpaca.feed = "indicative", or sign the OPRA agreement at Alpaca, then '
        "`systemctl reload condord`, or `kill -HUP {pid}`"
    ),
    "connectionLimit": "stop the other program that uses this key; a dead connection can hold the slot for a while",
    "symbolLimit": "nothing: short legs of condors are streamed first, and the rest is read by REST",
    "slowClient": "nothing, it reconnects by itself; if it stays, relieve this machine",
    "unreachable": "check the network, if it stays; it reconnects by itself",
    "malformed": "report it, please; it reconnects by itself",
}

_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def price(value: float | None) -> str:
    """A price per share: two decimals, more where the market has them."""
    if value is None:
        return UNKNOWN
    whole, _, decimals = f"{value:,.4f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def money(value: float | None) -> str:
    """Dollars, without a sign for a gain."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def gain(value: float | None) -> str:
    """Dollars with their sign; nothing won or lost is `0.00`."""
    return UNKNOWN if value is None else f"{value:+,.2f}" if round(value, 2) else "0.00"


def gain_style(value: float | None) -> str:
    """The style of a gain or a loss."""
    return "" if not value else "good" if value > 0 else "bad"


def percent(value: float | None) -> str:
    """A percentage."""
    return UNKNOWN if value is None else f"{value:.2f} %"


def number(value: float | None) -> str:
    """A strike or a count, without needless decimals."""
    return UNKNOWN if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def condors(count: int) -> str:
    """`1 condor`, `2 condors`."""
    return f"{count} condor{'' if count == 1 else 's'}"


def kind(condor: wire.Condor) -> str:
    """`short condor`, `long butterfly`."""
    return f"{condor.direction} {_KINDS[condor.kind]}"


def days(count: int) -> str:
    """How long until expiration."""
    if count < 0:
        return "expired"
    return "today" if count == 0 else "1 day" if count == 1 else f"{count} days"


def flags(condor: wire.Condor, quotes: Mapping[str, wire.Quote], *, old: bool = False) -> str:
    """What is to be known about a condor before its numbers are believed; `quotes` by symbol."""
    missing, held = condor.valuation.missing, _held(condor, quotes)
    found = (
        (old, "old"),
        (bool(missing), f"incomplete: no usable quote of {', '.join(missing)}"),
        (bool(held), f"mark held: {' and '.join(held)}"),
        (condor.valuation.unconfirmed, "unconfirmed"),
        (condor.broken_wing, "broken wing"),
        (condor.ambiguous, "ambiguous"),
    )
    return plain(", ".join(text for holds, text in found if holds))


def _held(condor: wire.Condor, quotes: Mapping[str, wire.Quote]) -> list[str]:
    """The legs that are marked by an earlier quote, because the newest cannot be believed."""
    found = []
    for leg in condor.legs:
        quote = quotes.get(leg.symbol)
        if quote is not None and quote.mark is not None and (state := _HELD.get(quote.state)):
            found.append(f"{state} of {condor.root}…{leg.right[0].upper()}{number(leg.strike)}")
    return found


def ask(quote: wire.Quote | None) -> float | None:
    """The price somebody asks, None where nobody does."""
    return None if quote is None or quote.state == "noAsk" else quote.ask


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = int(seconds)
    for size, name, part_size, part in _UNITS:
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part_size} {part}"
    return f"{whole} s"


def age(at: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago something was."""
    return "never" if at is None else f"{span((now - at).total_seconds())} ago"


def ahead(at: dt.datetime, now: dt.datetime) -> str:
    """In how long something will be."""
    return "now" if at <= now else f"in {span((at - now).total_seconds())}"


def clock(at: dt.datetime) -> str:
    """The time of day here, to the millisecond."""
    return at.astimezone().isoformat(timespec="milliseconds")[11:23]


def moment(at: dt.datetime, now: dt.datetime, time: str = "%H:%M %Z") -> str:
    """A moment here, with the day where it is not today; `time` as for strftime(3)."""
    local = at.astimezone()
    day = "" if local.date() == now.astimezone().date() else "%a %d %b "
    return local.strftime(day + time).strip()


def market(market: wire.Market, now: dt.datetime) -> str:
    """Whether options trade now, and until or from when."""
    if market.is_open is None:
        return f"market {UNKNOWN}"
    turn, verb = (market.next_close, "closes") if market.is_open else (market.next_open, "opens")
    state = "market open" if market.is_open else "market closed"
    return state if turn is None else f"{state}, {verb} {moment(turn, now)}"


def state_style(state: wire.State) -> str:
    """The style of a state; what is neither well nor over is a warning."""
    return {"live": "good", "closed": "strong", "halted": "bad"}.get(state, "warn")


def trouble(status: wire.Status, now: dt.datetime) -> list[str]:
    """A sentence for each thing that is wrong: with the option stream, with REST."""
    sentences = []
    if status.reason:
        code = f" ({status.code})" if status.code else ""
        sentences.append(f"{status.state} for {span((now - status.since).total_seconds())}{code}: {status.reason}")
    if status.positions.error is not None:
        error, read = status.positions.error, age(status.positions.read_at, now)
        sentences.append(f"positions, last read {read} ({error.code}): {error.text}")
    if status.positions.breaker != "closed":
        sentences.append(f"positions are not asked for now: the breaker is {BREAKERS[status.positions.breaker]}")
    return [plain(sentence) for sentence in sentences]


def remedy(status: wire.Status, pid: int) -> str:
    """What a person can do for the option stream, if it needs any; `pid` is the daemon's."""
    if status.state in ("live", "closed") or (status.state == "starting" and not status.code):
        return ""
    told = _REMEDIES.get(status.code, "") if status.code else ""
    return (told or "nothing, it recovers by itself").format(pid=pid)


def notice(told: wire.Notice, now: dt.datetime) -> str:
    """A sentence for a notice; it names the contracts that the notice's own text does not."""
    unnamed = [symbol for symbol in told.symbols if symbol not in told.text]
    contracts = f" ({named(unnamed)})" if unnamed else ""
    return plain(f"{told.code}, seen {age(told.since, now)}: {told.text}{contracts}")
