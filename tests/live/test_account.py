import datetime as dt

import pytest
from msgspec.structs import replace

from condord.core.calendar import Calendar
from condord.core.filled_orders import Order
from condord.core.market_hours import hours_of
from condord.live.account import AccountState
from tests.live.accounts import C650, DAY, EPOCH_AT, P560, P570, SPY_ID, lot, position, qqq, spy, unreadable

NOON = dt.datetime(2026, 12, 18, 17, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
LAST_TRADE = dt.datetime(2026, 12, 18, 21, 15, tzinfo=dt.UTC)


@pytest.fixture
def account():
    return AccountState(0.0)


def test_a_reading_is_grouped_with_the_lots_of_its_orders():
    reading = AccountState(0.0).offer(spy(), [lot()], {}, 0.0)
    assert [(condor.id, condor.entry_source) for condor in reading.grouping.condors] == [(SPY_ID, "orders")]


def test_a_reading_carries_the_orders_that_were_known_with_it(account):
    orders = [Order(id=name, filled_at=EPOCH_AT, fills=()) for name in "ab"]
    assert account.offer(spy(), [lot()], {}, 0.0).orders == ()
    assert account.offer(spy(), [lot()], {}, 1.0, orders).orders == tuple(orders)


def test_the_same_account_is_grouped_once(account):
    first = account.offer(spy(), [], {}, 0.0)
    assert account.offer(reversed(spy()), [], {}, 1.0).grouping is first.grouping
    assert account.offer(spy(), [lot()], {}, 2.0).grouping is not first.grouping


def test_the_newest_reading_gives_the_symbols_to_stream_even_if_it_is_held_back():
    account = AccountState(2.0)
    account.offer((), [], {}, 0.0)
    assert account.offer((*spy()[:1], unreadable()), [], {}, 1.0) is None
    assert account.symbols == {P560}
    assert account.deadline == 3.0
    assert [position.symbol for position in account.expire(3.0).positions] == [unreadable().symbol, P560]


def test_a_reading_shown_is_compared_with_the_one_before(account):
    for positions in (spy(), spy()[:3]):
        account.follow(account.offer(positions, [], {}, 0.0), DAY, EPOCH_AT)
    assert P560 in account.lifecycle.problems


def shown(account, positions, now_at, stocks=None):
    """The reading that is shown at `now_at`."""
    return account.follow(account.offer(positions, [], stocks or {}, 0.0), now_at.date(), now_at)


def test_a_short_call_is_covered_by_the_shares_of_the_reading():
    reading = shown(AccountState(0.0), [*spy(), position(C650, -1)], EPOCH_AT, {"SPY": 100})
    (call,) = reading.grouping.unmatched
    assert (call.uncovered_short, call.cover) == (False, "shares")
    assert [pair.long for pair in reading.grouping.pairs] == [None]


def test_settled_contracts_are_marked_and_need_no_cover():
    for now_at, is_settled in ((LAST_TRADE - SECOND, False), (LAST_TRADE, True)):
        reading = shown(AccountState(0.0), [position(P570, -1)], now_at)
        assert reading.settled == (frozenset({P570}) if is_settled else frozenset())
        assert [left.uncovered_short for left in reading.grouping.unmatched] == [not is_settled]


def test_an_early_close_settles_at_a_quarter_past_one(account):
    early = Calendar({NOON.date(): hours_of(NOON.date(), dt.time(9, 30), dt.time(13))})
    account.set_calendar(early)
    reading = shown(account, [position(P570, -1)], NOON + dt.timedelta(minutes=75))
    assert (reading.settled, reading.calendar) == (frozenset({P570}), early)


def test_before_the_first_reading_time_changes_nothing():
    assert AccountState(0.0).outdated(NOON) is None


@pytest.mark.parametrize(
    ("now_at", "has_turned"),
    [
        (NOON, False),
        (LAST_TRADE - 3600 * SECOND - SECOND, False),
        (LAST_TRADE - 3600 * SECOND, True),  # the liquidation, and then the cut-off for orders
        (LAST_TRADE - 2700 * SECOND, True),
        (LAST_TRADE, True),
        (NOON + dt.timedelta(hours=12), True),
        (dt.datetime(2026, 12, 18, 5, tzinfo=dt.UTC), False),
        (dt.datetime(2026, 12, 18, 4, 59, 59, tzinfo=dt.UTC), True),  # the clock was set back to yesterday
    ],
)
def test_a_new_day_a_cut_off_and_a_settlement_change_the_meaning_of_a_reading(account, now_at, has_turned):
    shown(account, spy(), NOON)
    outdated = account.outdated(now_at)
    assert (outdated is not None) == has_turned
    if outdated is not None:
        account.follow(outdated, now_at.date(), now_at)
        assert account.outdated(now_at) is None


def test_another_calendar_changes_the_meaning_of_a_reading(account):
    shown(account, spy(), NOON)
    account.set_calendar(Calendar({NOON.date(): hours_of(NOON.date(), dt.time(9, 30), dt.time(16))}))
    assert account.outdated(NOON) is not None


def test_the_last_reading_of_another_account_is_not_followed_again(account):
    account.follow(account.offer(spy(), [], {}, 0.0), DAY, EPOCH_AT)
    account.recall_memory(None)
    assert account.outdated(EPOCH_AT + dt.timedelta(days=1)) is None
    assert account.lifecycle.memory.shown is None


def second(quantity=2):
    """A lot younger than `lot`."""
    later = EPOCH_AT + dt.timedelta(minutes=1)
    return replace(lot(quantity), id="second", since_at=later, opened_at=later)


def ids(reading):
    return [condor.id for condor in reading.grouping.condors]


def test_a_condor_keeps_its_id_from_reading_to_reading(account):
    account.offer(spy(4), [lot(), second()], {}, 0.0)
    assert ids(account.offer(spy(2), [second()], {}, 1.0)) == [f"{SPY_ID}-2"]


def test_names_of_an_earlier_run_apply_from_the_next_reading_even_if_nothing_else_changed(account):
    before = AccountState(0.0)
    before.offer(spy(4), [lot(), second()], {}, 0.0)
    assert ids(account.offer(spy(2), [second()], {}, 0.0)) == [SPY_ID]
    account.recall(before.names)
    assert ids(account.offer(spy(2), [second()], {}, 1.0)) == [f"{SPY_ID}-2"]


def test_names_given_since_remain_unless_an_earlier_run_had_others(account):
    account.offer((*spy(), *qqq()), [], {}, 0.0)
    names = dict(account.names)
    account.recall({key: name for key, name in names.items() if name.base == SPY_ID})
    assert account.names == names


def test_another_account_does_not_inherit_names(account):
    account.offer(spy(4), [lot(), second()], {}, 0.0)
    account.forget_names()
    assert ids(account.offer(spy(2), [second()], {}, 1.0)) == [SPY_ID]


def test_a_grouping_started_before_names_were_recalled_is_repeated(account):
    before = AccountState(0.0)
    before.offer(spy(4), [lot(), second()], {}, 0.0)
    wanted = account.regrouping(spy(2), [second()])
    account.recall(before.names)
    account.learn(wanted, wanted.run())
    again = account.regrouping(spy(2), [second()])
    account.learn(again, again.run())
    assert account.regrouping(spy(2), [second()]) is None
    assert ids(account.offer(spy(2), [second()], {}, 1.0)) == [f"{SPY_ID}-2"]


def test_the_notice_of_the_last_day_changes_at_each_cut_off(account):
    shown(account, spy(), NOON)
    texts = []
    for minutes in (61, 60, 45):
        now_at = LAST_TRADE - dt.timedelta(minutes=minutes)
        if (outdated := account.outdated(now_at)) is not None:
            account.follow(outdated, now_at.date(), now_at)
        (notice,) = account.lifecycle.notices
        texts.append(notice.text.partition("Alpaca ")[2].partition(", and")[0])
    assert texts == [
        "takes orders until 15:30 and may liquidate from 15:15",
        "takes orders until 15:30 and may liquidate at any time",
        "has taken no orders since 15:30 and may liquidate at any time",
    ]
