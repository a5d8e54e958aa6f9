"""How an account is shown; how its quotes are is in test_publisher.py, where time goes by."""

import datetime as dt

from tests.live.accounts import C630, C640, C650, P560, P570, SPY_ID, House, position, spy, status, tick

PIECES = spy()[:3]


def shown(house):
    return [condor.id for condor in house.edition.document(house.now_at).condors]


def notices(house):
    return [notice.code for notice in house.edition.document(house.now_at).status.notices]


def test_a_condor_in_pieces_is_held_back_for_the_time_to_settle():
    house = House(spy(), settle_seconds=2.0)
    assert house.set_positions(PIECES) == []
    assert shown(house) == [SPY_ID]
    house.wait(1.9)
    assert shown(house) == [SPY_ID]
    house.wait(0.2)
    assert shown(house) == []


def test_a_condor_that_is_whole_again_in_time_was_never_broken():
    house = House(spy(), settle_seconds=2.0)
    version = house.edition.version
    house.set_positions(PIECES)
    house.set_positions(spy())
    house.wait(5.0)
    assert house.edition.version == version


def test_contracts_of_a_condor_held_back_are_streamed_already_and_keep_their_quotes():
    house = House((position(C650, 1),), settle_seconds=2.0)
    house.set_positions((position(C650, 1), *PIECES))
    assert set(house.book.symbols) == {C650, P560, P570, C630}
    house.offer(tick(P560, 1.0, 1.2))
    assert [quote.symbol for quote in house.edition.document(house.now_at).quotes] == [C650]
    house.wait(2.0)
    quotes = {quote.symbol: quote.bid for quote in house.edition.document(house.now_at).quotes}
    assert quotes == {P560: 1, P570: None, C630: None, C650: None}


def test_contracts_that_went_are_streamed_until_the_document_is_without_them():
    house = House(spy(), settle_seconds=2.0)
    house.set_positions(PIECES)
    assert C640 in house.book.symbols
    house.wait(2.0)
    assert C640 not in house.book.symbols


def test_legs_of_a_broken_condor_say_so_and_a_notice_does():
    house = House(spy())
    house.set_positions(PIECES)
    document = house.edition.document(house.now_at)
    text = "broken condor: long call 640 missing"
    assert {entry.symbol: entry.problem for entry in document.unmatched} == dict.fromkeys((P560, P570, C630), text)
    assert [(notice.code, notice.text) for notice in document.status.notices] == [("brokenCondor", text)]


def test_a_problem_of_the_position_itself_stands_before_that_of_the_condor():
    house = House(spy())
    house.set_positions((*spy()[:2], position(C630, -2, 2.26, problem="odd")))
    document = house.edition.document(house.now_at)
    problems = {entry.symbol: entry.problem for entry in document.unmatched}
    assert problems[C630] == "odd; broken condor: long call 640 missing"


def test_notices_of_the_account_stand_before_those_of_the_upstream_and_outlive_a_status():
    house = House(spy())
    house.set_positions(PIECES)
    note = house.edition.status.notices[0]
    house.set_status(
        status(notices=[type(note)(code="ordersUnavailable", text="away", symbols=[], since=house.now_at)])
    )
    assert notices(house) == ["brokenCondor", "ordersUnavailable"]
    house.set_positions(())
    assert notices(house) == ["ordersUnavailable"]


def test_an_assignment_is_noticed_by_the_stocks_beside_it():
    house = House(spy())
    house.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    assert "assignment" in notices(house)


def test_the_day_of_expiration_is_a_new_snapshot_with_a_notice():
    house = House(spy())
    house.now += dt.timedelta(days=28).total_seconds()
    house.set_positions(spy())
    assert notices(house) == ["expiresToday"]
    assert house.edition.document(house.now_at).condors[0].days_to_expiration == 0


def test_the_event_that_tells_of_a_cut_has_every_quote_unconfirmed():
    house = House(spy())
    house.offer(*(tick(symbol, 1.0, 1.2) for symbol in house.book.symbols))
    house.set_status(status("live"))
    house.publisher.gap(house.now)
    house.publisher.set_status(status("reconnecting"), house.now, house.now_at)
    document = house.edition.document(house.now_at)
    assert document.status.state == "reconnecting"
    assert {quote.unconfirmed for quote in document.quotes} == {True}
