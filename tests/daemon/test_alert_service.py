import asyncio
import datetime as dt
import logging

import pytest

from condord.core.rules.rule import Rule
from condord.daemon.alert_service import ACKNOWLEDGE_SECONDS, NOTHING, STOP_SECONDS, AlertService
from condord.errors import Unavailable
from condord.live.alert_records import Transition
from condord.live.alerts import AlertChanges
from tests import virtualtime
from tests.fakes.alert_parts import CHANNEL, FakeAlerts, FakeDelivery, FakeStore, FakeWatch, firing, record
from tests.fakes.history_store import FakeFault

NOW_AT = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)


class Harness:
    """A service whose task runs while the context is open."""

    def __init__(self):
        self.alerts, self.watch = FakeAlerts(), FakeWatch()
        self.store = FakeStore()
        self.delivery = FakeDelivery(self.store)
        self.shown = []
        self.service = AlertService(
            alerts=self.alerts, watch=self.watch, store=self.store, delivery=self.delivery, now_at=lambda: NOW_AT
        )
        self.service.show = self._show

    def _show(self, changes):
        """Pass every shown change on to be stored, as the publisher does."""
        self.shown.append(changes)
        if changes.records:
            self.service.take(changes)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.service.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])

    async def begin(self, account="one"):
        """The account is known, its alerts are recalled, and its orders are read."""
        before = len(self.alerts.recalled)
        self.service.note_account(account)
        await virtualtime.until(lambda: len(self.alerts.recalled) > before)
        self.service.note_orders()

    def evaluate(self):
        return self.service.evaluate(0.0, NOW_AT)

    @property
    def stored(self):
        """The ids of the records of each transaction."""
        return [[each.id for each in changes.records] for changes, _ in self.delivery.added]


@pytest.fixture
def run():
    """Runs a test in virtual time."""
    return virtualtime.run


def test_nothing_is_evaluated_before_the_alerts_are_recalled_and_a_reading_of_orders_was_tried(run):
    async def scenario():
        async with Harness() as harness:
            assert (harness.evaluate(), harness.service.deadline) == (NOTHING, None)
            harness.store.can_read.clear()
            harness.service.note_orders()
            harness.service.note_account("one")
            await virtualtime.settle()
            assert (harness.evaluate(), harness.service.deadline) == (NOTHING, None)
            harness.store.can_read.set()
            await virtualtime.until(lambda: harness.alerts.recalled)
            assert (harness.evaluate(), harness.service.deadline, harness.watch.has_orders) == (
                harness.watch.changes,
                7.0,
                True,
            )

    run(scenario())


def test_until_a_reading_of_orders_was_tried_nothing_is_evaluated(run):
    async def scenario():
        async with Harness() as harness:
            harness.service.note_account("one")
            await virtualtime.until(lambda: harness.alerts.recalled)
            assert harness.evaluate() == NOTHING
            harness.service.note_orders()
            assert harness.evaluate() == harness.watch.changes

    run(scenario())


@pytest.mark.parametrize("stored", [(), None, (record(),)])
def test_stored_alerts_of_the_account_are_recalled_and_published(run, stored):
    async def scenario():
        async with Harness() as harness:
            harness.store.accounts["one"] = stored
            await harness.begin()
            assert (harness.alerts.recalled, harness.shown) == ([stored], [NOTHING])
            assert harness.service.alerts.shown(NOW_AT) == list(stored or ())

    run(scenario())


def test_another_key_of_the_same_account_continues_from_memory(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.service.forget()
            assert harness.evaluate() == NOTHING
            harness.service.note_account("one")
            assert harness.evaluate() == NOTHING
            harness.service.note_orders()
            assert harness.evaluate() == harness.watch.changes
            assert (harness.store.switched, harness.watch.switches) == (["one"], 1)

    run(scenario())


def test_another_account_has_its_own_alerts_and_waiting_changes_are_stored_before(run):
    async def scenario():
        async with Harness() as harness:
            harness.store.accounts = {"two": (record("tested:QQQ-1"),)}
            await harness.begin()
            harness.service.take(firing())
            harness.service.forget()
            await harness.begin("two")
            assert harness.stored == [["breached:SPY-1"]]
            assert harness.alerts.recalled == [(), (), harness.store.accounts["two"]]
            harness.service.forget()
            await harness.begin("one")
            assert harness.store.switched == ["one", "two", "one"]

    run(scenario())


def test_while_another_account_is_read_the_alerts_of_the_previous_one_are_not_shown(run):
    async def scenario():
        async with Harness() as harness:
            harness.store.accounts["one"] = (record(),)
            await harness.begin()
            harness.store.can_read.clear()
            harness.service.forget()
            harness.service.note_account("two")
            await virtualtime.settle()
            assert (harness.alerts.records, harness.shown, harness.evaluate()) == ((), [NOTHING] * 2, NOTHING)

    run(scenario())


def test_an_account_that_is_switched_while_it_is_read_is_not_recalled(run):
    async def scenario():
        async with Harness() as harness:
            harness.store.accounts = {"one": (record(),), "two": ()}
            harness.store.can_read.clear()
            harness.service.note_account("one")
            await virtualtime.settle()
            harness.service.forget()
            harness.service.note_account("two")
            harness.store.can_read.set()
            await virtualtime.until(lambda: harness.alerts.recalled)
            assert (harness.store.switched, harness.alerts.recalled) == (["one", "two"], [()])

    run(scenario())


def test_changes_are_stored_together_with_their_documents(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            for identity in ("breached:SPY-1", "tested:SPY-1"):
                harness.service.take(firing(identity))
            await virtualtime.until(lambda: harness.delivery.added)
            ((changes, documents),) = harness.delivery.added
            assert [each.record.id for each in changes.transitions] == ["breached:SPY-1", "tested:SPY-1"]
            assert [each.id for each in changes.records] == [each.id for each in documents]

    run(scenario())


def test_only_the_last_state_of_a_record_is_stored_if_it_changes_before(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            over = record(state="resolved", until=NOW_AT, last="resolved")
            harness.service.take(firing())
            transition = Transition(kind="resolved", record=over, notify=None)
            harness.service.take(AlertChanges(transitions=(transition,), records=(over,)))
            await virtualtime.until(lambda: harness.delivery.added)
            ((changes, documents),) = harness.delivery.added
            assert changes.records == (over,)
            assert [each.state for each in documents] == ["firing", "resolved"]

    run(scenario())


def test_a_stop_stores_waiting_changes_and_ends_the_evaluation(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.service.take(firing())
            await harness.service.finish()
            assert harness.stored == [["breached:SPY-1"]]
            assert harness.evaluate() == NOTHING

    run(scenario())


def test_a_disk_that_hangs_delays_a_stop_for_a_second_at_most(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.delivery.can_write.clear()
            harness.service.take(firing())
            began = asyncio.get_running_loop().time()
            await harness.service.finish()
            assert asyncio.get_running_loop().time() - began == STOP_SECONDS

    run(scenario())


def test_a_stop_before_the_account_is_known_stores_nothing(run):
    async def scenario():
        async with Harness() as harness:
            await harness.service.finish()
            assert harness.stored == []

    run(scenario())


def test_other_rules_apply_at_once_and_alerts_that_end_by_them_are_published(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.alerts.ended = firing()
            rules = (Rule(name="tested", when=()),)
            harness.service.set_rules(rules)
            assert (harness.alerts.rules, harness.shown[-1]) == (rules, harness.alerts.ended)

    run(scenario())


def test_an_acknowledgement_is_published_and_stored(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            seen = AlertChanges(transitions=(), records=(record(acknowledged_at=NOW_AT),))
            harness.alerts.acknowledged["breached:SPY-1"] = seen
            assert not await harness.service.acknowledge("stop-loss:SPY-1")
            assert await harness.service.acknowledge("breached:SPY-1")
            await virtualtime.until(lambda: harness.delivery.added)
            assert (harness.shown[-1], harness.delivery.added) == (seen, [(seen, [])])

    run(scenario())


def acknowledging(harness):
    """Begin to acknowledge an alert as an ingester whose alerts are copied to others."""
    harness.store.is_copied = True
    harness.alerts.acknowledged["breached:SPY-1"] = AlertChanges(records=(record(acknowledged_at=NOW_AT),))
    return asyncio.create_task(harness.service.acknowledge("breached:SPY-1"))


def test_a_daemon_on_its_own_acknowledges_without_waiting_for_the_disk(run):
    async def scenario():
        async with Harness() as harness:
            harness.delivery.can_write.clear()
            harness.alerts.acknowledged["breached:SPY-1"] = AlertChanges(records=(record(acknowledged_at=NOW_AT),))
            await harness.begin()
            began = asyncio.get_running_loop().time()
            assert await harness.service.acknowledge("breached:SPY-1")
            assert asyncio.get_running_loop().time() == began

    run(scenario())


def test_an_acknowledgement_returns_once_another_ingester_would_know_of_it(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.delivery.is_kept = True
            harness.delivery.can_write.clear()
            acknowledgement = acknowledging(harness)
            await asyncio.sleep(1)
            assert (harness.stored, acknowledgement.done()) == ([["breached:SPY-1"]], False)
            harness.delivery.can_write.set()
            assert await acknowledgement

    run(scenario())


def test_an_acknowledgement_waits_for_its_own_copy_not_for_one_under_way(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.delivery.is_kept = True
            harness.delivery.can_write.clear()
            harness.service.take(firing("earlier:SPY-1"))
            await virtualtime.until(lambda: harness.delivery.added)
            acknowledgement = acknowledging(harness)
            await asyncio.sleep(1)
            assert harness.stored == [["earlier:SPY-1"]]
            harness.delivery.can_write.set()
            assert await acknowledgement
            assert harness.stored == [["earlier:SPY-1"], ["breached:SPY-1"]]

    run(scenario())


def test_an_acknowledgement_that_no_other_ingester_would_know_of_is_an_error(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            acknowledgement = acknowledging(harness)
            with pytest.raises(Unavailable, match="the next leader may not know of it"):
                await acknowledgement

    run(scenario())


def test_a_second_acknowledgement_changes_nothing_and_waits_too(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            acknowledgement = acknowledging(harness)
            await asyncio.wait([acknowledgement])
            harness.alerts.acknowledged["breached:SPY-1"] = NOTHING
            with pytest.raises(Unavailable):
                await harness.service.acknowledge("breached:SPY-1")
            harness.delivery.is_kept = True
            assert await harness.service.acknowledge("breached:SPY-1")
            assert harness.stored == [["breached:SPY-1"], [], []]

    run(scenario())


def test_an_acknowledgement_waits_for_a_limited_time(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.delivery.is_kept = True
            harness.delivery.can_write.clear()
            acknowledgement = acknowledging(harness)
            began = asyncio.get_running_loop().time()
            await asyncio.wait([acknowledgement])
            assert asyncio.get_running_loop().time() - began == pytest.approx(ACKNOWLEDGE_SECONDS)
            harness.delivery.can_write.set()
            await virtualtime.settle()
            assert await harness.service.acknowledge("breached:SPY-1")
            with pytest.raises(Unavailable):
                await acknowledgement

    run(scenario())


def test_channels_are_set_and_named(run):
    async def scenario():
        harness = Harness()
        harness.service.set_channels(["a channel"])
        assert harness.delivery.set == ["a channel"]
        assert harness.service.answer().channels == [CHANNEL]

    run(scenario())


def test_the_answer_has_all_alerts_except_pending_ones(run):
    async def scenario():
        harness = Harness()
        harness.alerts.records = (
            record("tested:SPY-1", state="pending"),
            record("breached:SPY-1", state="resolved", until=NOW_AT, last="resolved"),
            record("stop-loss:SPY-1"),
        )
        answer = harness.service.answer()
        assert (answer.as_of, answer.rules) == (NOW_AT, [])
        assert [alert.id for alert in answer.alerts] == ["stop-loss:SPY-1", "breached:SPY-1"]

    run(scenario())


def test_alerts_are_counted_by_rule_and_state(run):
    async def scenario():
        harness = Harness()
        harness.service.set_rules((Rule(name="tested", when=()), Rule(name="half", when=(), enabled=False)))
        harness.alerts.records = (record(), record("breached:SPY-2"))
        assert harness.service.counts == {
            ("tested", "pending"): 0,
            ("tested", "firing"): 0,
            ("breached", "firing"): 2,
        }
        assert harness.service.evaluations == 5

    run(scenario())


def test_each_transition_is_logged_once_without_its_sentence(run, caplog):
    async def scenario():
        async with Harness() as harness:
            with caplog.at_level(logging.INFO):
                harness.service.take(firing())
                harness.service.take(firing("days-left:SPY-1", severity="info"))
                harness.service.take(AlertChanges(transitions=(), records=(record(),)))

    run(scenario())
    lines = [(line.levelname, line.message, line.fields) for line in caplog.records]
    assert lines == [
        ("INFO", "Alert fires", {"id": "breached:SPY-1", "severity": "critical"}),
        ("INFO", "Alert fires", {"id": "days-left:SPY-1", "severity": "info"}),
    ]


def test_a_database_that_cannot_be_used_causes_a_notice(run):
    async def scenario():
        harness = Harness()
        assert harness.service.notices() == []
        harness.store.fault = FakeFault(text="Alerts are not stored: the disk is full", since=NOW_AT)
        (notice,) = harness.service.notices()
        assert (notice.code, notice.text, notice.since) == ("alertsNotStored", harness.store.fault.text, NOW_AT)
        harness.service.close()
        assert harness.store.is_closed

    run(scenario())
