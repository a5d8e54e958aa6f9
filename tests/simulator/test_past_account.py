"""The orders, activities and cash that the closed condors of each portfolio leave, on any day."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from condord.core import occ
from condord.simulator.clock import NEW_YORK
from condord.simulator.entitlements import Entitlements
from condord.simulator.orders import is_option
from condord.simulator.past_calendar import is_session, session_hours
from condord.simulator.portfolios import PORTFOLIOS
from condord.simulator.scenarios import SCENARIOS, scenario
from condord.simulator.simulation import Simulation
from tests.examples import some_of

pytestmark = pytest.mark.deep

DAYS = [
    dt.datetime(2026, 1, 2, 4, 30, tzinfo=dt.UTC) + dt.timedelta(days=53 * count, hours=7 * count) for count in range(7)
]
NAMES = ["default", "tested", "expiration-day", "ex-dividend", "index"]
EVENTS = {"OPEXP", "OPASN", "OPEXC", "OPCSH", "OPTRD"}


def simulated(name, at, seed=1):
    return Simulation(scenario=scenario(name), seed=seed, entitlements=Entitlements(), started_at=at, now=1000.0)


@pytest.fixture(
    scope="module",
    params=some_of((name, at) for at in DAYS for name in NAMES),
    ids=lambda pair: f"{pair[0]}-{pair[1]:%m-%d}",
)
def simulation(request):
    name, at = request.param
    return simulated(name, at, seed=at.day)


def expired(simulation):
    """The orders whose contracts have all expired, oldest first, and the shares from assignments."""
    today = simulation.started_at.astimezone(NEW_YORK).date()
    return [
        order
        for order in simulation.account.orders
        if all(
            is_option(leg["symbol"]) and occ.parse(leg["symbol"]).expiration < today for leg in order["legs"] or [order]
        )
    ]


def events(simulation, *kinds):
    return [row for row in simulation.account.activities if row["activity_type"] in (kinds or EVENTS)]


def test_every_contract_that_was_opened_was_closed_or_has_an_event(simulation):
    left = defaultdict(int)
    for order in expired(simulation):
        for leg in order["legs"] or [order]:
            opens = leg["position_intent"].endswith("to_open")
            before = left[leg["symbol"]]
            left[leg["symbol"]] += int(leg["filled_qty"]) * (1 if leg["side"] == "buy" else -1)
            assert (abs(left[leg["symbol"]]) > abs(before)) == opens
    gone = {row["symbol"]: int(row["qty"]) for row in events(simulation) if row["activity_type"] != "OPTRD"}
    assert gone == {symbol: abs(quantity) for symbol, quantity in left.items() if quantity}
    assert not gone.keys() & simulation.account.holdings.keys()


def test_everything_was_filled_in_a_session_before_today(simulation):
    today = simulation.started_at.astimezone(NEW_YORK).date()
    for order in simulation.account.orders:
        at = dt.datetime.fromisoformat(order["filled_at"] or order["submitted_at"]).astimezone(NEW_YORK)
        assert at.date() < today
        assert is_session(at.date())
        opens, closes = session_hours(at.date())
        assert opens < at < closes
    deposited, *others = [row for row in simulation.account.activities if row["activity_type"] == "JNLC"]
    assert others == []
    assert all(order["submitted_at"] > deposited["created_at"] for order in simulation.account.orders)


def test_orders_and_activities_are_listed_by_their_time(simulation):
    for rows, key in ((simulation.account.orders, "submitted_at"), (simulation.account.activities, "id")):
        keys = [row[key] for row in rows]
        assert keys == sorted(keys)
    ids = [row["id"] for row in [*simulation.account.orders, *simulation.account.activities]]
    assert len(ids) == len(set(ids))


def test_every_fill_of_an_option_has_a_fee(simulation):
    rows = simulation.account.activities
    fees = {row["execution_id"]: Decimal(row["net_amount"]) for row in rows if row["activity_type"] == "FEE"}
    fills = [row for row in rows if row["activity_type"] == "FILL"]
    legs = {leg["id"]: leg for order in simulation.account.orders for leg in order["legs"] or [order]}
    assert len(fees) == sum(is_option(row["symbol"]) for row in fills)
    for row in fills:
        assert (row["symbol"], row["qty"]) == (legs[row["order_id"]]["symbol"], legs[row["order_id"]]["filled_qty"])
        if is_option(row["symbol"]):
            assert fees[row["id"].partition("::")[2]] < 0


def test_the_cash_is_the_sum_of_all_activities(simulation):
    cash = Decimal(0)
    for row in simulation.account.activities:
        if row["activity_type"] == "FILL":
            size = int(row["qty"]) * (100 if is_option(row["symbol"]) else 1)
            cash += Decimal(row["price"]) * size * (-1 if row["side"] == "buy" else 1)
        else:
            cash += Decimal(row["net_amount"])
    account = simulation.account.account_json()
    assert Decimal(account["cash"]) == cash
    profit = sum(Decimal(row["unrealized_intraday_pl"]) for row in simulation.account.positions())
    assert Decimal(account["equity"]) - Decimal(account["last_equity"]) == profit


def test_expirations_are_shown_the_next_morning_and_assigned_shares_are_sold(simulation):
    for row in events(simulation):
        shown = dt.datetime.fromisoformat(row["created_at"]).astimezone(NEW_YORK)
        assert f"{shown - dt.timedelta(days=1):%Y-%m-%d %H:%M}" == f"{row['date']} 04:20"
        if row["activity_type"] != "OPTRD":
            assert f"{occ.parse(row['symbol']).expiration}" == row["date"]
    for trade in events(simulation, "OPTRD"):
        shares, strike = int(trade["qty"]), Decimal(trade["price"])
        assert Decimal(trade["net_amount"]) == -shares * strike
        assigned = [occ.parse(row["symbol"]) for row in events(simulation, "OPASN") if row["date"] == trade["date"]]
        assert [(each.root, each.strike_mills) for each in assigned] == [(trade["symbol"], strike * 1000)]
        sold = [
            row
            for row in simulation.account.activities
            if row["activity_type"] == "FILL" and row["symbol"] == trade["symbol"] and row["side"] == "sell"
        ]
        assert [row["qty"] for row in sold] == [str(shares)]
        assert sold[0]["transaction_time"] > trade["created_at"]


@pytest.mark.parametrize("at", DAYS[::2], ids=str)
@pytest.mark.parametrize("seed", [1, 7])
def test_the_default_account_has_every_kind_of_event(at, seed):
    simulation = simulated("default", at, seed)
    counts = {kind: len(events(simulation, kind)) for kind in EVENTS}
    assert counts == {"OPASN": 1, "OPTRD": 1, "OPCSH": 1, "OPEXC": 0, "OPEXP": 4 + 3 + 4 + 3}
    [settled] = events(simulation, "OPCSH")
    assert -2000 < float(settled["net_amount"]) < 0
    rolls = [
        order
        for order in expired(simulation)
        if len({leg["position_intent"].partition("_to_")[2] for leg in order["legs"] or ()}) == 2
    ]
    assert len(rolls) == 1


def test_two_orders_of_a_roll_are_less_than_a_minute_apart():
    simulation = simulated("default", DAYS[6])
    times = [
        dt.datetime.fromisoformat(order["filled_at"])
        for order in expired(simulation)
        if order["legs"] and order["legs"][0]["symbol"].startswith("NVDA")
    ]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(gaps) == 3
    assert 30 < gaps[1] < 60 < min(gaps[0], gaps[2])


def test_the_same_strikes_are_opened_twice():
    simulation = simulated("default", DAYS[6])
    opened = [
        tuple(sorted(leg["symbol"] for leg in order["legs"]))
        for order in expired(simulation)
        if order["legs"] and {leg["position_intent"][-4:] for leg in order["legs"]} == {"open"}
    ]
    again = {legs for legs in opened if opened.count(legs) == 2}
    assert [{occ.parse(symbol).root for symbol in legs} for legs in again] == [{"AAPL"}]


def test_the_same_seed_gives_the_same_past():
    one, same, other = (simulated("default", DAYS[3], seed).account for seed in (1, 1, 2))
    assert (one.orders, one.activities) == (same.orders, same.activities)
    assert one.activities != other.activities


def test_the_past_is_the_same_however_late_it_is_requested():
    early, late = simulated("default", DAYS[3]), simulated("default", DAYS[3])
    orders, activities = list(early.account.orders), list(early.account.activities)
    for simulation in (early, late):
        simulation.set_clock(DAYS[3] + dt.timedelta(days=3), 1001.0)
        simulation.tick(1002.0)
    assert (late.account.orders, late.account.activities) == (orders, activities)
    assert late.account.account_json() == early.account.account_json()


def test_every_portfolio_but_the_empty_one_has_a_past():
    assert {name for name, portfolio in PORTFOLIOS.items() if not portfolio.closed} == {"empty"}
    assert {each.portfolio for each in SCENARIOS} == set(PORTFOLIOS)
    assert simulated("empty", DAYS[0]).account.orders == []
