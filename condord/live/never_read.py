"""Tell an empty answer from one of an account that has never been read, whose empty lists mean nothing."""

from __future__ import annotations

from condord.live import wire
from condord.live.wire_history import TradesJson


def why_positions_unread(document: wire.Document) -> str:
    """Return a sentence with the reason, without a full stop; empty if what is held is known.

    A snapshot can contain the first condors before its status has `readAt`: then they are known.
    """
    positions = document.status.positions
    if positions.read_at is not None or document.condors or document.broken or document.unmatched:
        return ""
    return "the positions have not been read yet" + (f": {positions.error.text}" if positions.error else "")


def why_trades_unread(answer: TradesJson) -> str:
    """Return a sentence without a full stop; empty if there are trades, or if it is known that there are none."""
    if answer.totals.complete_from is not None or answer.trades:
        return ""
    return "the account's past has not been read yet, so closed condors may be missing"
