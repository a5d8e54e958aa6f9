import datetime as dt

import pytest

from condord.simulator.clock import NEW_YORK
from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import FAULTS
from condord.simulator.past_calendar import is_session
from condord.simulator.scenarios import scenario
from condord.simulator.simulation import Simulation
from tests.examples import some_of
from tests.simulator.conftest import STARTED_AT

SYMBOLS = ["SPY261218C00745000", "QQQ261218P00650000"]


def test_a_busy_market_quotes_more_than_the_default_one(make_harness):
    def count(name):
        harness = make_harness(name)
        before = {symbol: harness.simulation.market.latest(symbol) for symbol in harness.simulation.account.holdings}
        for _ in range(10):
            harness.tick(0.1)
        return sum(harness.simulation.market.latest(symbol) is not quote for symbol, quote in before.items())

    assert count("busy") > count("default") > 0
    assert count("frozen") == count("closed") == 0


def test_the_day_scenario_begins_a_minute_before_the_open_at_60_times_the_speed(make_harness):
    harness = make_harness("day")
    assert not harness.request("/v2/clock").json["is_open"]
    harness.tick(1.1)
    assert harness.request("/v2/clock").json["is_open"]
    assert harness.simulation.at(harness.now) - harness.simulation.at(harness.now - 1) == dt.timedelta(minutes=1)


def test_position_faults_choose_a_position(harness):
    account = harness.simulation.account
    before = dict(account.holdings)
    for fault in ("position-vanish", "position-halve", "position-flip"):
        harness.inject(fault)
    harness.tick()
    changed = {symbol for symbol in before if account.holdings.get(symbol) != before[symbol]}
    assert 2 <= len(changed) <= 3
    assert account.activities[-1]["activity_type"] in {"OPASN", "OPEXP"}


def test_a_fault_on_an_unknown_position_changes_nothing(harness):
    before = dict(harness.simulation.account.holdings)
    harness.inject("position-vanish", symbol="NONE")
    harness.tick()
    assert dict(harness.simulation.account.holdings) == before


def test_the_same_seed_gives_the_same_account(make_harness):
    assert make_harness().request("/v2/positions").json == make_harness().request("/v2/positions").json


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_no_fault_ends_the_simulation(harness, fault):
    harness.simulation.inject(fault, harness.now, count=3)
    for _ in range(5):
        harness.tick()
        harness.simulation.publish([harness.simulation.market.latest(symbol) for symbol in SYMBOLS], harness.now)
    harness.simulation.faults.clear()
    assert harness.request("/v2/clock").json["is_open"]
    assert harness.request("/v2/positions").status == 200


def test_a_burst_is_ten_thousand_quotes_a_second_of_the_subscribed_symbols(harness, monkeypatch):
    published = []
    monkeypatch.setattr(
        harness.simulation.streams, "subscribed", lambda stream="option": set(SYMBOLS[: stream == "option" and 2])
    )
    monkeypatch.setattr(harness.simulation, "publish", lambda quotes, now: published.extend(quotes))
    harness.simulation.is_frozen = True
    harness.simulation.inject("burst", harness.now, seconds=0.999)
    for _ in range(30):
        harness.tick()
    assert len(published) == pytest.approx(10_000, rel=0.06)
    assert {quote.symbol for quote in published} == set(SYMBOLS)


def new_york(harness):
    return harness.simulation.at(harness.now).astimezone(NEW_YORK)


def test_expiration_day_begins_an_hour_before_the_close_of_a_friday_on_which_contracts_expire(make_harness):
    harness = make_harness("expiration-day")
    at = new_york(harness)
    assert (at.weekday(), at.hour, at.minute) == (4, 15, 0)
    assert harness.simulation.market.listed.near == at.date()
    assert harness.request("/v2/clock").json["is_open"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-11-20", "2026-11-20"), ("2026-11-21", "2026-11-23"), ("2026-11-26", "2026-11-27")],
)
def test_the_day_scenario_begins_on_a_day_on_which_the_market_opens(day, expected):
    at = dt.datetime.fromisoformat(f"{day}T17:00:00Z")  # the 26th is Thanksgiving
    simulation = Simulation(scenario=scenario("day"), seed=1, entitlements=Entitlements(), started_at=at, now=0.0)
    assert simulation.at(0.0) == dt.datetime.fromisoformat(f"{expected}T14:29:00Z")


@pytest.mark.parametrize(("day", "expected"), [("2026-11-20", "2026-11-20"), ("2026-11-21", "2026-12-04")])
def test_expiration_day_is_not_a_half_day(day, expected):
    at = dt.datetime.fromisoformat(f"{day}T12:00:00Z")  # the Friday of the 27th closes early
    simulation = Simulation(
        scenario=scenario("expiration-day"), seed=1, entitlements=Entitlements(), started_at=at, now=0.0
    )
    assert simulation.at(0.0).date().isoformat() == expected


def test_on_the_eve_of_an_ex_date_the_dividend_is_tomorrow(make_harness):
    harness = make_harness("ex-dividend")
    tomorrow = new_york(harness).date() + dt.timedelta(days=1)
    assert tomorrow in [day for day, _ in harness.simulation.market.underlyings.dividends["SPY"]]


def test_a_session_begins_when_the_exchange_opens(make_harness):
    harness = make_harness("day")
    underlyings = harness.simulation.market.underlyings
    before, spot = underlyings.previous_close("SPY"), underlyings.spot("SPY")
    harness.tick(0.9)
    assert underlyings.previous_close("SPY") == before
    harness.tick(0.2)
    assert underlyings.session_day == new_york(harness).date()
    assert underlyings.previous_close("SPY") == round(spot, 2)


def test_a_burst_of_the_stock_stream_leaves_the_option_stream_alone(harness, monkeypatch):
    published = {"option": [], "stock": []}
    symbols = {"option": {SYMBOLS[0]}, "stock": {"SPY"}}
    monkeypatch.setattr(harness.simulation.streams, "subscribed", lambda stream="option": symbols[stream])
    monkeypatch.setattr(harness.simulation, "publish", lambda quotes, now: published["option"].extend(quotes))
    monkeypatch.setattr(
        harness.simulation._stock_feed, "publish", lambda events, now: published["stock"].extend(events)
    )
    harness.simulation.is_frozen = True
    harness.simulation.inject("burst", harness.now, seconds=0.999, stream="stock")
    for _ in range(30):
        harness.tick()
    assert published["option"] == []
    assert len(published["stock"]) == pytest.approx(10_000, rel=0.06)


@pytest.mark.parametrize(("name", "moves"), [("default", True), ("frozen", False), ("closed", False)])
def test_stocks_are_quoted_while_the_market_is_open_and_moves(make_harness, name, moves):
    harness = make_harness(name)
    before = harness.simulation.stocks.quote("SPY")
    harness.tick(5)
    assert (harness.simulation.stocks.quote("SPY") is not before) is moves


def test_a_price_is_set_only_if_every_underlying_is_known(harness):
    spot = harness.simulation.market.spot("SPY")
    with pytest.raises(KeyError):
        harness.simulation.set_spots({"SPY": 1.0, "NONE": 1.0}, harness.now)
    assert harness.simulation.market.spot("SPY") == spot


def test_after_the_close_only_late_options_and_stocks_are_quoted(make_harness):
    harness = make_harness("session")
    simulation = harness.simulation
    simulation.set_clock(dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC), harness.now)
    harness.tick()
    closes = [simulation.stocks.bars(symbol)[1].close for symbol in ("SPY", "AAPL")]

    def quoted(seconds):
        """The roots of contracts that are held and were quoted in that time, and whether a stock was."""
        before, stock = {symbol: simulation.market.latest(symbol) for symbol in held}, simulation.stocks.quote("SPY")
        for _ in range(10):
            harness.tick(seconds / 10)
        changed = {symbol[:-15] for symbol, quote in before.items() if simulation.market.latest(symbol) is not quote}
        return changed, simulation.stocks.quote("SPY") is not stock

    held = [symbol for symbol, holding in simulation.account.holdings.items() if holding.multiplier > 1]
    assert quoted(600) == ({"SPY", "QQQ", "IWM"}, True)
    assert [simulation.stocks.bars(symbol)[1].close for symbol in ("SPY", "AAPL")] == closes
    harness.tick(300)
    assert quoted(600) == (set(), False)


def test_the_closes_belong_to_a_trading_day():
    started_at = dt.datetime(2026, 11, 27, 15, 0, tzinfo=dt.UTC)  # the day after Thanksgiving
    simulation = Simulation(
        scenario=scenario("session"), seed=1, entitlements=Entitlements(), started_at=started_at, now=0.0
    )
    assert simulation.account.closes.asof == dt.date(2026, 11, 25)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T15:00Z", "2026-11-20T21:15Z"),
        ("2026-11-20T21:05Z", "2026-11-20T21:15Z"),
        ("2026-11-20T22:00Z", "2026-11-20T22:00Z"),
        ("2026-11-21T21:05Z", "2026-11-21T21:05Z"),
        ("2026-11-27T18:00Z", "2026-11-27T18:15Z"),
    ],
)
def test_the_closed_scenario_begins_once_every_option_has_stopped_trading(at, expected):
    started_at = dt.datetime.fromisoformat(at)
    simulation = Simulation(
        scenario=scenario("closed"), seed=1, entitlements=Entitlements(), started_at=started_at, now=0.0
    )
    assert simulation.at(0.0) == dt.datetime.fromisoformat(expected)


@pytest.mark.deep
@pytest.mark.parametrize("hours", list(some_of(range(24, 24 * 8, 5))))
def test_the_past_of_the_demo_has_only_sessions_of_the_exchange(hours):
    started_at = STARTED_AT + dt.timedelta(hours=hours)  # Thanksgiving and a weekend are among these days
    simulation = Simulation(
        scenario=scenario("default"), seed=1, entitlements=Entitlements(), started_at=started_at, now=0.0
    )
    *before, newest = (session.day for session in simulation.path.sessions)
    assert all(is_session(day) for day in before)
    assert is_session(newest) or newest == started_at.astimezone(NEW_YORK).date()


def test_a_market_that_was_open_on_a_weekend_has_each_day_once(make_harness):
    harness = make_harness()
    bars = "/v2/stocks/bars?timeframe=1Day&symbols=SPY&start=2026-11-18"
    changes = [{"at": "2026-11-22T15:00:00Z"}, {"opening": "hours"}, {"at": "2026-11-23T15:00:00Z"}]
    for change in changes:
        harness.tick(60)
        harness.post("market", change)
        harness.tick(60)
        days = [row["t"][8:10] for row in harness.request(bars).json["bars"]["SPY"]]
        assert days == sorted(set(days))
    assert days == ["18", "19", "20", "21", "22", "23"]
    stocks, underlyings = harness.simulation.stocks, harness.simulation.market.underlyings
    assert stocks.bars("SPY")[1].low < stocks.bars("SPY")[1].high
    assert stocks.bars("SPY")[2].close == underlyings.previous_close("SPY")


def test_over_many_days_the_bars_and_the_closes_agree(make_harness):
    harness = make_harness("session")
    harness.tick(60)
    for day in range(1, 8):
        at = STARTED_AT + dt.timedelta(days=day)
        harness.simulation.set_clock(at, harness.now)
        harness.tick()
        underlyings = harness.simulation.market.underlyings
        assert underlyings.session_day == harness.simulation.clock.session_day(at)
        for symbol in ("SPY", "AAPL"):
            assert harness.simulation.stocks.bars(symbol)[2].close == underlyings.previous_close(symbol)
        harness.tick(60)


@pytest.mark.parametrize("name", ["default", "session", "day"])
def test_the_close_of_a_stock_is_the_same_in_its_bar_and_in_the_position(make_harness, name):
    harness = make_harness(name)

    def closes():
        (held,) = (row for row in harness.request("/v2/positions").json if row["symbol"] == "AAPL")
        snapshot = harness.request("/v2/stocks/snapshots?symbols=AAPL").json["AAPL"]
        return float(held["lastday_price"]), snapshot["prevDailyBar"]["c"]

    compared = 0
    for days in range(1, 5):  # from Friday to Monday
        harness.tick(60)
        position, bar = closes()
        # At the weekend the newest session is Friday's for the bars, and the one before for the position.
        is_session = harness.simulation.market.underlyings.session_day == new_york(harness).date()
        assert is_session is (position == bar)
        compared += is_session
        harness.simulation.clock.set_speed(3600.0, harness.now)
        harness.post("market", {"rate": 0.01})
        for _ in range(12):  # over the end of the session, at a step of less than an hour
            harness.tick(0.85)
        harness.simulation.clock.set_speed(1.0, harness.now)
        harness.post("market", {"at": (STARTED_AT + dt.timedelta(days=days, hours=1)).isoformat()})
    assert compared >= 2
