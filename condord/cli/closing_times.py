"""When the options held stop trading today. Those on some funds and indexes trade 15 minutes longer than the others."""

from __future__ import annotations

from condord.cli import formatting
from condord.cli.screen import plain
from condord.core.expiry import trades_late
from condord.core.market_hours import LATE
from condord.live import wire
from condord.live.urgency import held

_MAX_NAMED = 4


def market_hours(document: wire.Document) -> str:
    """Describe whether options trade now, and when that changes: `market open, closes 16:00 ET (QQQ, SPY 16:15)`."""
    market, now = document.status.market, document.as_of
    close_at = market.next_close
    if not market.is_open or close_at is None or not formatting.is_late_close(close_at):
        return formatting.market(market, now)
    early, late = _underlyings(document)
    if not early:
        return formatting.market(market, now)
    first_at = close_at - LATE
    names = plain(", ".join(sorted(late))) if len(late) <= _MAX_NAMED else f"{len(late)} underlyings"
    if first_at <= now:
        return f"market open for {names}, closes {formatting.moment(close_at, now)}"
    last = f"{formatting.in_new_york(close_at):%H:%M}"
    return f"market open, closes {formatting.moment(first_at, now)} ({names} {last})"


def _underlyings(document: wire.Document) -> tuple[set[str], set[str]]:
    """Return the underlyings of which something stops at the close of the exchange, and those with options until later.

    An underlying can be in both: options on an index stop earlier on their last day.
    """
    first_at = document.status.market.next_close
    assert first_at is not None  # noqa: S101 - the caller has checked
    first_at -= LATE
    early, late = set[str](), set[str]()
    for condor in held(document):
        ends_early = condor.expiry is not None and condor.expiry.last_trading_at <= first_at
        (late if trades_late(condor.underlying) and not ends_early else early).add(condor.underlying)
    for entry in document.unmatched:
        if entry.underlying is not None:
            (late if trades_late(entry.underlying) else early).add(entry.underlying)
    return early, late
