from condord.live.account import Account
from tests.live.accounts import DAY, EPOCH_AT, P560, SPY_ID, lot, spy, unreadable


def test_a_reading_is_grouped_with_the_lots_of_its_orders():
    reading = Account(0.0).offer(spy(), [lot()], {}, 0.0)
    assert [(condor.id, condor.entry_source) for condor in reading.grouping.condors] == [(SPY_ID, "orders")]


def test_the_same_account_is_grouped_once():
    account = Account(0.0)
    first = account.offer(spy(), [], {}, 0.0)
    assert account.offer(reversed(spy()), [], {}, 1.0).grouping is first.grouping
    assert account.offer(spy(), [lot()], {}, 2.0).grouping is not first.grouping


def test_what_can_be_streamed_is_that_of_the_newest_reading_held_back_or_not():
    account = Account(2.0)
    account.offer((), [], {}, 0.0)
    assert account.offer((*spy()[:1], unreadable()), [], {}, 1.0) is None
    assert account.symbols == {P560}
    assert account.deadline == 3.0
    assert [position.symbol for position in account.expire(3.0).positions] == [unreadable().symbol, P560]


def test_what_is_shown_is_followed():
    account = Account(0.0)
    for positions in (spy(), spy()[:3]):
        account.follow(account.offer(positions, [], {}, 0.0), DAY, EPOCH_AT)
    assert P560 in account.life.problems
