"""Decide which changes of a quote are worth an event. All prices are in 1e-4 dollars."""

from __future__ import annotations

from condord.core.quote import Quote


def quote_counts(newest: Quote, published: Quote, min_change_e4: int) -> bool:
    """Whether a quote has another state than when it was published, or a price that has moved by `min_change_e4`."""
    return newest.state != published.state or any(
        moved(new_e4, old_e4, min_change_e4) for new_e4, old_e4 in zip(_prices(newest), _prices(published), strict=True)
    )


def moved(newest_e4: int | None, published_e4: int | None, min_change_e4: int) -> bool:
    """Whether a price has moved by `min_change_e4`, or has become known or unknown."""
    if newest_e4 is None or published_e4 is None:
        return newest_e4 is not published_e4
    return newest_e4 != published_e4 and abs(newest_e4 - published_e4) >= min_change_e4


def has_same_prices(quote: Quote, other: Quote) -> bool:
    """Whether two quotes differ at most in their sizes and times."""
    return _prices(quote) == _prices(other)


def _prices(quote: Quote) -> tuple[int | None, int | None, int | None]:
    return quote.bid_e4, quote.ask_e4, quote.mark_e4
