"""How an account is shown; how its quotes are is in test_publisher.py, where time goes by."""

import datetime as dt

import msgspec
import pytest

from condord.core.activity import Split
from condord.core.day_pl import ClosingPrices, DayFill
from condord.live import render, wire
from condord.live.day import DayMemory
from condord.live.published import EVERYTHING
from condord.live.risks import RiskSettings
from tests.live.accounts import (
    C630,
    C640,
    C650,
    DAY,
    EPOCH_AT,
    P560,
    P570,
    SPY_ID,
    PublishingService,
    position,
    spy,
    status,
    tick,
)
from tests.live.test_publisher import balances, closing_order

PIECES = spy()[:3]


def shown(service):
    return [condor.id for condor in service.edition.document(service.now_at).condors]


def notices(service):
    return [notice.code for notice in service.edition.document(service.now_at).status.notices]


def test_a_condor_in_pieces_is_held_back_for_the_time_to_settle():
    service = PublishingService(spy(), settle_seconds=2.0)
    assert service.set_positions(PIECES) == []
    assert shown(service) == [SPY_ID]
    service.wait(1.9)
    assert shown(service) == [SPY_ID]
    service.wait(0.2)
    assert shown(service) == []


def test_a_condor_that_is_whole_again_in_time_is_not_reported_broken():
    service = PublishingService(spy(), settle_seconds=2.0)
    version = service.edition.version
    service.set_positions(PIECES)
    service.set_positions(spy())
    service.wait(5.0)
    assert service.edition.version == version


def test_contracts_of_a_condor_held_back_are_streamed_already_and_keep_their_quotes():
    service = PublishingService((position(C650, 1),), settle_seconds=2.0)
    service.set_positions((position(C650, 1), *PIECES))
    assert set(service.book.symbols) == {C650, P560, P570, C630}
    service.offer(tick(P560, 1.0, 1.2))
    assert [quote.symbol for quote in service.edition.document(service.now_at).quotes] == [C650]
    service.wait(2.0)
    quotes = {quote.symbol: quote.bid for quote in service.edition.document(service.now_at).quotes}
    assert quotes == {P560: 1, P570: None, C630: None, C650: None}


def test_contracts_no_longer_held_are_streamed_until_the_document_is_without_them():
    service = PublishingService(spy(), settle_seconds=2.0)
    service.set_positions(PIECES)
    assert C640 in service.book.symbols
    service.wait(2.0)
    assert C640 not in service.book.symbols


def test_legs_of_a_broken_condor_carry_a_problem_and_there_is_a_notice():
    service = PublishingService(spy())
    service.set_positions(PIECES)
    document = service.edition.document(service.now_at)
    text = "SPY 560/570/630/640 Dec 18 lost its 2 long calls 640"
    problems = {entry.symbol: entry.problem for entry in document.unmatched}
    assert problems == dict.fromkeys((P560, P570, C630), f"broken condor: {text}")
    (notice,) = document.status.notices
    assert (notice.code, notice.text, notice.condor_id) == ("brokenCondor", text, SPY_ID)


def test_a_problem_of_the_position_itself_precedes_the_condors():
    service = PublishingService(spy())
    service.set_positions((*spy()[:2], position(C630, -2, 2.26, problem="odd")))
    document = service.edition.document(service.now_at)
    problems = {entry.symbol: entry.problem for entry in document.unmatched}
    assert problems[C630] == "odd; broken condor: SPY 560/570/630/640 Dec 18 lost its 2 long calls 640"


def test_notices_of_the_account_precede_the_upstreams_and_outlive_a_status():
    service = PublishingService(spy())
    service.set_positions(PIECES)
    note = service.edition.status.notices[0]
    service.set_status(
        status(notices=[type(note)(code="ordersUnavailable", text="away", symbols=[], since=service.now_at)])
    )
    assert notices(service) == ["brokenCondor", "ordersUnavailable"]
    service.set_positions(())
    assert notices(service) == ["ordersUnavailable"]


def test_an_assignment_is_noticed_by_the_stocks_that_moved_with_it():
    service = PublishingService(spy())
    service.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    assert "assignment" in notices(service)


def test_the_day_of_expiration_is_a_new_snapshot_with_a_notice():
    service = PublishingService(spy())
    service.now += dt.timedelta(days=28).total_seconds()
    service.set_positions(spy())
    assert notices(service) == ["expiresToday"]
    assert service.edition.document(service.now_at).condors[0].days_to_expiration == 0


def test_the_event_that_reports_a_cut_has_every_quote_unconfirmed():
    service = PublishingService(spy())
    service.offer(*(tick(symbol, 1.0, 1.2) for symbol in service.book.symbols))
    service.set_status(status("live"))
    service.publisher.gap(service.now)
    service.publisher.set_status(status("reconnecting"), service.now, service.now_at)
    document = service.edition.document(service.now_at)
    assert document.status.state == "reconnecting"
    assert {quote.unconfirmed for quote in document.quotes} == {True}


# What the account brings besides positions.

LEGS = (P560, P570, C630, C640)
YESTERDAY = DAY - dt.timedelta(days=1)


@pytest.fixture
def service():
    service = PublishingService((*spy(), position(C650, 3, 0.40)))
    service.offer(*(tick(symbol, 1.0, 1.2) for symbol in (*LEGS, C650)))
    service.wait(10)
    return service


@pytest.fixture
def stream(service):
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    return subscriber


def day_of(service):
    document = service.edition.document(service.now_at)
    [condor], [entry], totals = document.condors, document.unmatched, document.totals
    return condor.valuation.day_pl, entry.day_pl, totals.day_pl, totals.unmatched_day_pl, totals.closed_day_pl


def read_day(service, fills=(), closes_e4=10_000, symbols=(*LEGS, C650)):
    service.publisher.set_day_fills(DAY, fills, service.now)
    service.publisher.set_closes(ClosingPrices(day=YESTERDAY, prices_e4=dict.fromkeys(symbols, closes_e4)), service.now)
    service.turn()


def test_balances_are_an_event_only_when_one_of_them_differs(service, stream):
    service.publisher.set_account_summary(balances(50_000, EPOCH_AT), service.now)
    service.turn()
    [(_, _, data)] = service.take(stream)
    assert (data["account"]["equity"], data["account"]["dayPl"], data["quotes"]) == (50_000, 20, [])
    version, later_at = service.edition.version, EPOCH_AT + dt.timedelta(seconds=9)
    service.publisher.set_account_summary(balances(50_000, later_at), service.now)
    service.wait(1)
    assert (service.edition.version, service.edition.account.read_at) == (version, later_at)
    service.publisher.set_account_summary(None, service.now)
    service.wait(1)
    assert [data["account"] for _, _, data in service.take(stream)] == [None]


def test_working_orders_replace_the_list_of_the_condors_that_they_close(service, stream):
    service.publisher.set_working_orders([closing_order("one", 1.2)], service.now)
    service.turn()
    [(_, _, data)] = service.take(stream)
    assert [(entry["id"], [order["orderId"] for order in entry["orders"]]) for entry in data["closing"]] == [
        (SPY_ID, ["one"])
    ]
    version = service.edition.version
    service.publisher.set_working_orders([closing_order("one", 1.2)], service.now)
    service.wait(1)
    assert service.edition.version == version
    service.publisher.set_working_orders([], service.now)
    service.wait(1)
    assert [data["closing"] for _, _, data in service.take(stream)] == [[{"id": SPY_ID, "orders": []}]]


def test_a_snapshot_has_the_working_orders_of_its_condors(service):
    service.publisher.set_working_orders([closing_order("one", 1.2)], service.now)
    service.turn()
    service.set_positions(spy(1))
    [condor] = service.edition.document(service.now_at).condors
    assert [order.order_id for order in condor.closing] == ["one"]


def test_the_day_is_unknown_until_fills_and_closes_were_read(service, stream):
    assert day_of(service) == (None, None, None, None, None)
    service.publisher.set_day_fills(DAY, [], service.now)
    service.turn()
    assert day_of(service) == (None, None, None, None, 0)
    service.wait(1)
    service.take(stream)
    read_day(service)
    assert day_of(service) == (0, 30, 0, 30, 0)
    [(_, _, data)] = service.take(stream)
    assert [value["dayPl"] for value in data["valuations"]] == [0]
    assert [entry["dayPl"] for entry in data["unmatched"]] == [30]


def test_the_day_moves_with_the_quotes(service, stream):
    read_day(service)
    service.wait(1)
    service.take(stream)
    service.offer(tick(P570, 0.9, 1.1, 1))
    [(_, _, data)] = service.take(stream)
    assert ([value["dayPl"] for value in data["valuations"]], data["totals"]["dayPl"]) == ([20], 20)


def test_a_contract_opened_today_counts_from_its_fill(service):
    quantities = {P560: 2, P570: -2, C630: -2, C640: 2}
    fills = [
        DayFill(symbol=symbol, quantity=quantity, price_e6=900_000, at=EPOCH_AT)
        for symbol, quantity in quantities.items()
    ]
    read_day(service, fills, symbols=[C650])
    assert day_of(service) == (0, 30, 0, 30, 0)


def test_the_day_is_unknown_after_a_split(service):
    read_day(service)
    service.book.day.set_bookings([], [Split(symbol="SPY", day=DAY, new_shares="2", old_shares="1")])
    service.offer(tick(P570, 0.9, 1.1, 1))
    service.wait(1)
    assert day_of(service)[0] is None


def test_a_day_that_an_earlier_run_knew_goes_on(service):
    read_day(service)
    known = service.book.day.memory
    again = PublishingService((*spy(), position(C650, 3, 0.40)))
    again.book.day.recall(known)
    again.publisher.set_day_fills(DAY, [], again.now)
    again.offer(*(tick(symbol, 1.0, 1.2) for symbol in (*LEGS, C650)))
    again.wait(1)
    assert day_of(again) == (0, 30, 0, 30, 0)
    again.book.day.recall(None)
    assert again.book.day.memory == DayMemory()


def closed(service, **fields):
    market = wire.MarketJson(is_open=False, next_open=EPOCH_AT, next_close=EPOCH_AT)
    return service.set_status(status("closed", market=market, **fields))


def test_the_last_marks_of_a_session_are_kept_when_the_market_closes(service):
    closed(service)
    assert service.book.day.memory.sessions == ()
    service.clock_is_ahead_by = 6.5 * 3600
    closed(service)
    [session] = service.book.day.memory.sessions
    assert (session.day, {held.mark_e4 for held in session.contracts.values()}) == (DAY, {11_000})
    service.offer(tick(P570, 0.9, 1.1, 1))
    closed(service)
    assert service.book.day.memory.sessions == (session,)


def test_a_quote_that_is_not_confirmed_is_not_a_last_mark(service):
    service.clock_is_ahead_by = 6.5 * 3600
    service.gap()
    closed(service)
    assert service.book.day.memory.sessions == ()
    service.confirm(*(tick(symbol, 1.0, 1.2) for symbol in LEGS))
    service.wait(1)
    closed(service)
    [session] = service.book.day.memory.sessions
    assert {symbol: held.mark_e4 for symbol, held in session.contracts.items()} == {
        **dict.fromkeys(LEGS, 11_000),
        C650: None,
    }


def test_changed_exits_are_a_snapshot_and_unchanged_ones_are_not(service, stream):
    asked = []

    def exits(stop_e4):
        def of(condor):
            asked.append(condor.id)
            return render.exits(condor.max_profit_e4 // 2, stop_e4)

        return of

    service.set_status(status())
    service.take(stream)
    service.publisher.set_exits(exits(-4_700_000))
    service.set_status(status())
    ((event, _, data),) = service.take(stream)
    assert (event, data["condors"][0]["exits"]) == ("snapshot", {"target": 235, "stop": -470})
    service.publisher.set_exits(exits(-4_700_000))
    service.set_status(status())
    assert service.take(stream) == []
    service.publisher.set_exits(exits(None))
    service.set_status(status())
    ((event, _, data),) = service.take(stream)
    assert (event, data["condors"][0]["exits"]) == ("snapshot", {"target": 235, "stop": None})
    assert asked == [SPY_ID] * 3
    for _ in range(3):
        service.set_positions(spy(1))
    assert asked == [SPY_ID] * 4


def test_without_rules_a_condor_has_no_exits(service):
    (condor,) = service.document(EVERYTHING)["condors"]
    assert condor["exits"] == {"target": None, "stop": None}


@pytest.mark.parametrize("style", ["american", "european"])
def test_a_broken_condor_has_the_expiry_that_it_had_when_it_was_whole(style):
    def held(*lost):
        other = position("QQQ261218C00500000", 1)
        legs = [msgspec.structs.replace(leg, style=style) for leg in spy() if leg.symbol not in lost]
        return (other, *legs)

    service = PublishingService(held())
    [whole] = service.document(EVERYTHING)["condors"]
    service.set_positions(held(P560, C640))
    [broken] = service.document(EVERYTHING)["broken"]
    assert broken["expiry"] == whole["expiry"]
    assert broken["expiry"]["cutoffs"][0]["source"] == ("product" if style == "european" else "config")


def test_changed_cutoffs_of_a_broken_condor_are_a_snapshot_and_unchanged_ones_are_not():
    service = PublishingService(spy())
    service.set_positions(PIECES)
    version = service.edition.version
    service.set_positions(PIECES)
    assert service.edition.version == version
    other = msgspec.structs.replace(service.book.cutoffs, order_cutoff_minutes_etf=60)
    service.publisher.set_model(RiskSettings(), [], other)
    service.set_positions(PIECES)
    [broken] = service.document(EVERYTHING)["broken"]
    assert broken["expiry"]["cutoffs"][0] == {"kind": "orders", "at": "2026-12-18T20:00:00Z", "source": "config"}


def test_changed_cutoffs_are_a_snapshot_and_unchanged_ones_are_not(service, stream):
    service.publisher.set_model(RiskSettings(), [], service.book.cutoffs)
    service.set_status(status())
    service.take(stream)
    other = msgspec.structs.replace(service.book.cutoffs, liquidation_minutes=60)
    service.publisher.set_model(RiskSettings(), [], other)
    service.set_status(status())
    [(event, _, data)] = service.take(stream)
    cutoffs = data["condors"][0]["expiry"]["cutoffs"]
    assert (event, cutoffs[1]["kind"], cutoffs[1]["at"]) == ("snapshot", "liquidation", "2026-12-18T20:00:00Z")
