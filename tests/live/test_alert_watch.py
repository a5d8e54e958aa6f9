"""When the rules are evaluated, and for what of a whole publisher."""

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
    House,
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


class Watched(House):
    """A house with a watch behind its publisher: it evaluates after each turn, and whenever its deadline has come."""

    def __init__(self, *rules, positions=(), records=(), has_orders=True, **options):
        super().__init__(None, **options)
        self.second = 0
        self.alerts = Alerts()
        self.watch = AlertWatch(self.book, self.alerts)
        self.log = []
        self.looked = []
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
        """The long put is worth so much: a cent more is 2 dollars more."""
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
    house = Watched(half())
    house.quote()
    assert house.taken() == []
    house.quote(0.93)
    assert house.taken() == [("firing", HALF)]
    [shown] = house.alerts.shown(house.now_at)
    assert (shown.value, shown.at_start) == (50.21, False)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: the profit is 50.21 % of its maximum (at least 50 %). "
        "P/L +236.00 (close now +228.00)."
    )
    house.quote(0.90)
    assert house.taken() == [("resolved", HALF)]


@pytest.mark.parametrize(
    "bad",
    [{P560: (0.0, 0.0)}, {P560: (2.4, 1.2)}, {P570: (0.1, 9.0)}, {P570: (0.0, 9.0)}],
    ids=["no quote", "crossed", "stub", "stub without a bid"],
)
def test_quotes_that_are_not_reliable_hold_the_state(bad):
    house = Watched(half(clear="percentOfMaxProfit < 45"))
    house.quote()
    house.quote(2.0, **bad)
    house.quote(0.9)
    assert house.taken() == []
    house.quote(2.0)
    assert house.taken() == [("firing", HALF)]
    house.quote(-0.1 + 0.12, **bad)
    assert house.taken() == []


def test_natural_prices_far_from_the_mark_hold_the_state():
    house = Watched(half())
    house.quote()
    house.quote(2.0, spread=1.1)
    assert house.taken() == []


def test_the_stop_is_decided_though_the_wings_have_no_bid():
    house = Watched()
    house.quote()
    wings = {P560: (0.0, 0.05), C640: (0.0, 4.8)}
    house.quote(**wings, **{P570: (9.0, 9.1), C630: (0.1, 0.12)})
    house.wait(61)
    assert ("firing", f"stop-loss:{SPY_ID}") in house.taken()


def test_nothing_is_evaluated_before_orders_were_read_or_failed():
    house = Watched(half(), has_orders=False)
    house.quote(2.0)
    assert (house.taken(), house.watch.deadline) == ([], None)
    house.watch.note_orders()
    house.quote(2.1)
    assert house.taken() == [("firing", HALF)]
    other = Watched(half(), has_orders=False)
    other.quote(2.0)
    failed = wire.NoticeJson(code="ordersUnavailable", text="away", symbols=[], since=EPOCH_AT)
    other.set_status(status(notices=[failed]))
    assert other.taken() == [("firing", HALF)]


def test_nothing_is_evaluated_before_the_memory_is_there():
    house = Watched(half())
    house.alerts = house.watch.alerts = Alerts()
    house.quote(2.0)
    house.alerts.set_rules([half()], house.now_at)
    house.quote(2.1)
    assert house.taken() == []
    house.alerts.recall(())
    house.quote(2.2)
    assert house.taken() == [("firing", HALF)]


def test_an_alert_is_due_by_the_time_of_the_session_without_any_news():
    house = Watched(half(for_seconds=90))
    house.quote()
    house.quote(2.0)
    house.wait(85)
    assert house.taken() == []
    house.wait(5)
    assert house.taken() == [("firing", HALF)]


def test_time_does_not_count_after_the_close():
    closes_at = EPOCH_AT + dt.timedelta(seconds=150)
    house = Watched(half(for_seconds=90))
    house.set_status(status(market=wire.MarketJson(is_open=True, next_open=EPOCH_AT, next_close=closes_at)))
    house.quote()
    house.quote(2.0)
    house.wait(600)
    house.set_status(status("closed", market=CLOSED))
    house.wait(600)
    assert house.taken() == []
    house.set_status(status())
    house.quote(2.0)
    house.wait(35)
    assert house.taken() == []
    house.wait(10)
    assert house.taken() == [("firing", HALF)]


def test_a_cut_holds_the_state_until_quotes_are_confirmed():
    house = Watched(half())
    house.quote()
    house.quote(2.0)
    house.gap()
    house.set_status(status("reconnecting"))
    house.quote(2.0, **{C640: (0.89, 0.91)})
    assert house.taken() == [("firing", HALF)]


def test_a_condor_that_is_gone_ends_its_alerts_but_not_in_the_first_seconds():
    house = Watched(half())
    house.quote(2.0)
    house.set_positions(())
    assert house.taken() == [("firing", HALF)]
    house.set_positions(spy())
    house.wait(20)
    assert house.taken() == []
    house.set_positions(())
    assert house.taken() == [("ended", HALF)]
    assert house.alerts.shown(house.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: the position is gone, and this alert has ended with it."
    )


def test_a_condor_that_was_closed_while_condord_did_not_run_ends_its_alerts():
    before = Watched(half())
    before.quote(2.0)
    records = before.alerts.records
    house = Watched(half(), positions=qqq(), records=records)
    assert house.taken() == []
    house.wait(11)
    assert house.taken() == [("ended", HALF)]


def closing(symbol, quantity):
    fill = Fill(symbol=symbol, contract=parse(symbol), quantity=quantity, price_e6=1_000_000, opens=False)
    return Order(id="closing", filled_at=EPOCH_AT, fills=(fill,))


def test_a_condor_of_which_an_order_closed_a_leg_says_what_is_held():
    house = Watched(half())
    house.quote(2.0)
    house.wait(20)
    assert house.taken() == [("firing", HALF)]
    house.set_positions((*spy()[:2], spy()[3]), orders=(closing(C630, 2),))
    house.wait(1)
    assert house.taken() == [("ended", HALF)]
    assert house.alerts.shown(house.now_at)[0].text == (
        "SPY 560/570/630/640 Dec 18: it is no condor any more, and this alert has ended: "
        "its short call 630 was closed, and 6 contracts are held."
    )


def test_a_leg_that_was_closed_while_condord_did_not_run_leaves_what_is_held():
    before = Watched(half())
    before.quote(2.0)
    house = Watched(half(), positions=(*spy()[:2], spy()[3]), records=before.alerts.records)
    house.wait(11)
    assert house.alerts.shown(house.now_at)[0].text.endswith(
        "6 contracts are held of its expiration, and in no condor."
    )


def test_a_partial_close_keeps_the_alerts():
    house = Watched(half())
    house.quote(2.0)
    house.wait(20)
    house.set_positions(spy(1))
    assert house.taken() == [("firing", HALF)]


def test_a_broken_condor_fires_and_resolves_when_it_is_whole_again():
    house = Watched(half(), *(each for each in BUILT_IN if each.name in ("broken-condor", "assignment")))
    house.quote(2.0)
    house.wait(20)
    house.set_positions(spy()[:3])
    house.wait(1)
    broken = f"broken-condor:{SPY_ID}"
    assert house.taken() == [("firing", HALF), ("ended", HALF), ("firing", broken)]
    texts = {each.rule: each.text for each in house.alerts.shown(house.now_at)}
    assert texts["broken-condor"] == "SPY 560/570/630/640 Dec 18: lost its 2 long calls 640."
    house.set_positions(spy())
    house.wait(1)
    assert ("resolved", broken) in house.taken()
    house.set_positions(spy()[:3])
    house.set_positions(())
    house.wait(1)
    assert house.taken()[-1] == ("ended", broken)


def test_a_broken_condor_that_loses_further_legs_fires_again():
    house = Watched(*(each for each in BUILT_IN if each.name == "broken-condor"))
    house.quote()
    house.set_positions((*spy()[:3], position(C640, 1, 1.10)))
    house.wait(1)
    broken = f"broken-condor:{SPY_ID}"
    assert house.taken() == [("firing", broken)]
    assert house.subject().lost == 1
    house.set_positions(spy()[:3])
    house.wait(70)
    assert house.taken() == [("firing", broken)]
    house.set_positions(spy()[1:3])
    house.wait(70)
    assert house.taken() == [("firing", broken)]
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == "SPY 560/570/630/640 Dec 18: lost its 2 long puts 560 and its 2 long calls 640."
    house.set_positions(spy()[1:2], orders=(closing(C630, 2),))
    house.wait(70)
    assert house.taken() == []


def test_a_condor_of_which_some_lost_legs_is_broken_and_keeps_its_other_alerts():
    house = Watched(half(), *(each for each in BUILT_IN if each.name == "broken-condor"))
    house.quote(2.0)
    house.wait(20)
    house.set_positions((*spy()[:3], position(C640, 1, 1.10)))
    house.wait(1)
    assert house.taken() == [("firing", HALF), ("firing", f"broken-condor:{SPY_ID}")]
    texts = {each.rule: each.text for each in house.alerts.shown(house.now_at)}
    assert texts["broken-condor"] == "SPY 560/570/630/640 Dec 18: lost its long call 640."


def test_an_assignment_fires_with_its_notice():
    house = Watched(*(each for each in BUILT_IN if each.name == "assignment"))
    house.quote()
    house.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    house.wait(1)
    assert house.taken() == [("firing", f"assignment:{SPY_ID}")]
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text.startswith("SPY 560/570/630/640 Dec 18: 2 short puts 570, Dec 18, disappeared when 200 shares")
    assert "left" not in shown.text
    house = Watched(*(each for each in BUILT_IN if each.name == "assignment"))
    house.clock_is_ahead_by = dt.timedelta(days=28, hours=1).total_seconds()
    house.set_status(status())
    house.set_positions(spy())
    house.quote()
    house.set_positions((*spy()[:1], *spy()[2:]), stocks={"SPY": 200})
    house.wait(1)
    [shown] = house.alerts.shown(house.now_at)
    assert shown.text == (
        "SPY 560/570/630/640 Dec 18: 2 short puts 570, Dec 18, disappeared when 200 shares of SPY came: an assignment; left "
        "are 2 long puts 560, 2 short calls 630 and 2 long calls 640, which expire today: Alpaca takes orders until 15:30 "
        "and may liquidate from 15:15, and trading ends at 16:15 ET."
    )


def test_an_uncovered_call_and_a_put_that_was_covered_are_alerted_but_no_other_put():
    uncovered = [each for each in BUILT_IN if each.name == "uncovered-short"]
    put = position(P570, -1, 2.40)
    house = Watched(*uncovered, positions=(put,))
    house.wait(20)
    assert house.taken() == []
    house.set_positions((put, position(C650, -1, 0.4)))
    house.wait(1)
    assert house.taken() == [("firing", "uncovered-short:SPY")]
    assert house.alerts.shown(house.now_at)[0].text == "SPY: the short call 650, Dec 18, is uncovered."
    house = Watched(*uncovered, positions=(put, position(P560, 1, 1.21)))
    house.wait(20)
    house.set_positions((put,))
    house.wait(1)
    assert house.taken() == [("firing", "uncovered-short:SPY")]
    house = Watched(*uncovered)
    house.set_positions((position(P570, -2, 2.40),))
    house.wait(1)
    assert house.taken() == [("firing", "uncovered-short:SPY")]


def test_only_what_was_published_is_evaluated(monkeypatch):
    house = Watched(half(), positions=(*spy(), *qqq()))
    house.quote()
    house.wait(1)
    seen = []
    subject = house.watch._subjects.subject
    monkeypatch.setattr(house.watch._subjects, "subject", lambda key, when: seen.append(key) or subject(key, when))
    house.offer(tick(P560, 1.0, 1.1, house.now))
    house.wait(0.3)
    assert set(seen) == {SPY_ID, "account"}


def test_everything_is_evaluated_with_each_minute(monkeypatch):
    house = Watched(half(), positions=(*spy(), *qqq()))
    house.wait(90 - house.now_at.second)
    seen = []
    subject = house.watch._subjects.subject
    monkeypatch.setattr(house.watch._subjects, "subject", lambda key, when: seen.append(key) or subject(key, when))
    house.wait(25)
    assert seen == []
    house.wait(10)
    assert {"SPY", "QQQ", SPY_ID, "account"} < set(seen)


def test_many_subjects_are_evaluated_in_slices(monkeypatch):
    monkeypatch.setattr(alert_watch, "SLICE", 1)
    house = Watched(half(), rule("low", "percentOfMaxProfit < 10"), positions=(*spy(), *qqq()))
    house.offer(*(tick(each, 1.0, 1.02, house.now) for each in house.book.symbols))
    assert house.watch.deadline == house.now
    house.wait(1)
    assert {key for _, key in house.taken()} == {HALF, "low:QQQ-261218-400-410-450-460"}


def test_changed_rules_are_evaluated_at_once():
    house = Watched(half())
    house.quote(2.0)
    house.taken()
    house.alerts.set_rules([half(), rule("more", "percentOfMaxProfit >= 40")], house.now_at)
    house.evaluate()
    assert house.taken() == [("firing", f"more:{SPY_ID}")]


def test_a_rule_that_names_the_account_and_the_underlying_follows_all_of_them():
    house = Watched(
        rule("mixed", ("percentOfMaxProfit >= 50", "underlyingPrice > 600", "accountMaxLoss > 1000")),
        rule("shared", ("underlyingPrice > 600", "accountMaxLoss > 1000"), scope="underlying"),
    )
    house.quote(2.0)
    assert house.taken() == []
    house.offer_stocks(tick("SPY", 600.99, 601.01, house.now))
    assert house.taken() == [("firing", "shared:SPY"), ("firing", f"mixed:{SPY_ID}")]


def test_another_account_starts_without_what_was_known():
    house = Watched(half())
    house.quote(2.0)
    house.watch.switch()
    house.alerts.recall(())
    house.quote(2.1)
    house.taken()
    assert house.watch.deadline is None
    house.watch.note_orders()
    house.quote(2.2)
    assert house.taken() == [("firing", HALF)]


def test_a_feed_that_is_down_is_an_alert_of_the_account_in_session():
    house = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    house.set_status(status("closed", market=CLOSED))
    house.wait(300)
    house.set_status(status("reconnecting"))
    house.wait(119)
    assert house.taken() == []
    house.wait(3)
    assert house.taken() == [("firing", "feed-down:account")]
    assert house.alerts.shown(house.now_at)[0].text == ("The account: prices are not live, it is reconnecting.")


def test_a_feed_that_is_down_in_session_is_no_alert_until_positions_were_read():
    house = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    unread = wire.Positions(read_at=None, error=None, breaker="open")
    house.set_status(status("reconnecting", positions=unread))
    house.wait(600)
    assert (house.taken(), house.watch.deadline) == ([], None)
    house.set_status(status("reconnecting"))
    house.wait(122)
    assert house.taken() == [("firing", "feed-down:account")]


def test_prices_of_an_underlying_that_are_stale_are_a_feed_that_is_down():
    house = Watched(*(each for each in BUILT_IN if each.name == "feed-down"))
    house.offer_stocks(tick("SPY", 599.99, 600.01, house.now))
    house.wait(60 + 110)
    assert house.taken() == []
    house.wait(30)
    assert house.taken() == [("firing", "feed-down:account")]


def test_the_account_is_known_only_while_every_condor_is():
    house = Watched(rule("day", "accountUnrealizedPl > 100", scope="account"))
    house.quote()
    assert house.values("account")["accountUnrealizedPl"] == 230.0
    assert house.taken() == [("firing", "day:account")]
    house.quote(0.1, **{P570: (1.8, 1.7)})
    assert "accountUnrealizedPl" not in house.values("account")
    assert house.taken() == []


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
