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
    service = Watched()
    service.publisher.set_working_orders(orders, service.now)
    service.wait(1)
    return service.subject().closing_percent


def test_only_an_order_for_the_whole_quantity_and_all_legs_counts_as_closing():
    assert percent() is None
    assert percent(closing(2)) == 48.94
    assert percent(closing(1)) is None
    assert percent(closing(2, sides=CALL_SIDE)) is None
    assert percent(closing(2, limit_e4=None)) is None


def test_a_condor_has_its_name_its_opening_and_the_values_for_texts():
    service = Watched()
    service.set_positions(spy(), lots=(lot(),))
    subject = service.subject()
    assert (subject.key, subject.name, subject.opened_at) == (SPY_ID, "SPY 560/570/630/640 Dec 18", EPOCH_AT)
    assert (subject.mark.kind, subject.mark.direction, subject.mark.underlying) == ("ironCondor", "short", "SPY")
    assert subject.condor is service.edition.valuations.core[SPY_ID][0]
    assert [each.kind for each in subject.cutoffs] == ["orders", "liquidation"]
    assert subject.quotes is service.edition.quotes.core


def test_the_natural_basis_has_its_own_profit():
    subject = Watched().subject()
    assert subject.natural is subject.mark
    service = Watched(rule(basis="natural"))
    service.quote()
    subject = service.subject()
    assert (subject.mark.values["unrealizedPl"], subject.natural.values["unrealizedPl"]) == (230, 222)


def test_a_subject_that_is_not_there_has_no_facts():
    assert Watched().subject("QQQ") is None


def test_a_settled_condor_has_no_facts_and_its_alerts_end():
    service = Watched(rule("half"))
    service.quote(2.0)
    service.wait(15)
    assert service.taken() == [("firing", f"half:{SPY_ID}")]
    service.clock_is_ahead_by = (EXPIRES_AT - EPOCH_AT).total_seconds() + 8 * 3600
    service.set_positions(spy())
    service.wait(61)
    assert service.taken() == [("ended", f"half:{SPY_ID}")]
    assert service.alerts.shown(service.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: the position has expired and awaits settlement, and this alert has ended."
    )
    assert service.subject() is None
    service.quote(0.9)
    service.quote(2.0)
    assert service.taken() == []
    assert service.watch.deadline > service.now


def test_the_last_day_has_the_words_of_its_notice():
    service = Watched(*(each for each in BUILT_IN if each.name == "expires-today"))
    service.clock_is_ahead_by = (EXPIRES_AT - EPOCH_AT).total_seconds()
    service.set_positions(spy())
    service.wait(1)
    assert service.taken() == [("firing", f"expires-today:{SPY_ID}")]
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: expires today; Alpaca takes orders until 15:30 and may liquidate from 15:15, "
        "and trading ends at 16:15 ET (quantity 2). P/L not known."
    )


def test_a_notice_about_anything_else_gives_no_words():
    service = Watched()
    other = wire.NoticeJson(code="silentSymbols", text="it", symbols=[], condor_id=SPY_ID, since=EPOCH_AT)
    service.set_status(status(notices=[other]))
    assert service.subject().notes == {}


def exercise(service):
    return service.values()["extrinsicLessThanDividend"]


def test_the_dividend_is_compared_with_the_put_from_rest_or_held_or_the_call():
    service = Watched(positions=spy())
    assert exercise(service) is ABSENT
    monday = Dividend(symbol="SPY", ex_date=dt.date(2026, 11, 23), amount_e6=1_970_000, source="alpaca")
    service.publisher.set_dividends([monday])
    assert exercise(service) is None
    service.offer_stocks(tick("SPY", 639.99, 640.01, service.now))
    assert exercise(service) is None
    service.offer(tick(C630, 10.9, 11.1, service.now))
    service.wait(1)
    assert round(exercise(service), 2) == 0.97
    other = option(630)
    service.publisher.set_opposite_quotes([tick(other, 0.55, 0.65, service.now)], service.now_at)
    assert round(exercise(service), 2) == 1.37
    held = Watched(positions=(*spy(), position(other, 1, 0.5)))
    held.publisher.set_dividends([monday])
    held.offer_stocks(tick("SPY", 639.99, 640.01, held.now))
    held.offer(tick(other, 0.75, 0.85, held.now))
    held.wait(1)
    assert round(exercise(held), 2) == 1.17


def test_several_uncovered_shorts_of_an_underlying_are_one_alert():
    service = Watched(*(each for each in BUILT_IN if each.name == "uncovered-short"))
    service.set_positions((position(C640, -1, 0.5), position(C650, -1, 0.4)))
    service.wait(1)
    [shown] = service.alerts.shown(service.now_at)
    assert (
        shown.text
        == "SPY: the short call 640, Dec 18, and the short call 650, Dec 18, are uncovered; close or cover them."
    )


def test_the_name_of_a_broken_condor_has_the_year_if_it_is_not_the_current_one():
    service = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    later = tuple(
        position(f"SPY270115{right}{strike * 1000:08d}", sign, 1.0)
        for strike, right, sign in ((560, "P", 1), (570, "P", -1), (630, "C", -1), (640, "C", 1))
    )
    service.set_positions(later)
    service.set_positions(later[:3])
    service.wait(1)
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == "SPY 560/570/630/640 Jan 15, 2027: lost its long call 640."


def test_a_condor_that_was_broken_before_anything_was_evaluated_has_its_name_and_its_end():
    service = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"), has_orders=False)
    service.set_positions(spy()[:3])
    service.watch.note_orders()
    service.wait(20)
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == f"{NAME}: lost its 2 long calls 640."
    service.set_positions(())
    service.wait(1)
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == f"{NAME}: the position is gone, and this alert has ended with it."


def test_two_condors_of_one_name_are_distinguished_by_the_number_of_their_id():
    service = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    lots = lot(1), replace(lot(1), id="other")
    service.set_positions(spy(), lots=lots)
    second = f"{SPY_ID}-2"
    assert [service.subject(key).name for key in (SPY_ID, second)] == [NAME, f"{NAME} (2)"]
    service.set_positions(spy()[:3], lots=lots)
    service.wait(1)
    notices = [each for each in service.edition.status.notices if each.code == "brokenCondor"]
    texts = [f"{NAME} lost its long call 640", f"{NAME} (2) lost its long call 640"]
    assert [(each.condor_id, each.text) for each in notices] == [*zip((SPY_ID, second), texts, strict=True)]
    problems = {each.problem for each in service.edition.document(service.now_at).unmatched}
    assert problems == {"; ".join(f"broken condor: {each}" for each in texts)}
    assert {each.condor_id: each.text for each in service.alerts.shown(service.now_at)} == {
        SPY_ID: f"{NAME}: lost its long call 640.",
        second: f"{NAME} (2): lost its long call 640.",
    }
    service.set_positions(())
    service.set_positions(spy(1), lots=lots[1:])
    assert service.subject(next(iter(service.edition.valuations.core))).name == NAME


def test_facts_that_do_not_depend_on_quotes_are_computed_again_only_when_they_may_differ(monkeypatch):
    service = Watched()
    service.quote()
    service.wait(5)  # until the model's figures follow
    computed = []
    values = alert_facts.risk_values
    monkeypatch.setattr(alert_facts, "risk_values", lambda *arguments: computed.append(1) or values(*arguments))

    service.subject()
    figures = service.book.risks.figures
    other = Dividend(symbol="QQQ", ex_date=dt.date(2027, 1, 4), amount_e6=1, source="alpaca")
    for change in (
        lambda: setattr(figures, "dividends", (other,)),
        lambda: setattr(figures, "overrides", (other,)),
        lambda: setattr(figures, "shares", {"SPY": 300}),
        lambda: setattr(service, "now", service.now + 60),
        lambda: service.edition.risks.core.update({SPY_ID: replace(service.edition.risks.core[SPY_ID])}),
        lambda: service.set_status(status(market=CLOSED)),
    ):
        computed.clear()
        service.subject()
        assert not computed
        change()
        service.subject()
        assert computed
