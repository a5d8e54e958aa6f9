"""Which alerts fire, resolve and end; one alert by the table is in test_alert_machine.py."""

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition
from hypothesis.stateful import rule as step

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.facts import ABSENT, Between
from condord.live.alerts import Alerts

from .accounts import REPEATABLE
from .alert_parts import CONDOR, NOON_AT, AlertEngine, rule, subject

HALF = f"half:{CONDOR}"
DAY = dt.timedelta(days=1)


def test_an_alert_fires_once_and_resolves():
    engine = AlertEngine(rule())
    assert [engine.value(each) for each in (40, 51, 52, 51, 49, 30)] == [[], ["firing"], [], [], ["resolved"], []]
    [shown] = engine.shown()
    assert (shown.value, shown.threshold, shown.basis, shown.at_start) == (49.0, 50.0, "mark", False)


def test_hysteresis_holds_an_alert_until_it_clears():
    engine = AlertEngine(rule(clear="percentOfMaxProfit < 45"))
    assert [engine.value(each) for each in (40, 51, 46, 51, 44, 46, 50)] == [
        [],
        ["firing"],
        [],
        [],
        ["resolved"],
        [],
        ["firing"],
    ]


def test_clear_is_not_evaluated_while_when_holds():
    engine = AlertEngine(rule(clear="percentOfMaxProfit < 60"))
    assert [engine.value(each) for each in (40, 55, 55, 49)] == [[], ["firing"], [], ["resolved"]]


def test_any_condition_of_a_list_in_clear_clears_the_alert():
    engine = AlertEngine(rule(clear=("percentOfMaxProfit < 10", "delta > 5")))
    engine.value(40)
    engine.value(60)
    assert engine.evaluate(subject({"percentOfMaxProfit": 40.0})) == []
    assert engine.evaluate(subject({"percentOfMaxProfit": 40.0, "delta": 6.0})) == ["resolved"]


@pytest.mark.parametrize("unknown", [{}, {"percentOfMaxProfit": None}, {"percentOfMaxProfit": Between(40.0, 60.0)}])
def test_an_unknown_value_neither_fires_nor_resolves(unknown):
    engine = AlertEngine(rule())
    engine.value(40)
    assert engine.evaluate(subject(unknown)) == []
    assert engine.value(60) == ["firing"]
    assert engine.evaluate(subject(unknown)) == []
    assert engine.value(60) == []
    assert engine.value(40) == ["resolved"]


def test_a_quantity_that_does_not_apply_is_false():
    engine = AlertEngine(rule())
    engine.value(60)
    assert engine.evaluate(subject({"percentOfMaxProfit": ABSENT})) == ["resolved"]


def test_for_seconds_counts_session_time_only():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(40)
    assert engine.value(60) == []
    assert engine.evaluate(subject({"percentOfMaxProfit": 60.0}), after=3600, is_session=False) == []
    assert engine.value(60, after=59) == []
    assert engine.value(60, after=1) == ["firing"]


def test_for_seconds_pauses_while_the_quantity_is_not_known():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(40)
    engine.value(60)
    assert engine.value(None, after=50) == []
    assert engine.value(None, after=500) == []
    assert engine.value(60, after=500) == []
    assert engine.value(60, after=9) == []
    assert engine.value(60, after=1) == ["firing"]


def test_for_seconds_starts_again_after_the_condition_was_false():
    engine = AlertEngine(rule(for_seconds=60))
    for value, after in ((40, 0), (60, 0), (40, 59), (60, 0), (60, 59)):
        assert engine.value(value, after) == []
    assert engine.value(60, 1) == ["firing"]


def test_the_saved_time_for_which_a_condition_has_held_survives_a_restart():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(40)
    engine.value(60)
    engine.value(60, after=50)
    engine.restart(after=1000)
    assert engine.value(60) == []
    assert engine.value(60, after=9) == []
    assert engine.value(60, after=1) == ["firing"]


def test_the_next_evaluation_is_when_it_is_due_or_to_be_saved():
    engine = AlertEngine(rule(for_seconds=12))
    engine.value(40)
    assert engine.alerts.next_seconds(engine.session) is None
    engine.value(60)
    assert engine.alerts.next_seconds(engine.session) == 5
    assert engine.alerts.due(engine.session + 4) == frozenset()
    assert engine.alerts.due(engine.session + 5) == {CONDOR}
    engine.value(60, after=10)
    assert engine.stored[HALF].held_seconds == 10
    assert engine.alerts.next_seconds(engine.session) == 2
    engine.value(60, after=2)
    assert engine.alerts.next_seconds(engine.session) is None


def test_a_restart_while_firing_neither_repeats_nor_forgets():
    engine = AlertEngine(rule())
    engine.value(40)
    engine.value(60)
    before = engine.shown()
    engine.restart()
    assert engine.shown() == before
    assert [engine.value(each) for each in (None, 60, 40)] == [[], [], ["resolved"]]


def test_a_rule_that_is_true_at_the_first_evaluation_fires_with_at_start():
    engine = AlertEngine(rule())
    assert engine.value(None) == []
    assert engine.value(60) == ["firing"]
    assert engine.log[-1].record.at_start
    assert engine.value(40) == ["resolved"]
    assert engine.value(60) == ["firing"]
    assert not engine.log[-1].record.at_start


def test_a_subject_evaluated_before_a_restart_fires_without_at_start():
    engine = AlertEngine(rule())
    engine.value(40)
    engine.restart()
    engine.value(60)
    assert not engine.log[-1].record.at_start


def test_an_alert_pending_since_its_first_evaluation_fires_with_at_start_after_a_restart_too():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(60)
    engine.value(60, after=30)
    engine.restart()
    engine.value(60)
    assert engine.value(60, after=30) == ["firing"]
    assert engine.log[-1].record.at_start


def test_without_saved_records_alerts_that_are_already_true_fire_and_resolve_without_notifications():
    engine = AlertEngine(rule(notify=("phone",)), records=None)
    assert engine.value(60) == ["firing"]
    assert (engine.log[-1].notify, engine.log[-1].record.at_start) == ((), True)
    assert engine.value(40) == ["resolved"]
    assert engine.log[-1].notify == ()
    assert (engine.value(60), engine.log[-1].notify) == (["firing"], ("phone",))
    assert (engine.value(40), engine.log[-1].notify) == (["resolved"], ("phone",))


def test_without_saved_records_a_rule_that_is_already_true_fires_at_once():
    engine = AlertEngine(rule(for_seconds=60), records=None)
    assert engine.value(None) == []
    assert engine.value(60, after=1) == ["firing"]
    assert (engine.log[-1].notify, engine.log[-1].record.at_start) == ((), True)
    assert [engine.value(40), engine.value(60)] == [["resolved"], []]
    assert engine.value(60, after=60) == ["firing"]
    assert (engine.log[-1].notify, engine.log[-1].record.at_start) == (None, False)


@pytest.mark.parametrize("word", ["feedDown", "blind"])
def test_without_saved_records_an_alert_about_missing_data_fires_after_its_time_and_is_notified(word):
    """At every start the feed is down for a moment, so this shows nothing about the time before."""
    engine = AlertEngine(rule(word, word, for_seconds=60, scope="condor"), records=None)
    assert engine.evaluate(subject({word: True})) == []
    assert engine.evaluate(subject({word: True}), after=60) == ["firing"]
    assert engine.log[-1].notify is None


@pytest.mark.parametrize("before", [None, 60])
def test_a_silent_alert_stays_silent_after_a_restart(before):
    """The alert stays silent both before its value is known for the first time and while it fires."""
    engine = AlertEngine(rule(for_seconds=60), records=None)
    engine.value(before)
    engine.restart(after=90)
    assert engine.value(60) == ([] if before else ["firing"])
    assert engine.shown()[0].at_start
    engine.restart(after=90)
    assert engine.value(40) == ["resolved"]
    assert [each.notify for each in engine.log] == [(), ()]
    engine.restart()
    assert [engine.value(60), engine.value(60, after=60)] == [[], ["firing"]]
    assert engine.log[-1].notify is None


def test_a_silent_alert_ends_with_its_condor_and_is_not_stored_any_longer():
    engine = AlertEngine(rule(), records=None)
    engine.value(None)
    assert engine.stored[HALF].is_silent
    engine.restart()
    assert engine.gone(CONDOR) == []
    assert engine.stored == {}


def test_without_saved_records_a_repeat_is_notified_and_then_the_end_too():
    engine = AlertEngine(rule(repeat_minutes=1), records=None)
    engine.value(60)
    assert engine.value(60, after=60) == ["repeat"]
    assert engine.log[-1].notify is None
    assert (engine.value(40), engine.log[-1].notify) == (["resolved"], None)


def test_without_saved_records_an_end_with_the_condor_is_not_notified():
    engine = AlertEngine(rule(), records=None)
    engine.value(60)
    assert (engine.gone(CONDOR), engine.log[-1].notify) == (["ended"], ())


def test_without_saved_records_alerts_that_begin_later_are_notified():
    engine = AlertEngine(rule(), records=None)
    engine.value(40)
    engine.value(60)
    assert (engine.log[-1].notify, engine.log[-1].record.at_start) == (None, False)
    engine.pass_time(100)
    later = subject({"percentOfMaxProfit": 60.0}, key="QQQ-261218-1-2-3-4")
    assert engine.evaluate(later) == ["firing"]
    assert engine.log[-1].notify is None


def test_nothing_is_evaluated_before_the_saved_records_are_loaded_or_without_rules():
    alerts = Alerts()
    alerts.set_rules([rule()], NOON_AT)
    evaluated = {"session_seconds": 0.0, "now_at": NOON_AT}
    assert alerts.evaluate([subject({"percentOfMaxProfit": 60.0})], **evaluated).transitions == ()
    assert AlertEngine(records=()).value(60) == []
    alerts.recall(())
    assert len(alerts.evaluate([subject({"percentOfMaxProfit": 60.0})], **evaluated).transitions) == 1


def test_an_alert_of_a_subject_that_is_not_published_keeps_its_state():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(40)
    engine.value(60)
    engine.pass_time(30)
    engine.alerts.pause(CONDOR, engine.session, engine.now_at)
    engine.alerts.pause("QQQ", engine.session, engine.now_at)
    assert engine.alerts.next_seconds(engine.session) is None
    engine.value(60, after=100)
    assert engine.value(60, after=29) == []
    assert engine.value(60, after=1) == ["firing"]


# Which holding it is.

OPENED_AT = NOON_AT - 10 * DAY


def test_an_opening_that_becomes_known_is_the_same_holding():
    engine = AlertEngine(rule())
    engine.value(40)
    engine.value(60)
    assert engine.value(60, opened_at=OPENED_AT) == []
    engine.restart()
    assert engine.value(60) == []
    assert engine.value(60, opened_at=OPENED_AT - DAY) == []


def test_a_later_opening_is_another_holding():
    engine = AlertEngine(rule())
    engine.value(40, opened_at=OPENED_AT)
    engine.value(60, opened_at=OPENED_AT)
    assert engine.value(60, opened_at=OPENED_AT + DAY) == ["ended", "firing"]
    assert engine.log[-1].record.at_start
    assert engine.log[-1].record.opened_at == OPENED_AT + DAY


def test_a_later_opening_starts_the_time_again():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(60, opened_at=OPENED_AT)
    engine.value(60, after=50, opened_at=OPENED_AT)
    assert engine.value(60, after=9, opened_at=OPENED_AT + DAY) == []
    assert engine.value(60, after=59, opened_at=OPENED_AT + DAY) == []
    assert engine.value(60, after=1, opened_at=OPENED_AT + DAY) == ["firing"]


def test_a_condor_that_is_gone_ends_its_alerts_and_the_same_one_later_is_another():
    engine = AlertEngine(rule(), rule("pending", for_seconds=60))
    engine.value(60, opened_at=OPENED_AT)
    assert engine.gone(CONDOR) == ["ended"]
    assert engine.states() == [(HALF, "ended")]
    assert engine.stored.keys() == {HALF}
    assert engine.alerts.subjects == frozenset()
    assert engine.gone(CONDOR) == []
    serial = engine.log[-1].record.serial
    assert engine.value(60, after=1, opened_at=OPENED_AT) == ["firing"]
    assert engine.states() == [(HALF, "firing")]
    assert engine.log[-1].record.serial > serial


def test_a_resolved_alert_of_a_condor_that_is_gone_stays_resolved_until_the_day_ends():
    engine = AlertEngine(rule())
    for value in (40, 60, 40):
        engine.value(value)
    assert engine.gone(CONDOR) == []
    assert engine.states() == [(HALF, "resolved")]
    engine.evaluate(after=DAY.total_seconds())
    assert (engine.states(), engine.stored) == ([], {})


def test_while_an_alert_is_pending_again_its_last_firing_is_shown():
    engine = AlertEngine(rule(for_seconds=10))
    for value, after in ((40, 0), (60, 0), (60, 10), (40, 0), (60, 5)):
        engine.value(value, after)
    [shown] = engine.shown()
    assert (shown.state, shown.last, shown.until) == ("pending", "resolved", NOON_AT + dt.timedelta(seconds=10))
    engine.gone(CONDOR)
    assert engine.states() == [(HALF, "resolved")]


def test_of_a_broken_condor_only_alerts_about_the_break_stay():
    names = ("profit-target", "broken-condor", "assignment")
    engine = AlertEngine(*(each for each in BUILT_IN if each.name in names), rule())
    whole = {"percentOfMaxProfit": 60.0, "brokenCondor": False, "assignment": False}
    assert engine.evaluate(subject(whole)) == ["firing"]
    left = subject({"brokenCondor": True, "assignment": True}, is_broken=True)
    assert engine.evaluate(left) == ["ended", "firing", "firing"]
    assert engine.log[-3].record.text.endswith(": the position has lost legs, and this alert has ended.")
    assert engine.evaluate(subject(whole)) == ["resolved", "resolved", "firing"]
    assert engine.evaluate(left) == ["ended", "firing", "firing"]
    assert engine.gone(CONDOR) == ["ended", "ended"]


# Rules that change.


def test_a_removed_and_a_disabled_rule_end_their_alerts():
    engine = AlertEngine(rule(), rule("more"))
    engine.value(60)
    assert engine.set_rules(rule(enabled=False)) == ["ended", "ended"]
    assert {state for _, state in engine.states()} == {"ended"}
    assert engine.value(60) == []
    engine.set_rules(rule())
    assert engine.value(60) == ["firing"]
    assert engine.log[-1].record.at_start


def test_a_changed_definition_ends_an_alert_and_starts_it_again():
    engine = AlertEngine(rule())
    for value in (40, 60):
        engine.value(value)
    assert engine.set_rules(rule(when="percentOfMaxProfit >= 55")) == ["ended"]
    assert engine.value(60) == ["firing"]
    assert engine.log[-1].record.at_start
    assert engine.log[-1].record.threshold == 55


def test_a_rule_that_keeps_its_definition_keeps_its_state():
    engine = AlertEngine(rule(for_seconds=60))
    engine.value(60)
    engine.value(60, after=50)
    assert engine.set_rules(rule(for_seconds=55, severity="critical", notify=("phone",))) == []
    assert engine.value(60, after=5) == ["firing"]
    assert (engine.log[-1].notify, engine.log[-1].record.severity) == (("phone",), "critical")


def test_rules_that_changed_while_condord_did_not_run_end_their_alerts():
    engine = AlertEngine(rule(), rule("more"))
    engine.value(60)
    engine.alerts.rules = (rule(), rule("more", "percentOfMaxProfit >= 55"))
    engine.restart()
    assert engine.value(60) == ["ended", "firing"]
    assert [each.record.rule for each in engine.log[-2:]] == ["more", "more"]


def test_rules_that_change_before_the_first_evaluation_after_a_restart_end_alerts_too():
    engine = AlertEngine(rule())
    engine.value(60)
    engine.restart()
    assert engine.set_rules(rule("other")) == ["ended"]


def test_a_rule_applies_only_to_matching_subjects():
    engine = AlertEngine(*BUILT_IN, rule("account", "accountDayPl < -100", scope="account"))
    butterfly = subject({"percentOfMaxProfit": 30.0}, kind="ironButterfly")
    condor = subject({"percentOfMaxProfit": 30.0}, key="QQQ-261218-1-2-3-4")
    assert engine.evaluate(butterfly, condor) == []
    assert engine.evaluate(butterfly, condor, after=120) == ["firing"]
    assert engine.evaluate(subject({"accountDayPl": -200.0}, key="account")) == ["firing"]
    assert (engine.log[-1].record.id, engine.log[-1].record.condor_id) == ("account:account", None)


def test_the_basis_decides_which_profit_counts():
    engine = AlertEngine(rule(basis="natural"))
    assert engine.evaluate(subject({"percentOfMaxProfit": 60.0}, {"percentOfMaxProfit": 40.0})) == []
    assert engine.evaluate(subject({"percentOfMaxProfit": 40.0}, {"percentOfMaxProfit": 60.0})) == ["firing"]
    assert engine.log[-1].record.basis == "natural"


def test_a_record_has_no_basis_for_a_quantity_without_one_and_no_value_for_a_word():
    engine = AlertEngine(rule("dates", "daysToExpiration <= 21"), rule("word", "nearStrike"))
    engine.evaluate(subject({"daysToExpiration": 20.0, "nearStrike": True}))
    dates, word = (each.record for each in engine.log)
    assert (dates.value, dates.basis) == (20.0, None)
    assert (word.value, word.threshold, word.basis) == (None, None, None)


def test_an_alert_about_the_profit_target_has_severity_info_while_an_order_closes_there():
    engine = AlertEngine(*BUILT_IN)
    engine.evaluate(subject({"percentOfMaxProfit": 55.0}, closing_percent=50.0))
    engine.pass_time(120)
    engine.evaluate(subject({"percentOfMaxProfit": 55.0}, closing_percent=50.0))
    assert engine.log[-1].record.severity == "info"


# What cannot be watched.


def blind(**fields):
    facts = {"percentOfMaxProfit": 10.0, "blind": False}
    return subject(facts, **fields)


def test_a_critical_rule_whose_values_are_unknown_makes_a_condor_blind():
    engine = AlertEngine(rule("blind", "blind"), rule("stop", "lossMultipleOfCredit >= 2", severity="critical"))
    assert engine.evaluate(blind()) == []
    assert engine.evaluate(blind(is_watched=True)) == ["firing"]
    assert engine.evaluate(blind()) == ["resolved"]


def test_blind_fires_after_its_time_for_changing_reasons_and_resolves_with_the_next_usable_quote():
    engine = AlertEngine(
        rule("blind", "blind", for_seconds=300), rule("stop", "lossMultipleOfCredit >= 2", severity="critical")
    )
    seen = {"blind": False, "lossMultipleOfCredit": 1.0}
    assert engine.evaluate(subject(seen, is_watched=True)) == []
    assert engine.evaluate(blind(is_watched=True), after=10) == []
    assert engine.evaluate(subject({**seen, "blind": True}, is_watched=True), after=170) == []
    engine.pass_time(3600, is_session=False)
    assert engine.evaluate(blind(is_watched=True), after=129.5) == []
    assert engine.evaluate(blind(is_watched=True), after=0.5) == ["firing"]
    assert engine.evaluate(subject(seen, is_watched=True), after=0.25) == ["resolved"]


def test_a_rule_that_is_not_critical_makes_nothing_blind():
    engine = AlertEngine(rule("blind", "blind"), rule("stop", "lossMultipleOfCredit >= 2"))
    assert engine.evaluate(blind(is_watched=True)) == []


# Acknowledging and repeating.


def test_acknowledging_keeps_the_first_time_and_a_new_firing_has_none():
    engine = AlertEngine(rule())
    assert engine.acknowledge(HALF) is None
    engine.value(40)
    assert engine.acknowledge(HALF) is None
    engine.value(60)
    assert engine.acknowledge(HALF) == []
    engine.pass_time(10)
    assert engine.acknowledge(HALF) == []
    assert engine.shown()[0].acknowledged_at == NOON_AT
    assert engine.stored[HALF].acknowledged_at == NOON_AT
    engine.value(40)
    assert engine.acknowledge(HALF) == []
    engine.value(60)
    assert engine.shown()[0].acknowledged_at is None


def test_an_alert_of_yesterday_cannot_be_acknowledged():
    engine = AlertEngine(rule())
    for value in (60, 40):
        engine.value(value)
    engine.pass_time(DAY.total_seconds())
    assert engine.acknowledge(HALF) is None


def test_repeats_count_session_time_and_stop_when_it_is_acknowledged():
    engine = AlertEngine(rule(repeat_minutes=10))
    engine.value(60)
    assert engine.alerts.next_seconds(engine.session) == 60
    assert engine.value(60, after=599) == []
    assert engine.evaluate(subject({}), after=3600, is_session=False) == []
    assert engine.value(None, after=1) == ["repeat"]
    assert engine.log[-1].record.repeats == 1
    assert engine.value(60, after=600) == ["repeat"]
    engine.acknowledge(HALF)
    assert engine.alerts.next_seconds(engine.session) is None
    assert engine.value(60, after=6000) == []


def test_a_repeat_has_the_current_value_and_text_and_the_alert_keeps_its_own():
    engine = AlertEngine(rule(clear="percentOfMaxProfit < 40", repeat_minutes=10))
    engine.value(60)
    [fired] = engine.shown()

    def repeated(value):
        assert engine.value(value, after=600) == ["repeat"]
        for kept in (engine.shown()[0], engine.stored[HALF]):
            assert (kept.since, kept.value, kept.text) == (NOON_AT, 60, fired.text)
        return engine.log[-1].record.value, engine.log[-1].record.text

    value, text = repeated(70)
    assert value == 70
    assert "the profit is 70 % of its maximum (at least 50 %)." in text
    value, text = repeated(45)
    assert value == 45
    assert "not resolved yet, the profit is 45 % of its maximum." in text
    assert repeated(None)[0] == 60


def test_a_repeat_while_the_state_is_not_known_mentions_that_and_has_no_earlier_pl():
    engine = AlertEngine(rule(repeat_minutes=10))
    engine.value(60)
    reason = "the profit is 60 % of its maximum (at least 50 %)."
    name, _, _ = engine.shown()[0].text.partition(": ")
    for _ in range(2):
        assert engine.value(None, after=600) == ["repeat"]
        text = engine.log[-1].record.text
        assert text == f"{name}: cannot be evaluated at present; last known: {reason}"
    assert engine.value(70, after=600) == ["repeat"]
    assert "last known" not in engine.log[-1].record.text


def test_a_repeat_has_the_current_severity_and_the_end_goes_to_the_channels_it_was_sent_to():
    [target] = [each for each in BUILT_IN if each.name == "profit-target"]
    engine = AlertEngine(msgspec.structs.replace(target, for_seconds=0, repeat_minutes=1))

    def evaluate(value, closing_percent, after=60):
        kinds = engine.evaluate(subject({"percentOfMaxProfit": value}, closing_percent=closing_percent), after=after)
        return [(kind, engine.log[-1].record.severity, engine.log[-1].reach) for kind in kinds]

    assert evaluate(55.0, None) == [("firing", "warning", "warning")]
    assert evaluate(55.0, 50.0, after=30) == []
    assert engine.shown()[0].severity == "warning"
    assert evaluate(55.0, 50.0, after=30) == [("repeat", "info", "info")]
    assert (engine.shown()[0].severity, engine.alerts.counts.info) == ("info", 1)
    assert evaluate(None, None) == [("repeat", "info", "info")]  # what is not known changes nothing
    assert evaluate(47.0, None) == [("repeat", "warning", "warning")]
    assert evaluate(47.0, 50.0) == [("repeat", "info", "info")]
    engine.restart()
    assert evaluate(40.0, 50.0) == [("resolved", "info", "warning")]
    assert evaluate(55.0, 50.0) == [("firing", "info", "info")]
    assert evaluate(40.0, 50.0) == [("resolved", "info", "info")]


def test_repeats_go_on_after_a_restart_and_after_the_rule_changes():
    engine = AlertEngine(rule(repeat_minutes=10))
    engine.value(60)
    engine.value(60, after=540)
    engine.restart()
    engine.value(60)
    assert engine.value(60, after=60) == ["repeat"]
    engine.set_rules(rule())
    assert engine.value(60, after=6000) == []
    assert engine.alerts.next_seconds(engine.session) is None
    engine.set_rules(rule(repeat_minutes=1))
    engine.value(60)
    assert engine.value(60, after=60) == ["repeat"]


def test_the_revision_rises_when_the_visible_alerts_may_differ():
    engine = AlertEngine(rule())
    revision = engine.alerts.revision
    engine.value(40)
    before = engine.alerts.revision
    engine.value(41)
    assert engine.alerts.revision == before > revision
    engine.value(60)
    assert engine.alerts.revision > before
    assert engine.alerts.evaluations == 3


def test_only_pending_and_fired_alerts_have_records():
    engine = AlertEngine(rule(), rule("wait", for_seconds=60), rule("never", "percentOfMaxProfit >= 90"))
    engine.value(60)
    assert [(each.rule, each.state) for each in engine.alerts.records] == [("half", "firing"), ("wait", "pending")]
    assert engine.alerts.counts.warning == 1


# Only what has changed is evaluated.

RULES = (
    rule("half", clear="percentOfMaxProfit < 45"),
    rule("natural", basis="natural", for_seconds=10, repeat_minutes=1),
    rule("stop", ("lossMultipleOfCredit >= 2", "nearStrike"), severity="critical"),
    rule("dates", "daysToExpiration <= 21"),
    rule("blind", "blind", for_seconds=10),
)


def test_a_rule_is_evaluated_again_only_if_one_of_its_quantities_has_changed():
    engine = AlertEngine(rule(), rule("list", ("delta > 1", "tested")), rule("days", "daysToExpiration <= 21"))

    def evaluated(**values):
        before = engine.alerts.evaluations
        engine.evaluate(subject({"percentOfMaxProfit": 40.0, "delta": 0.0, "tested": False, **values}))
        return engine.alerts.evaluations - before

    assert evaluated() == 3
    assert evaluated() == 0
    assert evaluated(theta=1.0) == 0
    assert evaluated(tested=True) == 1
    assert evaluated(tested=True, percentOfMaxProfit=41.0, daysToExpiration=30.0) == 2
    assert evaluated(tested=True, percentOfMaxProfit=41.0) == 1  # the days are not known any longer
    engine.alerts.recall(())
    assert evaluated(tested=True, percentOfMaxProfit=41.0) == 3


def test_an_alert_whose_quantities_have_not_changed_fires_when_it_is_due():
    engine = AlertEngine(rule(for_seconds=10))
    engine.value(60)
    before = engine.alerts.evaluations
    assert engine.value(60, after=10) == ["firing"]
    assert engine.alerts.evaluations == before


def test_a_broken_condor_that_loses_more_is_notified_again():
    engine = AlertEngine(rule("broken", "brokenCondor"), rule("whole", "not brokenCondor"))

    def broken(lost):
        about = subject({"brokenCondor": lost > 0}, lost=lost, notes={"brokenCondor": f"lost {lost}"})
        return engine.evaluate(about) + engine.evaluate(about, after=10)

    assert broken(0) == ["firing"]
    engine.log.clear()
    assert broken(1) == ["firing", "resolved"]
    engine.acknowledge(f"broken:{CONDOR}")
    assert broken(1) == []
    assert broken(2) == ["firing"]
    last = engine.log[-1].record
    assert (last.text, last.acknowledged_at, last.at_start) == ("SPY 560/570/630/640 Dec 18: lost 2.", None, False)
    assert last.serial > engine.log[0].record.serial
    assert (broken(1), broken(2)) == ([], [])
    engine.restart()
    assert broken(2) == []
    assert broken(3) == ["firing"]
    assert broken(0) == ["resolved", "firing"]


def test_a_broken_condor_that_was_silent_at_the_start_is_notified_when_it_loses_more():
    engine = AlertEngine(rule("broken", "brokenCondor"))
    engine.alerts.recall(None)
    assert engine.evaluate(subject({"brokenCondor": True}, lost=1)) == ["firing"]
    assert engine.log[-1].notify == ()
    assert engine.evaluate(subject({"brokenCondor": True}, lost=2)) == []
    assert engine.evaluate(subject({"brokenCondor": True}, lost=2), after=10) == ["firing"]
    assert engine.log[-1].notify is None


EVALUATIONS = st.lists(
    st.tuples(
        st.sampled_from([None, 40.0, 47.0, 60.0]),  # at mark
        st.sampled_from([None, 40.0, 60.0]),  # at natural
        st.sampled_from([None, 1.0, 3.0]),
        st.sampled_from([None, True, False]),
        st.sampled_from([30.0, 20.0]),
        st.sampled_from([0.0, 5.0, 30.0]),  # seconds since the evaluation before
        st.sampled_from([None, NOON_AT - DAY, NOON_AT]),  # opened
        st.sampled_from(["evaluate", "evaluate", "evaluate", "gone", "pause", "rules", "kill"]),
    ),
    max_size=12,
)


@REPEATABLE
@given(EVALUATIONS)
def test_evaluating_the_skipped_subjects_would_change_nothing(steps):
    engine, whole = AlertEngine(*RULES), AlertEngine(*RULES)
    for mark, natural, loss, is_near, days, after, opened_at, what in steps:
        values = {"lossMultipleOfCredit": loss, "nearStrike": is_near, "daysToExpiration": days, "blind": False}
        about = subject(
            {**values, "percentOfMaxProfit": mark},
            {**values, "percentOfMaxProfit": natural},
            opened_at=opened_at,
            is_watched=True,
        )
        for each in (engine, whole):
            match what:
                case "gone":
                    each.gone(CONDOR)
                case "pause":
                    each.alerts.pause(CONDOR, each.session, each.now_at)
                case "rules":
                    each.set_rules(*RULES[1:])
                    each.set_rules(*RULES)
                case "kill":
                    each.restart()
        whole.alerts._latest.clear()
        assert engine.evaluate(about, after=after) == whole.evaluate(about, after=after)
    assert [each.record for each in engine.log] == [each.record for each in whole.log]
    assert engine.stored == whole.stored
    assert engine.alerts.evaluations <= whole.alerts.evaluations


# Against a plain model.

GAP = "gap"


class Model:
    """One rule and one condor, as simple as possible: when it fires, resolves and ends.

    `level` is the last value, None if it is not known; `held` the session seconds for which it has held.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.begin()

    def begin(self):
        self.is_firing, self.held, self.level, self.is_first = False, 0.0, None, True

    def pass_time(self, seconds):
        if not self.is_firing and self.level is not None and self.level >= 50:
            self.held += seconds

    def evaluate(self, value):
        """The kinds of transitions of a value."""
        self.level = value
        if value is None:
            return []
        was_first, self.is_first = self.is_first, False
        if value < 50:
            self.held, self.was_first = 0.0, False
            if self.is_firing and value < 45:
                self.is_firing = False
                return ["resolved"]
            return []
        if self.is_firing:
            return []
        if was_first:
            self.was_first = True
        if self.held < self.seconds:
            return []
        self.is_firing, self.held = True, 0.0
        return ["firing"]

    def end(self):
        kinds = ["ended"] if self.is_firing else []
        self.begin()
        return kinds


class AlertsLikeTheModel(RuleBasedStateMachine):
    """Whatever happens, an alert fires once for each time its rule becomes true for long enough."""

    @initialize(seconds=st.sampled_from([0.0, 10.0, 60.0]), threshold=st.just(50))
    def start(self, seconds, threshold):
        self.seconds, self.threshold = seconds, threshold
        self.engine = AlertEngine(self.rule())
        self.model = Model(seconds)
        self.opened_at = None
        self.fired = 0

    def rule(self, **fields):
        return rule(
            when="percentOfMaxProfit >= 50", clear="percentOfMaxProfit < 45", for_seconds=self.seconds, **fields
        )

    def see(self, kinds, expected):
        assert kinds == expected
        if "firing" in kinds:
            assert self.engine.log[-1].record.at_start == self.model.was_first

    def value(self, value):
        values = {} if value is None else {"percentOfMaxProfit": float(value)}
        return self.engine.evaluate(subject(values, opened_at=self.opened_at))

    @step(value=st.one_of(st.none(), st.sampled_from([30, 44, 45, 49, 50, 51, 80])))
    def publish(self, value):
        self.see(self.value(value), self.model.evaluate(value))

    @step(seconds=st.sampled_from([1.0, 5.0, 10.0, 30.0, 60.0]))
    def pass_session(self, seconds):
        self.engine.pass_time(seconds)
        self.model.pass_time(seconds)

    @step(seconds=st.sampled_from([1.0, 600.0, 90_000.0]))
    def pass_closed(self, seconds):
        self.engine.pass_time(seconds, is_session=False)

    @step(after=st.sampled_from([0.0, 10.0, 90_000.0]))
    def kill(self, after):
        """What was counted since the last evaluation is lost, and nothing else: it was saved by the watch."""
        level = self.model.level
        self.see(self.value(level), self.model.evaluate(level))
        self.engine.restart(after=after)
        self.model.level = None

    @step()
    def know_the_opening(self):
        if self.opened_at is None:
            self.opened_at = NOON_AT - DAY

    @step()
    def open_again(self):
        if self.opened_at is None:
            return
        self.opened_at += DAY
        level = self.model.level
        ended = self.model.end()
        self.see(self.value(level), ended + self.model.evaluate(level))

    @step()
    def go(self):
        self.see(self.engine.gone(CONDOR), self.model.end())

    @step()
    def reload_same(self):
        self.see(self.engine.set_rules(self.rule(severity="critical")), [])

    @step()
    def reload_other(self):
        self.see(self.engine.set_rules(rule("other", "delta > 5")), self.model.end())
        self.see(self.engine.set_rules(self.rule()), [])

    @precondition(lambda self: self.model.is_firing)
    @step()
    def acknowledge(self):
        assert self.engine.acknowledge(HALF) == []

    @invariant()
    def what_is_shown_is_what_fires(self):
        if not hasattr(self, "engine"):
            return
        firing = [record.id for record in self.engine.shown() if record.state == "firing"]
        assert firing == ([HALF] if self.model.is_firing else [])
        assert self.engine.alerts.counts == type(self.engine.alerts.counts)(
            **{each.severity: 1 for each in self.engine.shown() if each.state == "firing"}
        )

    @invariant()
    def no_firing_comes_twice(self):
        if hasattr(self, "engine"):
            serials = [each.record.serial for each in self.engine.log if each.kind == "firing"]
            assert serials == sorted(set(serials))


TestAlertsLikeTheModel = AlertsLikeTheModel.TestCase
TestAlertsLikeTheModel.settings = REPEATABLE


def test_records_survive_being_stored():
    engine = AlertEngine(rule(for_seconds=5))
    engine.value(60)
    record = engine.stored[HALF]
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
