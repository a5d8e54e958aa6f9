import datetime as dt
import math
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from condord.core import occ
from condord.simulator import portfolio
from condord.simulator.account import Account
from condord.simulator.market import Market
from condord.simulator.orders import is_option
from condord.simulator.past_calendar import session_before
from condord.simulator.past_path import PastPath
from condord.simulator.working_orders import WorkingOrders
from tests.examples import some_of

FRIDAY = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)  # 15:00 in New York
DAYS = [dt.datetime(2026, 1, 1, 3, 30, tzinfo=dt.UTC) + dt.timedelta(days=17 * count) for count in range(24)]


def opened(seed, at, name="default", **market):
    account = Account(Market(seed=seed, at=at.timestamp(), **market))
    open_positions(account, at, name, seed)
    return account


def open_positions(account, at, name, seed):
    market = account.market
    path = PastPath(
        market.underlyings,
        seed=seed,
        started_at=at.timestamp(),
        before=session_before(market.underlyings.session_day),
        knots=portfolio.knots(market, at, name),
    )
    portfolio.open_positions(account, WorkingOrders(account), path, at, name)


def by_root(account):
    """The contracts held with their quantities, by root and expiration."""
    found = defaultdict(list)
    for symbol, held in account.holdings.items():
        if held.multiplier == 100:
            contract = occ.parse(symbol)
            found[contract.root, contract.expiration].append((contract, held.quantity))
    return found


def shorts(account, root, expiration):
    """The prices of the short put and of the short call."""
    legs = [contract for contract, quantity in by_root(account)[root, expiration] if quantity < 0]
    return [next(leg.strike_mills / 1000 for leg in legs if leg.right == right) for right in ("put", "call")]


def sigmas(account, root, expiration, right):
    """How many deviations the market is from the short strike; negative: beyond it."""
    legs = [contract for contract, quantity in by_root(account)[root, expiration] if quantity < 0]
    leg = next(leg for leg in legs if leg.right == right)
    market = account.market
    years = (dt.datetime.combine(expiration, dt.time(16)).timestamp() - market.at) / (365 * 86_400)
    deviation = market.theoretical_value(leg.compact).volatility * math.sqrt(years)
    distance = math.log(market.spot(root) / (leg.strike_mills / 1000))
    return (distance if right == "put" else -distance) / deviation


@pytest.mark.deep
@pytest.mark.parametrize("at", list(some_of(DAYS)), ids=str)
def test_the_account_is_plausible_on_any_day(at):
    account = opened(at.day, at)
    options = [held for held in account.holdings.values() if held.multiplier == 100]
    assert 40 <= len(options) <= 44
    for held in options:
        assert occ.parse(held.symbol).expiration >= at.date() - dt.timedelta(days=1)
        profit = float(account.position(held.symbol)["unrealized_pl"])
        assert abs(profit) < 1500
    assert any(account.market.latest(held.symbol).bid == 0 for held in options)
    listed = account.market.listed
    assert 0 < sigmas(account, "INTC", listed.later, "put") < 0.25
    assert sigmas(account, "NVDA", listed.later, "call") < 0
    assert min(sigmas(account, "SPY", listed.monthly, right) for right in ("put", "call")) > 0.25


def test_the_default_account_holds_condors_of_every_kind_a_vertical_a_short_put_and_shares():
    account = opened(1, DAYS[0])
    listed, held = account.market.listed, by_root(account)
    assert sorted(abs(quantity) for _, quantity in held["SPY", listed.monthly]) == [2, 2, 2, 2]
    butterfly = held["QQQ", listed.monthly]
    assert len({symbol.strike_mills for symbol, quantity in butterfly if quantity < 0}) == 1
    broken = held["NVDA", listed.monthly]
    assert all(symbol.strike_mills % 1000 == 500 for symbol, _ in broken)
    puts, calls = (
        sorted(symbol.strike_mills for symbol, _ in broken if symbol.right == right) for right in ("put", "call")
    )
    assert puts[1] - puts[0] < calls[1] - calls[0]
    reverse = held["AAPL", listed.later]
    outer = max(symbol.strike_mills for symbol, quantity in reverse if quantity < 0)
    assert outer == max(symbol.strike_mills for symbol, _ in reverse)
    assert len(held["IWM", listed.near]) == 7
    assert -3 in [quantity for _, quantity in held["IWM", listed.near]]
    assert len(held["AMD", listed.later]) == 2
    assert [quantity for _, quantity in held["INTC", listed.monthly]] == [-1]
    assert len(held["XYZ1", listed.monthly]) == 4
    assert account.holdings["AAPL"].quantity == 100


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T15:00:00+00:00", "2026-11-20"),
        ("2026-11-20T20:31:00+00:00", "2026-11-23"),
        ("2026-11-21T15:00:00+00:00", "2026-11-23"),
        ("2026-11-26T15:00:00+00:00", "2026-11-27"),  # Thanksgiving
        ("2026-11-27T17:00:00+00:00", "2026-11-27"),
        ("2026-11-27T18:00:00+00:00", "2026-11-30"),  # after an early close
        ("2026-11-24T03:00:00+00:00", "2026-11-24"),
    ],
)
def test_a_condor_expires_with_the_session_under_way_or_the_next_one(at, expected):
    held = by_root(opened(1, dt.datetime.fromisoformat(at)))
    nearest = min(expiration for root, expiration in held if root == "QQQ")
    assert nearest == dt.date.fromisoformat(expected)


def still_trading(quantities, account):
    """The quantities of stocks and unexpired contracts; expired ones can leave holdings without an order."""
    today = account.closes.day
    return {
        symbol: quantity
        for symbol, quantity in quantities.items()
        if quantity and (not is_option(symbol) or occ.parse(symbol).expiration >= today)
    }


@pytest.mark.parametrize("name", ["default", "tested", "ex-dividend", "index"])
def test_the_orders_add_up_to_the_holdings(name):
    account = opened(1, DAYS[0], name)
    sums = defaultdict(int)
    for order in account.orders:
        for leg in order["legs"] or [order]:
            sums[leg["symbol"]] += int(leg["filled_qty"]) * (1 if leg["side"] == "buy" else -1)
    for row in account.activities:
        if row["activity_type"] == "OPTRD":
            sums[row["symbol"]] += int(row["qty"])
    assert still_trading(sums, account) == {symbol: held.quantity for symbol, held in account.holdings.items()}
    for rows, key in ((account.orders, "submitted_at"), (account.activities, "id")):
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)
    fills = [row for row in account.activities if row["activity_type"] == "FILL"]
    assert len(fills) == sum(len(order["legs"] or [order]) for order in account.orders if order["filled_at"])


def test_the_healthy_condor_has_a_working_order_in_place_of_an_older_one():
    account = opened(1, DAYS[0])
    [working] = [order for order in account.orders if order["status"] == "new"]
    [replaced] = [order for order in account.orders if order["status"] == "replaced"]
    assert (working["replaces"], replaced["replaced_by"]) == (replaced["id"], working["id"])
    assert Decimal(replaced["limit_price"]) > Decimal(working["limit_price"]) > 0
    listed = account.market.listed
    held = {contract.compact: quantity for contract, quantity in by_root(account)["SPY", listed.monthly]}
    assert {leg["symbol"]: int(leg["qty"]) * (1 if leg["side"] == "sell" else -1) for leg in working["legs"]} == held
    assert {leg["position_intent"] for leg in working["legs"]} == {"buy_to_close", "sell_to_close"}
    [opening] = [
        order
        for order in account.orders
        if order["status"] == "filled" and {leg["symbol"] for leg in order["legs"] or ()} == set(held)
    ]
    assert float(working["limit_price"]) == pytest.approx(-float(opening["filled_avg_price"]) / 2, abs=0.01)


@pytest.mark.parametrize("at", DAYS[::4], ids=str)
def test_tested_condors_are_near_their_short_strikes_or_beyond_them(at):
    account = opened(at.day, at, "tested")
    listed = account.market.listed
    assert 0 < sigmas(account, "SPY", listed.monthly, "put") < 0.25
    assert 0 < sigmas(account, "QQQ", listed.monthly, "call") < 0.25
    assert sigmas(account, "NVDA", listed.monthly, "call") < 0
    assert sigmas(account, "AMD", listed.later, "put") < 0
    assert min(sigmas(account, "IWM", listed.later, right) for right in ("put", "call")) > 0.25


def test_on_expiration_day_condors_of_funds_and_stocks_expire_and_a_long_put_has_no_shares():
    account = opened(1, FRIDAY, "expiration-day", expires_today=True)
    held, today = by_root(account), FRIDAY.date()
    assert {root for root, expiration in held if expiration == today} == {"SPY", "AAPL", "NVDA", "INTC"}
    assert all(len(held[root, today]) == 4 for root in ("SPY", "AAPL", "NVDA", "INTC"))
    for root, shares in (("NVDA", 0), ("INTC", 100)):
        long_put = min(contract.strike_mills / 1000 for contract, _ in held[root, today] if contract.right == "put")
        assert account.market.spot(root) < long_put
        assert (account.holdings[root].quantity if root in account.holdings else 0) == shares
    low, high = shorts(account, "SPY", today)
    assert low < account.market.spot("SPY") < high


@pytest.mark.parametrize("at", DAYS[::4], ids=str)
def test_short_calls_in_the_money_have_less_extrinsic_value_than_the_dividend(at):
    account = Account(Market(seed=at.day, at=at.timestamp()))
    account.market.underlyings.set_next_dividend("SPY", at.date() + dt.timedelta(days=1))
    open_positions(account, at, "ex-dividend", at.day)
    listed = account.market.listed
    spot = account.market.spot("SPY")
    calls = [
        contract
        for contract, quantity in by_root(account)["SPY", listed.near]
        if contract.right == "call" and quantity < 0
    ]
    assert len(calls) == 2
    for call in calls:
        intrinsic = spot - call.strike_mills / 1000
        extrinsic = account.market.theoretical_value(call.compact).price - intrinsic
        assert intrinsic > 0
        assert extrinsic < 1.97
    assert shorts(account, "SPY", listed.monthly)[1] > spot
    assert account.holdings["SPY"].quantity == 100


def test_the_index_portfolio_has_contracts_settled_in_the_morning_and_in_the_afternoon():
    account = opened(1, DAYS[0], "index")
    listed = account.market.listed
    assert {key: len(legs) for key, legs in by_root(account).items()} == {
        ("SPX", listed.monthly): 4,
        ("SPXW", listed.near): 4,
        ("XSP", listed.monthly): 4,
    }


def test_an_unknown_portfolio_is_an_error():
    with pytest.raises(KeyError):
        opened(1, DAYS[0], "none")


@pytest.mark.parametrize("name", ["default", "tested", "expiration-day", "ex-dividend", "index"])
def test_the_path_has_the_prices_at_which_the_portfolio_traded(name):
    at = DAYS[3]
    market = Market(seed=1, at=at.timestamp())
    knots = portfolio.knots(market, at, name)
    path = PastPath(
        market.underlyings, seed=1, started_at=at.timestamp(), before=session_before(at.date()), knots=knots
    )
    assert knots
    for underlying, prices in knots.items():
        assert len({second for second, _ in prices}) == len(prices)
        for second, price in prices:
            assert path.price(underlying, second) == pytest.approx(price)


@pytest.mark.deep
@pytest.mark.parametrize("at", list(some_of(DAYS)), ids=str)
def test_prices_move_plausibly_between_orders(at):
    """Prices move by at most four standard deviations. The ex-dividend account, made for a rally, is left out."""
    for name in ("default", "tested", "expiration-day", "index"):
        market = Market(seed=1, at=at.timestamp())
        for underlying, prices in portfolio.knots(market, at, name).items():
            ordered = sorted([*prices, (at.timestamp(), market.spot(underlying))])
            volatility = market.underlyings.volatility(underlying)
            for (second, price), (later, next_price) in pairwise(ordered):
                years = max(later - second, 43_200) / (365 * 86_400)
                assert abs(math.log(next_price / price)) < 4 * volatility * math.sqrt(years), (name, underlying)
