import datetime as dt
from collections import defaultdict

import pytest

from condord.core import occ
from condord.simulator import portfolio
from condord.simulator.account import Account
from condord.simulator.market import Market


def opened(seed, at):
    market = Market(seed=seed, at=at.timestamp())
    account = Account(market)
    portfolio.open_all(account, market, at)
    return account


DAYS = [dt.datetime(2026, 1, 1, 3, 30, tzinfo=dt.UTC) + dt.timedelta(days=17 * count) for count in range(24)]


@pytest.mark.parametrize("at", DAYS, ids=str)
def test_the_account_looks_right_whenever_it_is_opened(at):
    account = opened(at.day, at)
    options = [each for each in account.holdings.values() if each.multiplier == 100]
    assert 28 <= len(options) <= 32
    for held in options:
        assert occ.parse(held.symbol).expiration > at.date()
        profit = float(account.position(held.symbol)["unrealized_pl"])
        assert abs(profit) < 1500
    assert any(account.market.latest(held.symbol).bid == 0 for held in options)


def test_it_holds_condors_of_every_kind_a_vertical_a_short_put_and_a_stock():
    account = opened(1, DAYS[0])
    by_root = defaultdict(list)
    for symbol, held in account.holdings.items():
        if held.multiplier == 100:
            by_root[occ.parse(symbol).root].append((occ.parse(symbol), held.quantity))
    assert sorted(abs(quantity) for _, quantity in by_root["SPY"]) == [2, 2, 2, 2]
    short_strikes = {symbol.strike_mills for symbol, quantity in by_root["QQQ"] if quantity < 0}
    assert len(short_strikes) == 1
    assert all(symbol.strike_mills % 1000 == 500 for symbol, _ in by_root["NVDA"])
    puts, calls = (
        sorted(symbol.strike_mills for symbol, _ in by_root["NVDA"] if symbol.right == right)
        for right in ("put", "call")
    )
    assert puts[1] - puts[0] < calls[1] - calls[0]
    outer = max(symbol.strike_mills for symbol, quantity in by_root["AAPL"] if quantity < 0)
    assert outer == max(symbol.strike_mills for symbol, _ in by_root["AAPL"])
    assert len(by_root["IWM"]) == 7
    assert -3 in [quantity for _, quantity in by_root["IWM"]]
    assert len(by_root["AMD"]) == 2
    assert [quantity for _, quantity in by_root["INTC"]] == [-1]
    assert len(by_root["XYZ1"]) == 4
    assert account.holdings["AAPL"].quantity == 100


def test_the_orders_explain_the_holdings():
    account = opened(1, DAYS[0])
    sums = defaultdict(int)
    for order in account.orders:
        for leg in order["legs"] or [order]:
            sums[leg["symbol"]] += int(leg["qty"]) * (1 if leg["side"] == "buy" else -1)
    assert sums == {symbol: held.quantity for symbol, held in account.holdings.items()}
    assert [order["submitted_at"] for order in account.orders] == sorted(
        order["submitted_at"] for order in account.orders
    )
