import datetime as dt

import pytest

from condord.core import occ
from condord.simulator import past_points
from condord.simulator.clock import NEW_YORK
from condord.simulator.past_calendar import session_hours
from tests.simulator.conftest import STARTED_AT


def points(simulation):
    return past_points.points_of(simulation.account, simulation.path, simulation.started_at)


@pytest.fixture(scope="module")
def found():
    """The simulation of the default scenario, and its points."""
    from tests.simulator.conftest import Harness

    simulation = Harness().simulation
    return simulation, points(simulation)


def test_each_condor_that_is_held_has_points(found):
    simulation, past = found
    assert [each.id for each in past] == [
        "XYZ1-261218-65-70-85-90",
        "IWM-261127-275-280-297-302",
        "AAPL-270115-300-310-340-350",
        "IWM-261127-235-277-297-305",
        "NVDA-270115-182.5-187.5-212.5-217.5",
        "SPY-261218-705-715-770-780",
        "QQQ-261218-620-645-645-670",
        "NVDA-261218-197.5-202.5-237.5-247.5",
        "INTC-270115-35-37.5-46.5-49",
        "QQQ-261120-631-636-655-660",
    ]
    orders = {
        dt.datetime.fromisoformat(order["filled_at"]): order
        for order in simulation.account.orders
        if order["legs"] and order["filled_at"]
    }
    for each in past:
        order = orders[each.opened_at]
        assert each.quantity == int(order["filled_qty"])
        assert each.credit == pytest.approx(-float(order["filled_avg_price"]))
        assert len(each.seconds) == len(each.cents) == len(each.natural_cents) == len(each.prices)


def test_there_is_a_point_a_minute_today_and_one_in_15_minutes_before_within_the_sessions(found):
    _, past = found
    today_opens = session_hours(STARTED_AT.date())[0].timestamp()
    for each in past:
        assert each.seconds == sorted(set(each.seconds))
        assert each.opened_at.timestamp() < each.seconds[0] < each.opened_at.timestamp() + 4 * 86_400
        for second in each.seconds:
            at = dt.datetime.fromtimestamp(second, NEW_YORK)
            opens, closes = session_hours(at.date())
            assert opens < at <= closes
        today = [second for second in each.seconds if second > today_opens]
        assert today == list(range(int(today_opens) + 60, int(STARTED_AT.timestamp()) + 1, 60))
        assert all(second % 900 == 0 for second in each.seconds if second < today_opens)
    assert sum(len(each.seconds) for each in past) < 10_000


def test_the_points_begin_near_zero_and_lead_to_the_quotes_of_the_market(found):
    simulation, past = found
    for each in past:
        assert abs(each.cents[0]) < 4000 * each.quantity
        assert all(natural <= mark for natural, mark in zip(each.natural_cents, each.cents, strict=True))
        root, expiration, *strikes = each.id.split("-")
        symbols = [
            occ.OptionSymbol(
                root=root,
                expiration=dt.datetime.strptime(expiration, "%y%m%d").date(),  # noqa: DTZ007
                right=right,
                strike_mills=round(float(strike) * 1000),
            ).compact
            for right, strike in zip(("put", "put", "call", "call"), strikes, strict=True)
        ]
        signs = [1 if simulation.account.holdings[symbol].quantity > 0 else -1 for symbol in symbols]
        worth = sum(sign * float(simulation.account.mark(symbol)) for sign, symbol in zip(signs, symbols, strict=True))
        assert each.cents[-1] / 100 == pytest.approx(
            (worth + each.credit) * 100 * each.quantity, abs=40 * each.quantity
        )
        price = simulation.market.spot(simulation.market.root_of(root).underlying)
        assert each.prices[-1] == pytest.approx(price, rel=0.002)


def test_a_condor_that_is_no_longer_held_in_full_has_no_points(make_harness):
    harness = make_harness("index")
    before = [each.id for each in points(harness.simulation)]
    assert len(before) == 3
    account = harness.simulation.account
    leg = next(symbol for symbol in account.holdings if symbol.startswith("XSP"))
    account.set_position(leg, 0)
    assert [each.id for each in points(harness.simulation)] == [each for each in before if not each.startswith("XSP")]


@pytest.mark.parametrize(("name", "count"), [("empty", 0), ("tested", 5), ("expiration-day", 5)])
def test_other_scenarios_have_points_too(make_harness, name, count):
    assert len(points(make_harness(name).simulation)) == count


def test_the_past_is_served_by_an_admin_route(harness):
    answer = harness.request("/simulator/past", headers={})
    assert answer.status == 200
    account = harness.request("/v2/account").json
    assert answer.json["accountId"] == account["id"]
    condor = answer.json["condors"][0]
    assert set(condor) == {"id", "openedAt", "quantity", "credit", "seconds", "cents", "naturalCents", "prices"}
    orders = harness.request("/v2/orders?status=closed&nested=true&limit=500").json
    assert dt.datetime.fromisoformat(condor["openedAt"]) in [
        dt.datetime.fromisoformat(order["filled_at"]) for order in orders if order["filled_at"]
    ]


def test_a_condor_opened_after_the_start_has_no_points(harness):
    before = len(points(harness.simulation))
    legs = {"SPY261218P00600000": 1, "SPY261218P00610000": -1, "SPY261218C00800000": -1, "SPY261218C00810000": 1}
    harness.tick(60)
    harness.post("positions", {"positions": [{"symbol": s, "qty": q} for s, q in legs.items()], "fill": True})
    assert len(points(harness.simulation)) == before
