import datetime as dt
import typing
from contextlib import closing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.activity import Activity, ActivityKind
from condord.core.trade import DeliveredShares, How, Trade
from condord.history import evidence
from condord.history.instants import instant
from condord.history.schema import MIGRATIONS
from condord.history.writing import id_of_account
from condord.host import database
from tests.history.rows import CONDOR, OPENED_AT

CLOSED_AT = dt.datetime(2026, 11, 20, 16, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
TRADE = Trade(
    id=CONDOR,
    underlying="SPY",
    kind="ironCondor",
    direction="short",
    quantity=2,
    opened_at=OPENED_AT,
    closed_at=CLOSED_AT,
    how="closed",
    credit_e4=21_500,
    debit_e4=10_000,
    realized_e4=2_300_000,
    max_profit_e4=4_300_000,
)
ACTIVITY = Activity(id="1", kind="FILL", symbol="SPY", quantity=100, at=CLOSED_AT, day=CLOSED_AT.date())
AMOUNTS = st.none() | st.integers(-(10**12), 10**12)
INSTANTS = st.integers(1, 2**52).map(instant)
TRADES = st.builds(
    Trade,
    opened_at=st.none() | INSTANTS,
    closed_at=INSTANTS,
    how=st.sampled_from(typing.get_args(How)),
    **dict.fromkeys(("credit_e4", "debit_e4", "realized_e4", "max_profit_e4", "fees_e4"), AMOUNTS),
    quantity=st.integers(1, 1000),
    shares=st.none()
    | st.builds(DeliveredShares, symbol=st.just("SPY"), quantity=st.integers(-900, 900), price_e4=AMOUNTS),
    rolled_to=st.none() | st.just("SPY-270115-560-570-630-640"),
    id=st.just(CONDOR),
    underlying=st.just("SPY"),
    is_whole=st.booleans(),
)
ACTIVITIES = st.builds(
    Activity,
    id=st.text("0123456789:-", min_size=1),
    kind=st.sampled_from(typing.get_args(ActivityKind)),
    symbol=st.sampled_from(["", "SPY"]),
    quantity=st.integers(-(10**6), 10**6),
    at=INSTANTS,
    day=st.dates(),
    price_e6=AMOUNTS,
    amount_e4=AMOUNTS,
    order_id=st.none() | st.text(),
    execution_id=st.none() | st.just("x"),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with closing(database.open_writer(tmp_path_factory.mktemp("state") / "history.sqlite3", MIGRATIONS)) as connection:
        yield connection


@pytest.fixture
def connection(opened):
    for table in ("trades", "activities", "accounts"):
        opened.execute(f"DELETE FROM {table}")  # noqa: S608
    assert id_of_account(opened, "hash", "simulator") == 1
    assert id_of_account(opened, "other", "simulator") == 2
    return opened


def changed(**changes):
    return msgspec.structs.replace(TRADE, **changes)


@given(trade=TRADES)
def test_a_trade_is_read_as_it_was_stored(opened, trade):
    opened.execute("DELETE FROM trades")
    id_of_account(opened, "hash", "simulator")
    evidence.save_trades(opened, 1, [trade])
    assert evidence.load_trades(opened, "hash") == (trade,)


@given(activity=ACTIVITIES)
def test_an_activity_is_read_as_it_was_stored(opened, activity):
    opened.execute("DELETE FROM activities")
    id_of_account(opened, "hash", "simulator")
    evidence.add_activities(opened, 1, [activity, activity], None)
    assert evidence.load_activities(opened, "hash")[0] == (activity,)


def test_activities_are_oldest_first_and_may_have_one_id_but_different_kinds_and_symbols(connection):
    older = msgspec.structs.replace(ACTIVITY, id="2", at=CLOSED_AT - DAY)
    other = msgspec.structs.replace(ACTIVITY, kind="OPTRD")
    evidence.add_activities(connection, 1, [ACTIVITY, other, older], CLOSED_AT)
    found, complete_from = evidence.load_activities(connection, "hash")
    assert found[0] == older
    assert set(found) == {ACTIVITY, other, older}
    assert complete_from == CLOSED_AT


def test_activities_replace_those_of_the_same_id_and_accounts_do_not_mix(connection):
    evidence.add_activities(connection, 1, [ACTIVITY], None)
    replaced = msgspec.structs.replace(ACTIVITY, quantity=1)
    evidence.add_activities(connection, 1, [replaced], None)
    assert evidence.load_activities(connection, "hash") == ((replaced,), None)
    assert evidence.load_activities(connection, "other") == ((), None)
    assert evidence.load_activities(connection, "unknown") == ((), None)


def test_trades_are_newest_first_and_accounts_do_not_mix(connection):
    trades = [changed(closed_at=CLOSED_AT + DAY), TRADE, changed(opened_at=None, closed_at=CLOSED_AT - DAY)]
    evidence.save_trades(connection, 1, trades[::-1])
    assert evidence.load_trades(connection, "hash") == tuple(trades)
    assert evidence.load_trades(connection, "other") == ()


def test_a_trade_that_the_evidence_withdraws_is_removed_unless_it_is_older_than_the_evidence(connection):
    older = changed(closed_at=CLOSED_AT - 3 * DAY)
    evidence.save_trades(connection, 1, [older, TRADE])
    evidence.save_trades(connection, 2, [TRADE])
    evidence.add_activities(connection, 1, [], CLOSED_AT - DAY)
    corrected = changed(opened_at=OPENED_AT + DAY, quantity=1)
    evidence.save_trades(connection, 1, [corrected])
    assert evidence.load_trades(connection, "hash") == (corrected, older)
    assert evidence.load_trades(connection, "other") == (TRADE,)


def test_before_activities_are_read_trades_are_removed_from_the_oldest_given_one_on(connection):
    older = changed(closed_at=CLOSED_AT - 3 * DAY)
    evidence.save_trades(connection, 1, [older, changed(opened_at=None)])
    evidence.save_trades(connection, 1, [])
    evidence.save_trades(connection, 1, [TRADE])
    assert evidence.load_trades(connection, "hash") == (TRADE, older)
