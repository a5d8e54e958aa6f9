import datetime as dt

import pytest

from condord.simulator.faults import FAULTS

SOME = ["SPY261218C00745000", "QQQ261218P00650000"]


def test_a_busy_market_quotes_more_than_the_default_one(make_bench):
    def count(name):
        bench = make_bench(name)
        before = {symbol: bench.simulation.market.latest(symbol) for symbol in bench.simulation.account.holdings}
        for _ in range(10):
            bench.tick(0.1)
        return sum(bench.simulation.market.latest(symbol) is not quote for symbol, quote in before.items())

    assert count("busy") > count("default") > 0
    assert count("frozen") == count("closed") == 0


def test_the_day_scenario_begins_a_minute_before_the_open_and_hurries(make_bench):
    bench = make_bench("day")
    assert not bench.ask("/v2/clock").json["is_open"]
    bench.tick(1.1)
    assert bench.ask("/v2/clock").json["is_open"]
    assert bench.simulation.at(bench.now) - bench.simulation.at(bench.now - 1) == dt.timedelta(minutes=1)


def test_position_faults_find_a_position_of_their_own(bench):
    account = bench.simulation.account
    before = dict(account.holdings)
    for fault in ("position-vanish", "position-halve", "position-flip"):
        bench.simulation.faults.activate(fault, bench.now)
    bench.tick()
    changed = {symbol for symbol in before if account.holdings.get(symbol) != before[symbol]}
    assert 2 <= len(changed) <= 3
    assert account.activities[-1]["activity_type"] in {"OPASN", "OPEXP"}


def test_a_fault_on_an_unknown_position_changes_nothing(bench):
    before = dict(bench.simulation.account.holdings)
    bench.simulation.faults.activate("position-vanish", bench.now, symbol="NONE")
    bench.tick()
    assert dict(bench.simulation.account.holdings) == before


def test_the_same_seed_gives_the_same_account(make_bench):
    assert make_bench().ask("/v2/positions").json == make_bench().ask("/v2/positions").json


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_no_fault_ends_the_simulation(bench, fault):
    bench.simulation.strike(fault, bench.now, count=3)
    for _ in range(5):
        bench.tick()
        bench.simulation.publish([bench.simulation.market.latest(symbol) for symbol in SOME], bench.now)
    bench.simulation.faults.clear()
    assert bench.ask("/v2/clock").json["is_open"]
    assert bench.ask("/v2/positions").status == 200


def test_a_burst_is_ten_thousand_quotes_a_second_of_what_is_subscribed(bench, monkeypatch):
    published = []
    monkeypatch.setattr(bench.simulation.streams, "subscribed", lambda: set(SOME))
    monkeypatch.setattr(bench.simulation, "publish", lambda quotes, now: published.extend(quotes))
    bench.simulation.is_frozen = True
    bench.simulation.strike("burst", bench.now, seconds=0.999)
    for _ in range(30):
        bench.tick()
    assert len(published) == pytest.approx(10_000, rel=0.06)
    assert {quote.symbol for quote in published} == set(SOME)
