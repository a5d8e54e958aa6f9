import datetime as dt
from decimal import Decimal

import pytest

from condord.simulator.account import Account
from condord.simulator.market import Market
from tests.simulator.builders import make_quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
CLOSE = dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2026, 11, 21, 5, 0, tzinfo=dt.UTC)
CALL = "SPY261218C00770000"
PUT = "SPY261218P00715000"


@pytest.fixture
def account():
    return Account(Market(seed=1, at=AT.timestamp()))


def quote(account, symbol, price):
    account.market.pin([make_quote(symbol, bid=price, ask=price)], hold=True)


def test_closes_depend_on_the_seed_and_stay_all_day(account):
    closes, twin = account.closes, Account(Market(seed=1, at=AT.timestamp())).closes
    close = closes.of(CALL)
    account.market.advance(AT.timestamp() + 3600)
    assert closes.of(CALL) == twin.of(CALL) == close > 0
    assert closes.of(PUT) == twin.of(PUT)
    assert Account(Market(seed=2, at=AT.timestamp())).closes.of(CALL) != close


def test_the_close_of_an_option_fits_the_close_of_its_underlying(account):
    market = account.market
    calls = ["SPY261218C00742000", "SPY261218C00743000"]
    low, high = (account.closes.of(call) for call in calls)
    assert low > high
    spot, close = market.spot("SPY"), market.underlyings.previous_close("SPY")
    delta = market.theoretical_value(calls[0]).delta
    now = market.theoretical_value(calls[0]).price
    assert float(low) == pytest.approx(now + delta * (close - spot), abs=0.9)
    assert account.closes.of("SPY") == Decimal(str(close))


def test_the_close_of_a_stock_that_the_market_does_not_know_is_its_mark(account):
    assert account.closes.of("NONE") == account.mark("NONE") == 0


def test_prices_at_the_end_of_the_session_are_the_closes_from_the_next_day_on(account):
    quote(account, CALL, 2.0)
    before = account.closes.of(CALL)
    assert not account.closes.advance(CLOSE - dt.timedelta(seconds=1), CLOSE, [CALL])
    quote(account, CALL, 3.0)
    assert not account.closes.advance(CLOSE, CLOSE, [CALL])
    quote(account, CALL, 4.0)
    assert not account.closes.advance(MIDNIGHT - dt.timedelta(seconds=1), CLOSE, [CALL])
    assert account.closes.of(CALL) == before
    assert account.closes.advance(MIDNIGHT, CLOSE, [CALL])
    assert account.closes.of(CALL) == 3
    assert (account.closes.day, account.closes.asof) == (dt.date(2026, 11, 21), dt.date(2026, 11, 20))


def test_a_day_without_a_session_keeps_the_closes(account):
    closes, before = account.closes, account.closes.asof
    option, stock = closes.of(CALL), closes.of("SPY")
    quote(account, CALL, 2.5)
    assert closes.advance(MIDNIGHT, None, [CALL])
    assert closes.of(CALL) == option != account.mark(CALL)
    assert closes.of("SPY") == stock != account.mark("SPY")
    assert closes.asof == before == dt.date(2026, 11, 19)


def test_the_close_of_a_contract_without_a_price_is_its_value_at_the_close_of_its_underlying(account):
    account.market.advance(CLOSE.timestamp(), moving=False)
    account.market.watch(PUT)
    value = account.market.theoretical_value(PUT).price
    account.closes.advance(CLOSE, CLOSE, [])
    account.market.advance(MIDNIGHT.timestamp(), moving=False)
    account.closes.advance(MIDNIGHT, CLOSE, [])
    assert float(account.closes.of(PUT)) == pytest.approx(value, abs=0.01)
