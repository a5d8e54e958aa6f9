"""Open the positions of a portfolio by orders of the past, and leave its closing orders working.

Entries are the contracts' values at that time, with the underlying at another price. The path of the past has these
prices, and those of the condors that the portfolio has closed.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from condord.core.occ import OptionSymbol
from condord.simulator.account import Account
from condord.simulator.clock import NEW_YORK
from condord.simulator.holidays import closes_early, is_holiday
from condord.simulator.market import Market
from condord.simulator.orders import OrderRequest
from condord.simulator.past_account import trade_past
from condord.simulator.past_calendar import past_expiration, past_instant, session_hours
from condord.simulator.past_path import PastPath
from condord.simulator.portfolios import PORTFOLIOS, PastLeg, PastOrder
from condord.simulator.working_orders import WorkingOrders

_LAST_ENTRY, _LAST_EARLY_ENTRY = dt.time(15, 30), dt.time(12, 30)
_SATURDAY = 5
_CENT = Decimal("0.01")
_STOCK_DAYS = 40
_PLACED_AGE, _REPLACED_AGE = 4.0, 1.0
_FIRST_SHARE, _SHARE = Decimal("0.6"), Decimal("0.5")  # of the credit


def knots(market: Market, at: dt.datetime, name: str = "default") -> dict[str, list[tuple[float, float]]]:
    """The prices of underlyings at which the portfolio called `name` traded before `at`, for the path of the past.

    Raises:
        KeyError: there is no such portfolio.
    """
    portfolio = PORTFOLIOS[name]
    found = [(past.root, past_instant(at, past.age_days), past.spot_factor) for past in portfolio.orders]
    for condor in portfolio.closed:
        found.append((condor.root, past_instant(at, condor.age), condor.factor))
        found += [(condor.root, past_instant(at, event.age), event.factor) for event in condor.events]
        if condor.end_factor is not None:
            expires_at = session_hours(past_expiration(at, condor.expiry_age))[1]
            found.append((condor.root, expires_at, condor.end_factor))
    prices: dict[str, list[tuple[float, float]]] = {}
    for symbol, traded_at, factor in found:
        underlying, spot = _underlying(market, symbol)
        prices.setdefault(underlying, []).append((traded_at.timestamp(), spot * factor))
    for stock, _, price in portfolio.stocks:
        prices.setdefault(stock, []).append((past_instant(at, _STOCK_DAYS).timestamp(), float(price)))
    return prices


def open_positions(
    account: Account, working: WorkingOrders, path: PastPath, at: dt.datetime, name: str = "default"
) -> None:
    """Fill every order of the portfolio called `name`, the oldest first, and buy its stocks; called once at the start.

    The account also has the orders and activities of the condors that it has closed.

    Raises:
        KeyError: there is no such portfolio.
    """
    portfolio = PORTFOLIOS[name]
    for past in sorted(portfolio.orders, key=lambda past: -past.age_days):
        filled_at = past_instant(at, past.age_days)
        changes = _changes(past, account.market, at, filled_at)
        account.trade(changes, filled_at)
        if past.is_closing:
            _close(changes, working, at)
    for stock, shares, price in portfolio.stocks:
        account.trade([(stock, shares, price)], past_instant(at, _STOCK_DAYS))

    def write_past() -> None:
        trade_past(account, path, portfolio.closed, at)
        account.orders.sort(key=lambda order: str(order["submitted_at"]))
        account.activities.sort(key=lambda activity: str(activity["id"]))

    account.set_past(write_past)


def _close(changes: list[tuple[str, int, Decimal]], working: WorkingOrders, at: dt.datetime) -> None:
    """Leave a working order that closes the contracts that `changes` opened, with a replacement."""
    quantity = min(abs(count) for _, count, _ in changes)
    legs = tuple((symbol, -count // quantity) for symbol, count, _ in changes)
    credit = -sum((price * count for _, count, price in changes), Decimal(0)) / quantity
    request = OrderRequest(
        legs=legs, quantity=quantity, limit_price=(credit * _FIRST_SHARE).quantize(_CENT), time_in_force="gtc"
    )
    [placed] = working.place(request, past_instant(at, _PLACED_AGE))
    limit = (credit * _SHARE).quantize(_CENT)
    working.replace(placed["data"]["order"]["id"], past_instant(at, _REPLACED_AGE), limit_price=limit)


def _changes(
    past: PastOrder, market: Market, at: dt.datetime, filled_at: dt.datetime
) -> list[tuple[str, int, Decimal]]:
    changes: list[tuple[str, int, Decimal]] = []
    seconds_ago = (at - filled_at).total_seconds()
    for leg in past.legs:
        symbol = _symbol(past, leg, market, at)
        market.watch(symbol)
        value = market.theoretical_value(symbol, seconds_ago=seconds_ago, spot_factor=past.spot_factor).price
        tick = market.tick_cents(symbol, value)
        cents = max(tick, round(value * 100 / tick) * tick)
        changes.append((symbol, leg.quantity, Decimal(cents) / 100))
    return changes


def _symbol(past: PastOrder, leg: PastLeg, market: Market, at: dt.datetime) -> str:
    _, spot = _underlying(market, past.root)
    on_grid = round((spot * leg.ratio - past.grid_start) / past.grid) * past.grid + past.grid_start
    return OptionSymbol(
        root=past.root,
        expiration=_today(at) if past.expiration == "today" else getattr(market.listed, past.expiration),
        right=leg.right,
        strike_mills=round((on_grid + leg.shift) * 1000),
    ).compact


def _underlying(market: Market, symbol: str) -> tuple[str, float]:
    """The underlying of a root, and its price."""
    root = market.root_of(symbol)
    spot = market.spot(root.underlying) if root else None
    if root is None or spot is None:
        raise LookupError(symbol)
    return root.underlying, spot


def _today(at: dt.datetime) -> dt.date:
    """The day of the session at `at`, or of the next one if less than half an hour of it is left."""
    local = at.astimezone(NEW_YORK)
    last = _LAST_EARLY_ENTRY if closes_early(local.date()) else _LAST_ENTRY
    day = local.date() + dt.timedelta(days=local.time() > last)
    while day.weekday() >= _SATURDAY or is_holiday(day):
        day += dt.timedelta(days=1)
    return day
