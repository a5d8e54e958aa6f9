"""When the rules are evaluated with a whole publisher, and for which subjects."""

import datetime as dt

import msgspec
import pytest

from condord.core.filled_orders import Fill, Order
from condord.core.occ import parse
from condord.core.rules.built_in import BUILT_IN
from condord.live import alert_watch, wire
from condord.live.alert_watch import AlertWatch, SessionClock
from condord.live.alerts import Alerts

from .accounts import (
    C630,
    C640,
    C650,
    CLOSED,
    EPOCH_AT,
    OPEN,
    P560,
    P570,
    SPY_ID,
    PublishingService,
    position,
    qqq,
    spy,
    status,
    tick,
)
from .alert_parts import rule

MARKS = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}
"""The mark is 1.20, and the profit 230 dollars of 470: 48.94 %."""
LEGS = (P560, P570, C630, C640)
HALF = f"half:{SPY_ID}"


class Watched(PublishingService):
    """A publishing service with a watch behind its publisher: it evaluates after each turn, and whenever its deadline has come."""

    def __init__(self, *rules, positions=(), records=(), has_orders=True, **options):
        super().__init__(None, **options)
        self.second = 0
        self.alerts = Alerts()
        self.watch = AlertWatch(self.book, self.alerts)
        self.log = []
        self.evaluated = []
        self.alerts.set_rules(rules or BUILT_IN, self.now_at)
        self.alerts.recall(records)
        if has_orders:
            self.watch.note_orders()
        self.set_status(status())
        self.set_positions(positions or spy())

    def evaluate(self):
        changes = self.watch.evaluate(self.now, self.now_at)
        self.log += [(each.kind, each.record.id) for each in changes.transitions]
        return changes

    def turn(self):
        woken = super().turn()
        if hasattr(self, "watch"):
            self.evaluate()
        return woken

    def wait(self, seconds):
        until, woken = self.now + seconds, []
        while True:
            due = [each for each in (self.publisher.deadline, self.watch.deadline) if each is not None]
            if not due or min(due) > until:
                break
            self.now = max(self.now, min(due))
            woken += self.turn()
        self.now = until
        return woken

    def quote(self, put=0.90, *, spread=0.02, **others):
        """Quote the long put at `put`: each cent is 2 dollars of profit."""
        self.second += 1
        mids = {**MARKS, P560: put}
        quoted = {each: (mid - spread / 2, mid + spread / 2) for each, mid in mids.items()} | others
        self.offer(*(tick(each, *both, self.now + self.clock_is_ahead_by) for each, both in quoted.items()))
        self.wait(1.0)

    def taken(self):
        log, self.log = self.log, []
        return log

    def subject(self, key=SPY_ID):
        """The subject as it would be evaluated now."""
        when = alert_watch.alert_facts.moment(
            self.book.risks.figures.calendar, self.now_at, is_session=self.edition.status.market.is_open is True
        )
        return self.watch._subjects.subject(key, when)

    def values(self, key=SPY_ID):
        return self.subject(key).mark.values


def half(**fields):
    return rule("half", **fields)


def test_an_alert_fires_with_the_quotes_that_are_published():
    service = Watched(half())
    service.quote()
    assert service.taken() == []
    service.quote(0.93)
    assert service.taken() == [("firing", HALF)]
    [shown] = service.alerts.shown(service.now_at)
    assert (shown.value, shown.at_start) == (50.21, False)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: the profit is 50.21 % of its maximum (at least 50 %). "
        "P/L +236.00 (close now +228.00)."
    )
    service.quote(0.90)
    assert service.taken() == [("resolved", HALF)]


@pytest.mark.parametrize(
    "bad",
    [{P560: (0.0, 0.0)}, {P560: (2.4, 1.2)}, {P570: (0.1, 9.0)}, {P570: (0.0, 9.0)}],
    ids=["no quote", "crossed", "stub", "stub without a bid"],
)
def test_alerts_keep_their_state_while_quotes_are_unreliable(bad):
    service = Watched(half(clear="percentOfMaxProfit < 45"))
    service.quote()
    service.quote(2.0, **bad)
    service.quote(0.9)
    assert service.taken() == []
    service.quote(2.0)
    assert service.taken() == [("firing", HALF)]
    service.quote(-0.1 + 0.12, **bad)
    assert service.taken() == []


def test_alerts_keep_their_state_while_natural_prices_are_far_from_the_mark():
    service = Watched(half())
    service.quote()
    service.quote(2.0, spread=1.1)
    assert service.taken() == []


def test_the_stop_loss_rule_is_decided_although_the_wings_have_no_bid():
    service = Watched()
    service.quote()
    wings = {P560: (0.0, 0.05), C640: (0.0, 4.8)}
    service.quote(**wings, **{P570: (9.0, 9.1), C630: (0.1, 0.12)})
    service.wait(61)
    assert ("firing", f"stop-loss:{SPY_ID}") in service.taken()


def test_nothing_is_evaluated_before_orders_were_read_or_failed():
    service = Watched(half(), has_orders=False)
    service.quote(2.0)
    assert (service.taken(), service.watch.deadline) == ([], None)
    service.watch.note_orders()
    service.quote(2.1)
    assert service.taken() == [("firing", HALF)]
    other = Watched(half(), has_orders=False)
    other.quote(2.0)
    failed = wire.NoticeJson(code="ordersUnavailable", text="away", symbols=[], since=EPOCH_AT)
    other.set_status(status(notices=[failed]))
    assert other.taken() == [("firing", HALF)]


def test_nothing_is_evaluated_before_the_saved_records_are_loaded():
    service = Watched(half())
    service.alerts = service.watch.alerts = Alerts()
    service.quote(2.0)
    service.alerts.set_rules([half()], service.now_at)
    service.quote(2.1)
    assert service.taken() == []
    service.alerts.recall(())
    service.quote(2.2)
    assert service.taken() == [("firing", HALF)]


def test_an_alert_becomes_due_by_session_time_without_a_publication():
    service = Watched(half(for_seconds=90))
    service.quote()
    service.quote(2.0)
    service.wait(85)
    assert service.taken() == []
    service.wait(5)
    assert service.taken() == [("firing", HALF)]


def test_time_does_not_count_after_the_close():
    closes_at = EPOCH_AT + dt.timedelta(seconds=150)
    service = Watched(half(for_seconds=90))
    service.set_status(status(market=wire.MarketJson(is_open=True, next_open=EPOCH_AT, next_close=closes_at)))
    service.quote()
    service.quote(2.0)
    service.wait(600)
    service.set_status(status("closed", market=CLOSED))
    service.wait(600)
    assert service.taken() == []
    service.set_status(status())
    service.quote(2.0)
    service.wait(35)
    assert service.taken() == []
    service.wait(10)
    assert service.taken() == [("firing", HALF)]


def test_after_a_lost_stream_alerts_keep_their_state_until_quotes_are_confirmed():
    service = Watched(half())
    service.quote()
    service.quote(2.0)
    service.gap()
    service.set_status(status("reconnecting"))
    service.quote(2.0, **{C640: (0.89, 0.91)})
    assert service.taken() == [("firing", HALF)]


def test_a_condor_that_is_gone_ends_its_alerts_but_not_in_the_first_seconds():
    service = Watched(half())
    service.quote(2.0)
    service.set_positions(())
    assert service.taken() == [("firing", HALF)]
    service.set_positions(spy())
    service.wait(20)
    assert service.taken() == []
    service.set_positions(())
    assert service.taken() == [("ended", HALF)]
    assert service.alerts.shown(service.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: the position is gone, and this alert has ended with it."
    )


def test_a_condor_that_was_closed_while_condord_did_not_run_ends_its_alerts():
    before = Watched(half())
    before.quote(2.0)
    records = before.alerts.records
    service = Watched(half(), positions=qqq(), records=records)
    assert service.taken() == []
    service.wait(11)
    assert service.taken() == [("ended", HALF)]


def closing(symbol, quantity):
    fill = Fill(symbol=symbol, contract=parse(symbol), quantity=quantity, price_e6=1_000_000, opens=False)
    return Order(id="closing", filled_at=EPOCH_AT, fills=(fill,))


def test_the_end_of_a_condor_that_lost_a_leg_by_an_order_names_the_legs_held():
    service = Watched(half())
    service.quote(2.0)
    service.wait(20)
    assert service.taken() == [("firing", HALF)]
    service.set_positions((*spy()[:2], spy()[3]), orders=(closing(C630, 2),))
    service.wait(1)
    assert service.taken() == [("ended", HALF)]
    assert service.alerts.shown(service.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: it is no condor any more, and this alert has ended: "
        "its short call 630 was closed, and 6 contracts are held."
    )


def test_the_end_of_a_condor_that_lost_a_leg_while_condord_did_not_run_names_the_legs_held():
    before = Watched(half())
    before.quote(2.0)
    service = Watched(half(), positions=(*spy()[:2], spy()[3]), records=before.alerts.records)
    service.wait(11)
    assert service.alerts.shown(service.now_at)[0].text.endswith(
        "6 contracts are held of its expiration, and in no condor."
    )


def test_a_partial_close_keeps_the_alerts():
    service = Watched(half())
    service.quote(2.0)
    service.wait(20)
    service.set_positions(spy(1))
    assert service.taken() == [("firing", HALF)]


def test_a_broken_condor_fires_and_resolves_when_it_is_whole_again():
    service = Watched(half(), *(each for each in BUILT_IN if each.name in ("broken-condor", "assignment")))
    service.quote(2.0)
    service.wait(20)
    service.set_positions(spy()[:3])
    service.wait(1)
    broken = f"broken-condor:{SPY_ID}"
    assert service.taken() == [("firing", HALF), ("ended", HALF), ("firing", broken)]
    texts = {each.rule: each.text for each in service.alerts.shown(service.now_at)}
    assert texts["broken-condor"] == "SPY 560/570/630/640 Dec 18: lost its 2 long calls 640."
    service.set_positions(spy())
    service.wait(1)
    assert ("resolved", broken) in service.taken()
    service.set_positions(spy()[:3])
    service.set_positions(())
    service.wait(1)
    assert service.taken()[-1] == ("ended", broken)


def test_a_broken_condor_that_loses_further_legs_fires_again():
    service = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    service.quote()
    service.set_positions((*spy()[:3], position(C640, 1, 1.10)))
    service.wait(1)
    broken = f"broken-condor:{SPY_ID}"
    assert service.taken() == [("firing", broken)]
    assert service.subject().lost == 1
    service.set_positions(spy()[:3])
    service.wait(70)
    assert service.taken() == [("firing", broken)]
    service.set_positions(spy()[1:3])
    service.wait(70)
    assert service.taken() == [("firing", broken)]
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == "SPY 560/570/630/640 Dec 18: lost its 2 long puts 560 and its 2 long calls 640."
    service.set_positions(spy()[1:2], orders=(closing(C630, 2),))
    service.wait(70)
    assert service.taken() == []


def test_a_partly_broken_condor_fires_as_broken_and_keeps_its_other_alerts():
    service = Watched(half(), *(each for each in BUILT_IN if each.name == "broken-condor"))
    service.quote(2.0)
    service.wait(20)
    service.set_positions((*spy()[:3], position(C640, 1, 1.10)))
    service.wait(1)
    assert service.taken() == [("firing", HALF), ("firing", f"broken-condor:{SPY_ID}")]
    texts = {each.rule: each.text for each in service.alerts.shown(service.now_at)}
    assert texts["broken-condor"] == "SPY 560/570/630/640 Dec 18: lost its long call 640."


def test_an_assignment_fires_with_its_notice():
    service = Watched(*(each for each in BUILT_IN if each.name == "assignment"))
    service.quote()
    service.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    service.wait(1)
    assert service.taken() == [("firing", f"assignment:{SPY_ID}")]
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text.startswith("SPY 560/570/630/640 Dec 18: 2 short puts 570, Dec 18, disappeared when 200 shares")
    assert "left" not in shown.text
    service = Watched(*(each for each in BUILT_IN if each.name == "assignment"))
    service.clock_is_ahead_by = dt.timedelta(days=28, hours=1).total_seconds()
    service.set_status(status())
    service.set_positions(spy())
    service.quote()
    service.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    service.wait(1)
    [shown] = service.alerts.shown(service.now_at)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: 2 short puts 570, Dec 18, disappeared when 200 shares of SPY came: an assignment; left "
        "are 2 long puts 560, 2 short calls 630 and 2 long calls 640, which expire today: Alpaca takes orders until 15:30 "
        "and may liquidate from 15:15, and trading ends at 16:15 ET."
    )


def test_an_uncovered_call_and_a_put_that_was_covered_are_alerted_but_no_other_put():
    uncovered = [each for each in BUILT_IN if each.name == "uncovered-short"]
    put = position(P570, -1, 2.40)
    service = Watched(*uncovered, positions=(put,))
    service.wait(20)
    assert service.taken() == []
    service.set_positions((put, position(C650, -1, 0.4)))
    service.wait(1)
    assert service.taken() == [("firing", "uncovered-short:SPY")]
    assert (
        service.alerts.shown(service.now_at)[0].text
        == "SPY: the short call 650, Dec 18, is uncovered; close or cover it."
    )
    service = Watched(*uncovered, positions=(put, position(P560, 1, 1.21)))
    service.wait(20)
    service.set_positions((put,))
    service.wait(1)
    assert service.taken() == [("firing", "uncovered-short:SPY")]
    service = Watched(*uncovered)
    service.set_positions((position(P570, -2, 2.40),))
    service.wait(1)
    assert service.taken() == [("firing", "uncovered-short:SPY")]


def test_only_published_values_are_evaluated(monkeypatch):
    service = Watched(half(), positions=(*spy(), *qqq()))
    service.quote()
    service.wait(1)
    seen = []
    subject = service.watch._subjects.subject
    monkeypatch.setattr(service.watch._subjects, "subject", lambda key, when: seen.append(key) or subject(key, when))
    service.offer(tick(P560, 1.0, 1.1, service.now))
    service.wait(0.3)
    assert set(seen) == {SPY_ID, "account"}


def test_everything_is_evaluated_with_each_minute(monkeypatch):
    service = Watched(half(), positions=(*spy(), *qqq()))
    service.wait(90 - service.now_at.second)
    seen = []
    subject = service.watch._subjects.subject
    monkeypatch.setattr(service.watch._subjects, "subject", lambda key, when: seen.append(key) or subject(key, when))
    service.wait(25)
    assert seen == []
    service.wait(10)
    assert {"SPY", "QQQ", SPY_ID, "account"} < set(seen)


def test_many_subjects_are_evaluated_in_slices(monkeypatch):
    monkeypatch.setattr(alert_watch, "SLICE", 1)
    service = Watched(half(), rule("low", "percentOfMaxProfit < 10"), positions=(*spy(), *qqq()))
    service.offer(*(tick(each, 1.0, 1.02, service.now) for each in service.book.symbols))
    assert service.watch.deadline == service.now
    service.wait(1)
    assert {key for _, key in service.taken()} == {HALF, "low:QQQ-261218-400-410-450-460"}


def test_changed_rules_are_evaluated_at_once():
    service = Watched(half())
    service.quote(2.0)
    service.taken()
    service.alerts.set_rules([half(), rule("more", "percentOfMaxProfit >= 40")], service.now_at)
    service.evaluate()
    assert service.taken() == [("firing", f"more:{SPY_ID}")]


def test_a_rule_that_names_the_account_and_the_underlying_follows_all_of_them():
    service = Watched(
        rule("mixed", ("percentOfMaxProfit >= 50", "underlyingPrice > 600", "accountMaxLoss > 1000")),
        rule("shared", ("underlyingPrice > 600", "accountMaxLoss > 1000"), scope="underlying"),
    )
    service.quote(2.0)
    assert service.taken() == []
    service.offer_stocks(tick("SPY", 600.99, 601.01, service.now))
    assert service.taken() == [("firing", "shared:SPY"), ("firing", f"mixed:{SPY_ID}")]


def test_another_account_starts_without_earlier_facts():
    service = Watched(half())
    service.quote(2.0)
    service.watch.switch()
    service.alerts.recall(())
    service.quote(2.1)
    service.taken()
    assert service.watch.deadline is None
    service.watch.note_orders()
    service.quote(2.2)
    assert service.taken() == [("firing", HALF)]


def test_a_feed_that_is_down_is_an_alert_of_the_account_in_session():
    service = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    service.set_status(status("closed", market=CLOSED))
    service.wait(300)
    service.set_status(status("reconnecting"))
    service.wait(119)
    assert service.taken() == []
    service.wait(3)
    assert service.taken() == [("firing", "feed-down:account")]
    assert service.alerts.shown(service.now_at)[0].text == ("The account: prices are not live, it is reconnecting.")


def test_a_feed_that_is_down_in_session_is_no_alert_until_positions_were_read():
    service = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    unread = wire.Positions(read_at=None, error=None, breaker="open")
    service.set_status(status("reconnecting", positions=unread))
    service.wait(600)
    assert (service.taken(), service.watch.deadline) == ([], None)
    service.set_status(status("reconnecting"))
    service.wait(122)
    assert service.taken() == [("firing", "feed-down:account")]


def test_prices_of_an_underlying_that_are_stale_are_a_feed_that_is_down():
    service = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    service.offer_stocks(tick("SPY", 599.99, 600.01, service.now))
    service.wait(60 + 110)
    assert service.taken() == []
    service.wait(30)
    assert service.taken() == [("firing", "feed-down:account")]


def test_the_account_is_known_only_while_every_condor_is():
    service = Watched(rule("day", "accountUnrealizedPl > 100", scope="account"))
    service.quote()
    assert service.values("account")["accountUnrealizedPl"] == 230.0
    assert service.taken() == [("firing", "day:account")]
    service.quote(0.1, **{P570: (1.8, 1.7)})
    assert "accountUnrealizedPl" not in service.values("account")
    assert service.taken() == []


# The session's clock.


def test_the_session_clock_counts_only_while_the_session_is_open():
    clock, now_at = SessionClock(), EPOCH_AT
    for now, market, expected in (
        (0.0, OPEN, 0.0),
        (10.0, OPEN, 10.0),
        (20.0, CLOSED, 20.0),
        (30.0, OPEN, 20.0),
        (25.0, OPEN, 20.0),
        (40.0, OPEN, 35.0),
    ):
        clock.count(market, now, now_at)
        assert clock.seconds == expected


def test_the_session_clock_stops_at_the_close():
    clock = SessionClock()
    hours = msgspec.structs.replace(OPEN, next_close=EPOCH_AT + dt.timedelta(seconds=30))
    clock.count(hours, 0.0, EPOCH_AT)
    clock.count(hours, 100.0, EPOCH_AT + dt.timedelta(seconds=100))
    assert (clock.seconds, clock.is_open) == (30.0, False)
    unknown = wire.MarketJson(is_open=True, next_open=None, next_close=None)
    clock.count(unknown, 110.0, EPOCH_AT + dt.timedelta(seconds=110))
    clock.count(unknown, 120.0, EPOCH_AT + dt.timedelta(seconds=120))
    assert (clock.seconds, clock.is_open) == (40.0, True)
