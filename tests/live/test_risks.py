"""When risk figures are computed and published; which changes count is in test_risk_changes.py."""

import datetime as dt

import pytest

from condord.core.cutoffs import CutoffSettings
from condord.core.dividend import Dividend
from condord.core.model.assumptions import Assumptions
from condord.core.model.figures import OptionSnapshot
from condord.core.underlying import Bar, IndexValue, StockSnapshot
from condord.live import wire
from condord.live.published import EVERYTHING
from condord.live.risks import SETTLE_SECONDS, SLICE, RiskSettings

from .accounts import C630, C640, C650, EPOCH_AT, P560, P570, House, option, position, spy, status, tick
from .test_risk_figures import worth

LEGS = (P560, P570, C630, C640)
CHRISTMAS = Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca")


def model_ticks(symbols, spot=600.0, volatility=0.2, second=0):
    mids = {symbol: worth(symbol, spot, volatility) for symbol in symbols}
    return [tick(symbol, mid - 0.01, mid + 0.01, second) for symbol, mid in mids.items()]


def priced(*positions, price=600.0):
    """A house in which everything is quoted, half a minute after the full minute."""
    house = House(positions or spy())
    house.set_status(status())
    house.offer(*model_ticks(house.book.symbols))
    house.offer_stocks(tick("SPY", price - 0.01, price + 0.01))
    house.wait(30 - house.now_at.second + 60)
    return house


@pytest.fixture
def house():
    return priced()


@pytest.fixture
def stream(house):
    subscriber = house.subscribe(EVERYTHING)
    house.take(subscriber)
    return subscriber


def move(house, price, second=0.0):
    house.publisher.offer_stocks([tick("SPY", price - 0.01, price + 0.01, house.now + second)], house.now)
    return house.turn()


def deltas(house, stream):
    return [data for event, _, data in house.take(stream) if event == "delta"]


def risk(house):
    return house.edition.document(house.now_at).condors[0].risk


def underlying(house):
    return house.edition.document(house.now_at).underlyings[0]


def test_the_first_pass_follows_what_is_known(house):
    assert (risk(house).price, risk(house).missing) == (600, [])
    assert [leg.iv for leg in risk(house).legs] == [pytest.approx(0.2, abs=1e-3)] * 4
    assert underlying(house).theta == risk(house).theta == house.edition.totals.theta
    assert house.edition.totals.risk_incomplete == 0


def test_risks_underlyings_and_theta_are_published_together(house, stream):
    move(house, 601.0)
    [delta] = deltas(house, stream)
    assert [each["price"] for each in delta["risks"]] == [each["price"] for each in delta["underlyings"]] == [601]
    assert delta["risks"][0]["delta"] == delta["underlyings"][0]["delta"]
    assert delta["totals"]["theta"] == delta["risks"][0]["theta"]


def test_passes_are_at_least_an_interval_apart(house, stream):
    move(house, 601.0)
    house.wait(0.5)
    move(house, 602.0)
    house.wait(1.4)
    assert [delta["risks"][0]["price"] for delta in deltas(house, stream)] == [601]
    house.wait(0.2)
    assert [delta["risks"][0]["price"] for delta in deltas(house, stream)] == [602]


def test_results_wait_for_the_window_and_leave_with_the_quotes_of_it(house, stream):
    house.offer(tick(P560, 2.0, 2.1, 1))
    assert ["risks" in delta for delta in deltas(house, stream)] == [False]
    assert house.book.risks.is_due
    house.offer(tick(P570, 3.0, 3.1, 2))
    house.wait(0.3)
    [delta] = deltas(house, stream)
    assert [quote["symbol"] for quote in delta["quotes"]] == [P570]
    assert delta["risks"][0]["legs"][0]["iv"] > 0.21
    assert delta["risks"][0]["legs"][1]["iv"] == pytest.approx(0.2, abs=1e-3)
    house.wait(1.9)
    assert deltas(house, stream) == []
    house.wait(0.2)
    assert ["risks" in delta for delta in deltas(house, stream)] == [True]


def test_a_price_that_moves_too_little_is_not_an_event(house, stream):
    move(house, 600.05)
    house.wait(10)
    assert deltas(house, stream) == []


def test_a_price_that_counts_for_its_underlying_only_is_published_without_the_risk(house, stream):
    move(house, 600.07)
    [delta] = deltas(house, stream)
    assert "risks" not in delta
    assert [each["price"] for each in delta["underlyings"]] == [600.07]


def test_the_greeks_of_an_underlying_are_the_sum_of_the_published_risks(house):
    move(house, 600.07)
    assert (underlying(house).price, risk(house).price) == (600.07, 600)
    for greek in ("delta", "gamma", "theta", "vega"):
        assert getattr(underlying(house), greek) == getattr(risk(house), greek)
    assert house.edition.totals.theta == underlying(house).theta


def test_small_moves_add_up_since_a_risk_was_published(house, stream):
    move(house, 600.07)
    house.wait(2.0)
    move(house, 600.14)
    assert ["risks" in delta for delta in deltas(house, stream)] == [False, True]


def test_what_has_moved_a_little_follows_with_the_minute(house, stream):
    move(house, 600.05)
    house.wait(20)
    assert deltas(house, stream) == []
    house.wait(20)
    [delta] = deltas(house, stream)
    assert (delta["risks"][0]["price"], delta["underlyings"][0]["price"]) == (600.05, 600.05)


def test_a_minute_in_which_no_rounded_value_changes_is_not_an_event(house, stream):
    house.set_status(status(market=wire.MarketJson(is_open=False, next_open=EPOCH_AT, next_close=EPOCH_AT)))
    house.wait(30)
    house.take(stream)
    house.wait(300)
    assert {name for delta in deltas(house, stream) for name in delta} & {"risks", "underlyings", "totals"} == set()


def test_without_changes_time_alone_is_computed_once_a_minute(house, stream):
    last_hours_at = dt.datetime(2026, 12, 18, 18, 0, 30, tzinfo=dt.UTC)
    house.clock_is_ahead_by = (last_hours_at - house.now_at).total_seconds()
    house.set_status(status(read=9))
    house.wait(10)
    house.take(stream)
    for _ in range(8):
        move(house, 600.0)
        house.wait(30)
    found = [delta["risks"][0]["asOf"] for delta in deltas(house, stream) if "risks" in delta]
    assert found[-2:] == [
        f"2026-12-18T18:0{minute}:00Z" for minute in (3, 4)
    ]  # the first minute of a day is a snapshot


def test_a_price_that_nobody_confirms_is_unconfirmed_in_time(house, stream):
    move(house, 601.0)
    house.take(stream)
    house.wait(60 + SETTLE_SECONDS + 2)
    assert (underlying(house).unconfirmed, underlying(house).reason, underlying(house).price) == (True, "stale", 601)
    assert (risk(house).price, risk(house).missing) == (None, ["price"])
    assert house.edition.totals.risk_incomplete == 1
    assert house.edition.totals.theta is None


def test_the_previous_close_comes_from_rest(house, stream):
    before = Bar(day=dt.date(2026, 11, 19), close_e4=5_900_000)
    quote = tick("SPY", 599.99, 600.01, house.now)
    house.publisher.confirm_stocks(
        [StockSnapshot(symbol="SPY", quote=quote, trade=None, today=None, before=before)], house.now
    )
    house.wait(2)
    [delta] = deltas(house, stream)
    assert [(each["previousClose"], each["change"], each["percentChange"]) for each in delta["underlyings"]] == [
        (590, 10, 1.69)
    ]


def test_a_changed_number_of_shares_changes_the_underlying_without_a_snapshot(house, stream):
    house.set_positions(spy(), stocks={"SPY": 100})
    house.wait(2)
    [delta] = deltas(house, stream)
    assert [each["shares"] for each in delta["underlyings"]] == [100]
    assert delta["underlyings"][0]["delta"] == pytest.approx(risk(house).delta + 100)


def test_dividends_reach_the_underlying_and_the_figures(house, stream):
    before = risk(house)
    house.publisher.set_dividends([CHRISTMAS])
    house.wait(2)
    [delta] = deltas(house, stream)
    assert delta["underlyings"][0]["exDividend"] == {"date": "2026-12-18", "amount": 1.97, "source": "alpaca"}
    assert risk(house).legs[0].iv != before.legs[0].iv


def test_settings_are_applied_with_the_next_status(house, stream):
    before = risk(house)
    settings = RiskSettings(assumptions=Assumptions(rate=0.2), interval_seconds=0.5)
    house.publisher.set_model(settings, [CHRISTMAS], CutoffSettings())
    house.set_status(status(read=9))
    house.wait(1)
    assert risk(house).legs[0].iv != before.legs[0].iv
    assert underlying(house).ex_dividend.amount == 1.97
    assert {event for event, _, _ in house.take(stream)} == {"delta"}
    house.publisher.set_model(settings, [], CutoffSettings(order_cutoff_minutes_etf=10))
    house.set_status(status(read=9))
    [(event, _, data)] = house.take(stream)
    assert event == "snapshot"
    assert data["condors"][0]["expiry"]["cutoffs"][0]["at"] == "2026-12-18T20:50:00Z"


# Other positions.


def test_a_snapshot_of_a_small_account_has_its_figures_already(house):
    house.set_positions(spy(1))
    assert (risk(house).price, risk(house).missing) == (600, [])
    assert underlying(house).theta == house.edition.totals.theta == risk(house).theta


def many(count):
    """So many condors of one contract, each of its own strikes."""
    held = []
    for number in range(count):
        strikes = [(520 + number, "P", 1), (560 + number, "P", -1), (620 + number, "C", -1), (660 + number, "C", 1)]
        held += [position(option(strike, right), side) for strike, right, side in strikes]
    return held


def test_a_large_account_is_computed_in_slices_and_published_at_once():
    house = priced(*many(30))
    assert house.book.risks.figures.cost > SLICE
    stream = house.subscribe(EVERYTHING)
    house.take(stream)
    house.publisher.offer_stocks([tick("SPY", 604.99, 605.01, house.now)], house.now)
    ticks, number = 1, house.edition.number
    while house.publisher.tick(house.now, house.now_at) == []:
        assert (house.book.risks.is_running, house.edition.number) == (True, number)
        ticks += 1
    assert ticks > 2
    [delta] = deltas(house, stream)
    assert len(delta["risks"]) == 30
    assert {each["price"] for each in delta["risks"]} == {605}


def test_the_figures_of_a_large_account_follow_its_snapshot():
    house = priced(*many(30))
    stream = house.subscribe(EVERYTHING)
    house.set_positions(many(31))
    [shown] = [data for event, _, data in house.take(stream)[1:] if event == "snapshot"]
    assert {condor["risk"]["price"] for condor in shown["condors"]} == {None, 600}
    assert shown["underlyings"][0]["delta"] is None
    house.offer(*model_ticks(house.book.symbols, second=house.now))
    house.wait(3)
    assert all(condor.risk.missing == [] for condor in house.edition.document(house.now_at).condors)


def test_a_pass_in_progress_is_given_up_when_other_positions_are_shown():
    house = priced(*many(30))
    house.publisher.offer_stocks([tick("SPY", 604.99, 605.01, house.now)], house.now)
    house.publisher.tick(house.now, house.now_at)
    assert house.book.risks.is_running
    house.publisher.set_positions(spy(), house.now, house.now_at)
    assert not house.book.risks.is_running
    assert risk(house).price == 605


def test_results_that_wait_are_given_up_when_other_positions_are_shown(house, stream):
    house.offer(tick(P560, 2.0, 2.1, 1))
    move(house, 601.0)
    assert house.book.risks.is_due
    house.set_positions(spy(1))
    assert not house.book.risks.is_due
    assert [event for event, _, _ in house.take(stream)] == ["delta", "snapshot"]


def test_without_anything_held_nothing_is_computed():
    house = House(())
    assert house.book.risks.deadline is None
    assert (house.edition.totals.theta, house.edition.totals.risk_incomplete) == (0, 0)
    house.book.risks.amend(house.edition.number, house.now)


# Alpaca's own figures, and contracts that are not held.


def snapshot(symbol, delta):
    return OptionSnapshot(symbol=symbol, at=EPOCH_AT, iv=0.25, delta=delta, gamma=0.01, theta=-0.1, vega=0.4)


def notices(house):
    house.set_status(status(read=3))
    return [(notice.code, notice.symbols) for notice in house.edition.status.notices]


def test_a_delta_of_alpaca_that_differs_is_a_notice_until_it_does_not(house):
    house.publisher.set_snapshots([snapshot(C630, 0.9), snapshot(C640, 0.9)])
    house.wait(2)
    since_at = house.now_at
    assert notices(house) == [("greeksDiffer", [C630, C640])]
    house.wait(9)
    move(house, 600.0)
    house.publisher.set_snapshots([snapshot(C640, 0.9)])
    house.wait(2)
    assert notices(house) == [("greeksDiffer", [C640])]
    assert house.edition.status.notices[0].since <= since_at
    house.publisher.set_snapshots([])
    house.wait(2)
    assert notices(house) == [("greeksDiffer", [C640])]
    house.publisher.set_snapshots([snapshot(C640, risk(house).legs[3].delta)])
    house.wait(2)
    assert notices(house) == []


def test_a_quote_of_a_contract_that_is_not_held_gives_the_volatility_of_one_in_the_money(house):
    move(house, 565.0)
    house.wait(3)
    assert house.book.risks.opposite_contracts(house.now_at) == (option(570, "C"),)
    [ask] = model_ticks([option(570, "C")], spot=565.0, volatility=0.3)
    house.publisher.set_opposite_quotes([ask], house.now_at)
    house.wait(3)
    assert risk(house).legs[1].iv == pytest.approx(0.3, abs=2e-3)


def test_an_index_without_a_value_has_a_price_by_parity():
    root = "SPXW"
    sides = [(5900, "P", 1), (5950, "P", -1), (6050, "C", -1), (6100, "C", 1)]
    house = House([position(option(strike, right, root), side, underlying="SPX") for strike, right, side in sides])
    house.set_status(status())
    house.offer(*model_ticks(house.book.symbols, 6000.0))
    house.publisher.confirm_indexes([], house.now, is_entitled=False)
    house.wait(3)
    assert (underlying(house).price, underlying(house).reason) == (None, "indexNotEntitled")
    house.publisher.set_opposite_quotes(
        model_ticks(house.book.risks.opposite_contracts(house.now_at), 6000.0), house.now_at
    )
    house.wait(3)
    assert (underlying(house).source, round(underlying(house).price)) == ("parity", 6006)
    assert risk(house).missing == []
    house.publisher.confirm_indexes(
        [IndexValue(symbol="SPX", value_e4=60_010_000, at=house.now_at)], house.now, is_entitled=True
    )
    house.wait(3)
    assert (underlying(house).source, underlying(house).price) == ("index", 6001)


def test_after_a_suspend_nothing_is_computed_from_a_price_until_it_is_given_again(house):
    house.publisher.lapse_prices()
    house.wait(3)
    assert (underlying(house).unconfirmed, risk(house).price, risk(house).missing) == (True, None, ["price"])
    move(house, 600.5)
    house.wait(3)
    assert (underlying(house).unconfirmed, risk(house).price, risk(house).missing) == (False, 600.5, [])


def test_contracts_in_no_condor_count_in_theta_and_in_what_is_unknown():
    house = priced(*spy(), position(C650, 3, 0.40))
    assert house.edition.totals.theta == underlying(house).theta != risk(house).theta
    house.offer(tick(C650, 1.0, 0.0, 90))
    house.wait(3)
    assert house.edition.totals.risk_incomplete == 1
    assert house.edition.totals.theta == risk(house).theta
    assert underlying(house).theta is None
