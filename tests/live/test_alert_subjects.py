"""The subjects of a whole publisher; when they are evaluated is in test_alert_watch.py."""

import datetime as dt

from msgspec.structs import replace

from condord.core.dividend import Dividend
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.facts import ABSENT
from condord.core.working_order import OrderLeg, WorkingOrder
from condord.live import alert_facts, wire

from .accounts import C630, C640, C650, CLOSED, EPOCH_AT, P560, P570, SPY_ID, lot, option, position, spy, status, tick
from .alert_parts import NAME, rule
from .test_alert_watch import Watched

CALL_SIDE = {C630: 1, C640: -1}
WHOLE = {P560: -1, P570: 1, C630: 1, C640: -1}
EXPIRES_AT = EPOCH_AT + dt.timedelta(days=28)


def closing(quantity, limit_e4=12_000, sides=WHOLE):
    legs = tuple(OrderLeg(symbol=each, quantity=sign * quantity, closes=True) for each, sign in sides.items())
    return WorkingOrder(
        id=f"{quantity} {limit_e4}", submitted_at=EPOCH_AT, limit_e4=limit_e4, quantity=quantity, legs=legs
    )


def percent(*orders):
    house = Watched()
    house.publisher.set_working_orders(orders, house.now)
    house.wait(1)
    return house.subject().closing_percent


def test_only_an_order_for_the_whole_quantity_and_all_legs_counts_as_closing():
    assert percent() is None
    assert percent(closing(2)) == 48.94
    assert percent(closing(1)) is None
    assert percent(closing(2, sides=CALL_SIDE)) is None
    assert percent(closing(2, limit_e4=None)) is None


def test_a_condor_has_its_name_its_opening_and_what_texts_need():
    house = Watched()
    house.set_positions(spy(), lots=(lot(),))
    subject = house.subject()
    assert (subject.key, subject.name, subject.opened_at) == (SPY_ID, "SPY 560/570/630/640 Dec 18", EPOCH_AT)
    assert (subject.mark.kind, subject.mark.direction, subject.mark.underlying) == ("ironCondor", "short", "SPY")
    assert subject.condor is house.edition.valuations.core[SPY_ID][0]
    assert [each.kind for each in subject.cutoffs] == ["orders", "liquidation"]
    assert subject.quotes is house.edition.quotes.core


def test_the_natural_basis_has_its_own_profit():
    subject = Watched().subject()
    assert subject.natural is subject.mark
    house = Watched(rule(basis="natural"))
    house.quote()
    subject = house.subject()
    assert (subject.mark.values["unrealizedPl"], subject.natural.values["unrealizedPl"]) == (230, 222)


def test_a_subject_that_is_not_there_has_no_facts():
    assert Watched().subject("QQQ") is None


def test_a_condor_has_none_after_its_settlement_and_its_alerts_end():
    house = Watched(rule("half"))
    house.quote(2.0)
    house.wait(15)
    assert house.taken() == [("firing", f"half:{SPY_ID}")]
    house.clock_is_ahead_by = (EXPIRES_AT - EPOCH_AT).total_seconds() + 8 * 3600
    house.set_positions(spy())
    house.wait(61)
    assert house.taken() == [("ended", f"half:{SPY_ID}")]
    assert house.alerts.shown(house.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: the position has expired and awaits settlement, and this alert has ended."
    )
    assert house.subject() is None
    house.quote(0.9)
    house.quote(2.0)
    assert house.taken() == []
    assert house.watch.deadline > house.now


def test_the_last_day_has_the_words_of_its_notice():
    house = Watched(*(each for each in BUILT_IN if each.name == "expires-today"))
    house.clock_is_ahead_by = (EXPIRES_AT - EPOCH_AT).total_seconds()
    house.set_positions(spy())
    house.wait(1)
    assert house.taken() == [("firing", f"expires-today:{SPY_ID}")]
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: expires today; Alpaca takes orders until 15:30 and may liquidate from 15:15, "
        "and trading ends at 16:15 ET (2 condors). P/L not known."
    )


def test_a_notice_about_anything_else_gives_no_words():
    house = Watched()
    other = wire.NoticeJson(code="silentSymbols", text="it", symbols=[], condor_id=SPY_ID, since=EPOCH_AT)
    house.set_status(status(notices=[other]))
    assert house.subject().notes == {}


def exercise(house):
    return house.values()["extrinsicLessThanDividend"]


def test_the_dividend_is_compared_with_the_put_from_rest_or_held_or_the_call():
    house = Watched(positions=spy())
    assert exercise(house) is ABSENT
    monday = Dividend(symbol="SPY", ex_date=dt.date(2026, 11, 23), amount_e6=1_970_000, source="alpaca")
    house.publisher.set_dividends([monday])
    assert exercise(house) is None
    house.offer_stocks(tick("SPY", 639.99, 640.01, house.now))
    assert exercise(house) is None
    house.offer(tick(C630, 10.9, 11.1, house.now))
    house.wait(1)
    assert round(exercise(house), 2) == 0.97
    other = option(630)
    house.publisher.set_opposite_quotes([tick(other, 0.55, 0.65, house.now)], house.now_at)
    assert round(exercise(house), 2) == 1.37
    held = Watched(positions=(*spy(), position(other, 1, 0.5)))
    held.publisher.set_dividends([monday])
    held.offer_stocks(tick("SPY", 639.99, 640.01, held.now))
    held.offer(tick(other, 0.75, 0.85, held.now))
    held.wait(1)
    assert round(exercise(held), 2) == 1.17


def test_several_uncovered_shorts_of_an_underlying_are_one_alert():
    house = Watched(*(each for each in BUILT_IN if each.name == "uncovered-short"))
    house.set_positions((position(C640, -1, 0.5), position(C650, -1, 0.4)))
    house.wait(1)
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == "SPY: the short call 640, Dec 18, and the short call 650, Dec 18, are uncovered."


def test_a_broken_condor_of_another_year_names_it():
    house = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    later = tuple(
        position(f"SPY270115{right}{strike * 1000:08d}", sign, 1.0)
        for strike, right, sign in ((560, "P", 1), (570, "P", -1), (630, "C", -1), (640, "C", 1))
    )
    house.set_positions(later)
    house.set_positions(later[:3])
    house.wait(1)
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == "SPY 560/570/630/640 Jan 15, 2027: lost its long call 640."


def test_a_condor_that_was_broken_before_anything_was_evaluated_has_its_name_and_its_end():
    house = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"), has_orders=False)
    house.set_positions(spy()[:3])
    house.watch.note_orders()
    house.wait(20)
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == f"{NAME}: lost its 2 long calls 640."
    house.set_positions(())
    house.wait(1)
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == f"{NAME}: the position is gone, and this alert has ended with it."


def test_two_condors_of_one_name_are_told_apart_by_the_number_of_their_id():
    house = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    lots = lot(1), replace(lot(1), id="other")
    house.set_positions(spy(), lots=lots)
    second = f"{SPY_ID}-2"
    assert [house.subject(key).name for key in (SPY_ID, second)] == [NAME, f"{NAME} (2)"]
    house.set_positions(spy()[:3], lots=lots)
    house.wait(1)
    notices = [each for each in house.edition.status.notices if each.code == "brokenCondor"]
    texts = [f"{NAME} lost its long call 640", f"{NAME} (2) lost its long call 640"]
    assert [(each.condor_id, each.text) for each in notices] == [*zip((SPY_ID, second), texts, strict=True)]
    problems = {each.problem for each in house.edition.document(house.now_at).unmatched}
    assert problems == {"; ".join(f"broken condor: {each}" for each in texts)}
    assert {each.condor_id: each.text for each in house.alerts.shown(house.now_at)} == {
        SPY_ID: f"{NAME}: lost its long call 640.",
        second: f"{NAME} (2): lost its long call 640.",
    }
    house.set_positions(())
    house.set_positions(spy(1), lots=lots[1:])
    assert house.subject(next(iter(house.edition.valuations.core))).name == NAME


def test_what_quotes_do_not_change_is_computed_again_only_when_it_may_be_different(monkeypatch):
    house = Watched()
    house.quote()
    house.wait(5)  # until the model's figures follow
    computed = []
    values = alert_facts.risk_values
    monkeypatch.setattr(alert_facts, "risk_values", lambda *given: computed.append(1) or values(*given))

    house.subject()
    figures = house.book.risks.figures
    other = Dividend(symbol="QQQ", ex_date=dt.date(2027, 1, 4), amount_e6=1, source="alpaca")
    for change in (
        lambda: setattr(figures, "dividends", (other,)),
        lambda: setattr(figures, "overrides", (other,)),
        lambda: setattr(figures, "shares", {"SPY": 300}),
        lambda: setattr(house, "now", house.now + 60),
        lambda: house.edition.risks.core.update({SPY_ID: replace(house.edition.risks.core[SPY_ID])}),
        lambda: house.set_status(status(market=CLOSED)),
    ):
        computed.clear()
        house.subject()
        assert not computed
        change()
        house.subject()
        assert computed
