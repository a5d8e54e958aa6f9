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

from .accounts import C630, C640, C650, EPOCH_AT, P560, P570, PublishingService, option, position, spy, status, tick
from .test_risk_figures import worth

LEGS = (P560, P570, C630, C640)
CHRISTMAS = Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca")


def model_ticks(symbols, spot=600.0, volatility=0.2, second=0):
    mids = {symbol: worth(symbol, spot, volatility) for symbol in symbols}
    return [tick(symbol, mid - 0.01, mid + 0.01, second) for symbol, mid in mids.items()]


def priced(*positions, price=600.0):
    """A publishing service in which everything is quoted, half a minute after the full minute."""
    service = PublishingService(positions or spy())
    service.set_status(status())
    service.offer(*model_ticks(service.book.symbols))
    service.offer_stocks(tick("SPY", price - 0.01, price + 0.01))
    service.wait(30 - service.now_at.second + 60)
    return service


@pytest.fixture
def service():
    return priced()


@pytest.fixture
def stream(service):
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    return subscriber


def move(service, price, second=0.0):
    service.publisher.offer_stocks([tick("SPY", price - 0.01, price + 0.01, service.now + second)], service.now)
    return service.turn()


def deltas(service, stream):
    return [data for event, _, data in service.take(stream) if event == "delta"]


def risk(service):
    return service.edition.document(service.now_at).condors[0].risk


def underlying(service):
    return service.edition.document(service.now_at).underlyings[0]


def test_the_first_pass_follows_what_is_known(service):
    assert (risk(service).price, risk(service).missing) == (600, [])
    assert [leg.iv for leg in risk(service).legs] == [pytest.approx(0.2, abs=1e-3)] * 4
    assert underlying(service).theta == risk(service).theta == service.edition.totals.theta
    assert service.edition.totals.risk_incomplete == 0


def test_risks_underlyings_and_theta_are_published_together(service, stream):
    move(service, 601.0)
    [delta] = deltas(service, stream)
    assert [each["price"] for each in delta["risks"]] == [each["price"] for each in delta["underlyings"]] == [601]
    assert delta["risks"][0]["delta"] == delta["underlyings"][0]["delta"]
    assert delta["totals"]["theta"] == delta["risks"][0]["theta"]


def test_passes_are_at_least_an_interval_apart(service, stream):
    move(service, 601.0)
    service.wait(0.5)
    move(service, 602.0)
    service.wait(1.4)
    assert [delta["risks"][0]["price"] for delta in deltas(service, stream)] == [601]
    service.wait(0.2)
    assert [delta["risks"][0]["price"] for delta in deltas(service, stream)] == [602]


def test_results_wait_for_the_window_and_are_sent_with_its_quotes(service, stream):
    service.offer(tick(P560, 2.0, 2.1, 1))
    assert ["risks" in delta for delta in deltas(service, stream)] == [False]
    assert service.book.risks.is_due
    service.offer(tick(P570, 3.0, 3.1, 2))
    service.wait(0.3)
    [delta] = deltas(service, stream)
    assert [quote["symbol"] for quote in delta["quotes"]] == [P570]
    assert delta["risks"][0]["legs"][0]["iv"] > 0.21
    assert delta["risks"][0]["legs"][1]["iv"] == pytest.approx(0.2, abs=1e-3)
    service.wait(1.9)
    assert deltas(service, stream) == []
    service.wait(0.2)
    assert ["risks" in delta for delta in deltas(service, stream)] == [True]


def test_a_price_that_moves_too_little_is_not_an_event(service, stream):
    move(service, 600.05)
    service.wait(10)
    assert deltas(service, stream) == []


def test_a_price_that_counts_for_its_underlying_only_is_published_without_the_risk(service, stream):
    move(service, 600.07)
    [delta] = deltas(service, stream)
    assert "risks" not in delta
    assert [each["price"] for each in delta["underlyings"]] == [600.07]


def test_the_greeks_of_an_underlying_are_the_sum_of_the_published_risks(service):
    move(service, 600.07)
    assert (underlying(service).price, risk(service).price) == (600.07, 600)
    for greek in ("delta", "gamma", "theta", "vega"):
        assert getattr(underlying(service), greek) == getattr(risk(service), greek)
    assert service.edition.totals.theta == underlying(service).theta


def test_small_moves_add_up_since_a_risk_was_published(service, stream):
    move(service, 600.07)
    service.wait(2.0)
    move(service, 600.14)
    assert ["risks" in delta for delta in deltas(service, stream)] == [False, True]


def test_small_moves_are_published_once_a_minute(service, stream):
    move(service, 600.05)
    service.wait(20)
    assert deltas(service, stream) == []
    service.wait(20)
    [delta] = deltas(service, stream)
    assert (delta["risks"][0]["price"], delta["underlyings"][0]["price"]) == (600.05, 600.05)


def test_a_minute_in_which_no_rounded_value_changes_is_not_an_event(service, stream):
    service.set_status(status(market=wire.MarketJson(is_open=False, next_open=EPOCH_AT, next_close=EPOCH_AT)))
    service.wait(30)
    service.take(stream)
    service.wait(300)
    assert {name for delta in deltas(service, stream) for name in delta} & {"risks", "underlyings", "totals"} == set()


def test_without_changes_time_alone_is_computed_once_a_minute(service, stream):
    last_hours_at = dt.datetime(2026, 12, 18, 18, 0, 30, tzinfo=dt.UTC)
    service.clock_is_ahead_by = (last_hours_at - service.now_at).total_seconds()
    service.set_status(status(read=9))
    service.wait(10)
    service.take(stream)
    for _ in range(8):
        move(service, 600.0)
        service.wait(30)
    found = [delta["risks"][0]["asOf"] for delta in deltas(service, stream) if "risks" in delta]
    assert found[-2:] == [
        f"2026-12-18T18:0{minute}:00Z" for minute in (3, 4)
    ]  # the first minute of a day is a snapshot


def test_a_price_that_is_not_confirmed_for_a_while_becomes_unconfirmed(service, stream):
    move(service, 601.0)
    service.take(stream)
    service.wait(60 + SETTLE_SECONDS + 2)
    assert (underlying(service).unconfirmed, underlying(service).reason, underlying(service).price) == (
        True,
        "stale",
        601,
    )
    assert (risk(service).price, risk(service).missing) == (None, ["price"])
    assert service.edition.totals.risk_incomplete == 1
    assert service.edition.totals.theta is None


def test_the_previous_close_comes_from_rest(service, stream):
    before = Bar(day=dt.date(2026, 11, 19), close_e4=5_900_000)
    quote = tick("SPY", 599.99, 600.01, service.now)
    service.publisher.confirm_stocks(
        [StockSnapshot(symbol="SPY", quote=quote, trade=None, today=None, before=before)], service.now
    )
    service.wait(2)
    [delta] = deltas(service, stream)
    assert [(each["previousClose"], each["change"], each["percentChange"]) for each in delta["underlyings"]] == [
        (590, 10, 1.69)
    ]


def test_a_changed_number_of_shares_changes_the_underlying_without_a_snapshot(service, stream):
    service.set_positions(spy(), stocks={"SPY": 100})
    service.wait(2)
    [delta] = deltas(service, stream)
    assert [each["shares"] for each in delta["underlyings"]] == [100]
    assert delta["underlyings"][0]["delta"] == pytest.approx(risk(service).delta + 100)


def test_dividends_reach_the_underlying_and_the_figures(service, stream):
    before = risk(service)
    service.publisher.set_dividends([CHRISTMAS])
    service.wait(2)
    [delta] = deltas(service, stream)
    assert delta["underlyings"][0]["exDividend"] == {"date": "2026-12-18", "amount": 1.97, "source": "alpaca"}
    assert risk(service).legs[0].iv != before.legs[0].iv


def test_settings_are_applied_with_the_next_status(service, stream):
    before = risk(service)
    settings = RiskSettings(assumptions=Assumptions(rate=0.2), interval_seconds=0.5)
    service.publisher.set_model(settings, [CHRISTMAS], CutoffSettings())
    service.set_status(status(read=9))
    service.wait(1)
    assert risk(service).legs[0].iv != before.legs[0].iv
    assert underlying(service).ex_dividend.amount == 1.97
    assert {event for event, _, _ in service.take(stream)} == {"delta"}
    service.publisher.set_model(settings, [], CutoffSettings(order_cutoff_minutes_etf=10))
    service.set_status(status(read=9))
    [(event, _, data)] = service.take(stream)
    assert event == "snapshot"
    assert data["condors"][0]["expiry"]["cutoffs"][0]["at"] == "2026-12-18T20:50:00Z"


# Other positions.


def test_a_snapshot_of_a_small_account_has_its_figures_already(service):
    service.set_positions(spy(1))
    assert (risk(service).price, risk(service).missing) == (600, [])
    assert underlying(service).theta == service.edition.totals.theta == risk(service).theta


def many(count):
    """So many condors of one contract, each of its own strikes."""
    held = []
    for number in range(count):
        strikes = [(520 + number, "P", 1), (560 + number, "P", -1), (620 + number, "C", -1), (660 + number, "C", 1)]
        held += [position(option(strike, right), side) for strike, right, side in strikes]
    return held


def test_a_large_account_is_computed_in_slices_and_published_at_once():
    service = priced(*many(30))
    assert service.book.risks.figures.cost > SLICE
    stream = service.subscribe(EVERYTHING)
    service.take(stream)
    service.publisher.offer_stocks([tick("SPY", 604.99, 605.01, service.now)], service.now)
    ticks, number = 1, service.edition.number
    while service.publisher.tick(service.now, service.now_at) == []:
        assert (service.book.risks.is_running, service.edition.number) == (True, number)
        ticks += 1
    assert ticks > 2
    [delta] = deltas(service, stream)
    assert len(delta["risks"]) == 30
    assert {each["price"] for each in delta["risks"]} == {605}


def test_the_figures_of_a_large_account_follow_its_snapshot():
    service = priced(*many(30))
    stream = service.subscribe(EVERYTHING)
    service.set_positions(many(31))
    [shown] = [data for event, _, data in service.take(stream)[1:] if event == "snapshot"]
    assert {condor["risk"]["price"] for condor in shown["condors"]} == {None, 600}
    assert shown["underlyings"][0]["delta"] is None
    service.offer(*model_ticks(service.book.symbols, second=service.now))
    service.wait(3)
    assert all(condor.risk.missing == [] for condor in service.edition.document(service.now_at).condors)


def test_a_pass_in_progress_is_given_up_when_other_positions_are_shown():
    service = priced(*many(30))
    service.publisher.offer_stocks([tick("SPY", 604.99, 605.01, service.now)], service.now)
    service.publisher.tick(service.now, service.now_at)
    assert service.book.risks.is_running
    service.publisher.set_positions(spy(), service.now, service.now_at)
    assert not service.book.risks.is_running
    assert risk(service).price == 605


def test_results_that_wait_are_given_up_when_other_positions_are_shown(service, stream):
    service.offer(tick(P560, 2.0, 2.1, 1))
    move(service, 601.0)
    assert service.book.risks.is_due
    service.set_positions(spy(1))
    assert not service.book.risks.is_due
    assert [event for event, _, _ in service.take(stream)] == ["delta", "snapshot"]


def test_without_anything_held_nothing_is_computed():
    service = PublishingService(())
    assert service.book.risks.deadline is None
    assert (service.edition.totals.theta, service.edition.totals.risk_incomplete) == (0, 0)
    service.book.risks.amend(service.edition.number, service.now)


# Alpaca's own figures, and contracts that are not held.


def snapshot(symbol, delta):
    return OptionSnapshot(symbol=symbol, at=EPOCH_AT, iv=0.25, delta=delta, gamma=0.01, theta=-0.1, vega=0.4)


def notices(service):
    service.set_status(status(read=3))
    return [(notice.code, notice.symbols) for notice in service.edition.status.notices]


def test_a_delta_of_alpaca_that_differs_is_a_notice_until_it_does_not(service):
    service.publisher.set_snapshots([snapshot(C630, 0.9), snapshot(C640, 0.9)])
    service.wait(2)
    since_at = service.now_at
    assert notices(service) == [("greeksDiffer", [C630, C640])]
    service.wait(9)
    move(service, 600.0)
    service.publisher.set_snapshots([snapshot(C640, 0.9)])
    service.wait(2)
    assert notices(service) == [("greeksDiffer", [C640])]
    assert service.edition.status.notices[0].since <= since_at
    service.publisher.set_snapshots([])
    service.wait(2)
    assert notices(service) == [("greeksDiffer", [C640])]
    service.publisher.set_snapshots([snapshot(C640, risk(service).legs[3].delta)])
    service.wait(2)
    assert notices(service) == []


def test_a_quote_of_a_contract_that_is_not_held_gives_the_volatility_of_one_in_the_money(service):
    move(service, 565.0)
    service.wait(3)
    assert service.book.risks.opposite_contracts(service.now_at) == (option(570, "C"),)
    [ask] = model_ticks([option(570, "C")], spot=565.0, volatility=0.3)
    service.publisher.set_opposite_quotes([ask], service.now_at)
    service.wait(3)
    assert risk(service).legs[1].iv == pytest.approx(0.3, abs=2e-3)


def test_an_index_without_a_value_has_a_price_by_parity():
    root = "SPXW"
    sides = [(5900, "P", 1), (5950, "P", -1), (6050, "C", -1), (6100, "C", 1)]
    service = PublishingService(
        [position(option(strike, right, root), side, underlying="SPX") for strike, right, side in sides]
    )
    service.set_status(status())
    service.offer(*model_ticks(service.book.symbols, 6000.0))
    service.publisher.confirm_indexes([], service.now, is_entitled=False)
    service.wait(3)
    assert (underlying(service).price, underlying(service).reason) == (None, "indexNotEntitled")
    service.publisher.set_opposite_quotes(
        model_ticks(service.book.risks.opposite_contracts(service.now_at), 6000.0), service.now_at
    )
    service.wait(3)
    assert (underlying(service).source, round(underlying(service).price)) == ("parity", 6006)
    assert risk(service).missing == []
    service.publisher.confirm_indexes(
        [IndexValue(symbol="SPX", value_e4=60_010_000, at=service.now_at)], service.now, is_entitled=True
    )
    service.wait(3)
    assert (underlying(service).source, underlying(service).price) == ("index", 6001)


def test_after_a_suspension_nothing_is_computed_from_a_price_until_it_is_given_again(service):
    service.publisher.lapse_prices(service.now_at)
    service.wait(3)
    assert (underlying(service).unconfirmed, risk(service).price, risk(service).missing) == (True, None, ["price"])
    move(service, 600.5)
    service.wait(3)
    assert (underlying(service).unconfirmed, risk(service).price, risk(service).missing) == (False, 600.5, [])


def test_contracts_in_no_condor_count_in_theta_and_in_its_unknown_part():
    service = priced(*spy(), position(C650, 3, 0.40))
    assert service.edition.totals.theta == underlying(service).theta != risk(service).theta
    service.offer(tick(C650, 1.0, 0.0, 90))
    service.wait(3)
    assert service.edition.totals.risk_incomplete == 1
    assert service.edition.totals.theta == risk(service).theta
    assert underlying(service).theta is None
