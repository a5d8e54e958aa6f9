"""When an account differs from the one that is shown; that the book publishes it then is in test_book.py."""

import datetime as dt

import msgspec
import pytest

from condord.core.cutoffs import CutoffSettings
from condord.core.grouping.account import Grouping, group
from condord.live.lifecycle import AccountReading, Lifecycle
from condord.live.shown_account import CondorExits, ShownAccount, shown_account
from condord.live.wire_condor import ExitsJson
from tests.live.accounts import SPY_ID, spy

DAY = dt.date(2026, 9, 1)
GROUPING = group(frozenset(spy()))


def shown(reading=None, day=DAY, cutoffs=CutoffSettings(), exits=None):  # noqa: B008 - it is frozen
    reading = reading or AccountReading(positions=tuple(spy()), grouping=GROUPING, stocks={})
    return shown_account(reading, Lifecycle(), day, cutoffs, exits or CondorExits())


def test_before_positions_are_read_nothing_is_held():
    assert ShownAccount().held is None
    assert shown().held is not None


def test_the_same_positions_in_another_order_are_the_same_account():
    turned = AccountReading(positions=tuple(reversed(spy())), grouping=GROUPING, stocks={})
    assert shown(turned) == shown()


@pytest.mark.parametrize(
    "changes",
    [{"day": DAY + dt.timedelta(1)}, {"cutoffs": CutoffSettings(order_cutoff_minutes=60)}],
    ids=["day", "cut-offs"],
)
def test_another_day_and_other_cut_offs_make_another_account(changes):
    assert shown(**changes) != shown()


def test_the_exits_of_a_condor_are_computed_again_for_other_rules_and_other_condors_only():
    asked = []

    def by_rules(condor):
        asked.append(condor.id)
        return ExitsJson(target=100.0)

    exits = CondorExits()
    assert exits.of(GROUPING) == {SPY_ID: ExitsJson()}
    exits.set_rules(by_rules)
    assert exits.of(GROUPING) == exits.of(msgspec.structs.replace(GROUPING)) == {SPY_ID: ExitsJson(target=100.0)}
    assert asked == [SPY_ID]
    assert exits.of(Grouping()) == {}
    exits.of(GROUPING)
    assert asked == [SPY_ID, SPY_ID]
