"""The past of the demo: answers of the simulator become rows of the history."""

import asyncio
import datetime as dt
import sys
import threading
import types

import msgspec
import pytest

from condord.cli import demo_past
from condord.config.schema import History
from condord.history.store import HistoryStore
from condord.live.minutes import HoldingPeriod
from tests.simulator.builders import with_simulator

OPENED_AT = dt.datetime(2026, 11, 19, 18, 39, 25, 432109, tzinfo=dt.UTC)
CONDOR = demo_past.CondorPoints(
    id="SPY-261218-705-715-770-780", opened_at=OPENED_AT, quantity=2, credit=3.32,
    seconds=[900, 1800, 86_400, 86_460], cents=[100, -500, 300, 200], natural_cents=[-900, -1500, -700, -800],
    prices=[741.35, 740.0, 742.1, 742.0],
)  # fmt: skip
LATER = demo_past.CondorPoints(
    id="QQQ-261218-620-645-645-670", opened_at=OPENED_AT, quantity=1, credit=-18.64,
    seconds=[86_460], cents=[-1000], natural_cents=[-2000], prices=[648.0],
)  # fmt: skip
PAST = demo_past.SimulatedPast(account_id="a-1", condors=[CONDOR, LATER])


class FakeStore:
    """Replaces `condord.history.store.HistoryStore`."""

    def __init__(self, path, *, machine_at, keep_days):
        self.path, self.machine_at, self.keep_days = path, machine_at, keep_days
        self.account = self.rows = None
        self.is_closed = False

    async def switch_to(self, account_key, source, today):
        self.account = account_key, source, today

    async def record(self, rows):
        self.rows = rows

    def close(self):
        self.is_closed = True


@pytest.fixture
def stores(monkeypatch):
    """Every store that is opened."""

    def open_store(path, **options):
        opened.append(FakeStore(path, **options))
        return opened[-1]

    opened = []
    monkeypatch.setitem(sys.modules, "condord.history.store", types.SimpleNamespace(HistoryStore=open_store))
    return opened


def write(directory, history=None, url="http://127.0.0.1:1"):
    with demo_past.write_past(url, str(directory), history or History()) as wait:
        wait()


def test_a_point_is_a_row_with_the_extremes_since_the_one_before():
    rows = [row for row in demo_past.rows(PAST) if row.holding and row.holding.condor_id == CONDOR.id]
    assert {row.holding for row in rows} == {HoldingPeriod(condor_id=CONDOR.id, opened_at=OPENED_AT)}
    assert [(row.second, row.low, row.cents, row.high, row.natural_cents, row.price_e4) for row in rows] == [
        (900, 100, 100, 100, -900, 7_413_500),
        (1800, -500, -500, 100, -1500, 7_400_000),
        (86_400, 300, 300, 300, -700, 7_421_000),  # of another session
        (86_460, 200, 200, 300, -800, 7_420_000),
    ]
    assert {(row.quantity, row.credit_e4, row.is_held_back) for row in rows} == {(2, 33_200, False)}


def test_the_account_has_the_sum_of_the_condors_that_were_open():
    rows = [row for row in demo_past.rows(PAST) if row.holding is None]
    assert [(row.second, row.cents, row.natural_cents, row.low, row.high) for row in rows] == [
        (900, 100, -900, 100, 100),
        (1800, -500, -1500, -500, 100),
        (86_400, 300, -700, 300, 300),
        (86_460, -800, -2800, -800, 300),
    ]
    assert {(row.price_e4, row.quantity, row.credit_e4) for row in rows} == {(None, None, None)}


def test_rows_are_in_order_and_an_account_without_condors_has_none():
    seconds = [row.second for row in demo_past.rows(PAST)]
    assert seconds == sorted(seconds)
    assert demo_past.rows(demo_past.SimulatedPast(account_id="a-1", condors=[])) == []


def test_the_past_is_written_for_the_account_of_the_simulator(monkeypatch, stores, tmp_path):
    monkeypatch.setattr(demo_past, "read", lambda _url: PAST)
    write(f"{tmp_path}:/var/lib/other", History(keep_days=30))
    (store,) = stores
    assert (store.path, store.keep_days(), store.is_closed) == (tmp_path / "history.sqlite3", 30, True)
    assert store.account[:2] == ("a-1 simulator", "simulator")
    assert store.machine_at().tzinfo is dt.UTC
    assert store.rows == demo_past.rows(PAST)


def test_nothing_is_written_without_a_directory_a_history_or_an_empty_database(monkeypatch, stores, tmp_path):
    monkeypatch.setattr(demo_past, "read", lambda _url: PAST)
    write("")
    write(tmp_path, History(enabled=False))
    (tmp_path / "history.sqlite3").touch()
    write(tmp_path)
    assert stores == []


def test_a_simulator_that_does_not_answer_is_reported_in_one_line(stores, tmp_path, capfd):
    write(tmp_path)
    assert capfd.readouterr().err.startswith("condord: the demo begins without a past: ")
    assert stores == []


def test_a_simulator_that_takes_too_long_is_not_waited_for(monkeypatch, stores, tmp_path):
    def read(_url):
        assert answers.wait(60)
        return PAST

    answers = threading.Event()
    monkeypatch.setattr(demo_past, "read", read)
    monkeypatch.setattr(demo_past, "WAIT_SECONDS", 0.01)
    write(tmp_path)
    assert stores == []
    answers.set()
    for thread in threading.enumerate():
        if thread.name == "demo-past":
            thread.join(60)
    assert len(stores) == 1


@with_simulator()
async def test_the_answer_of_the_simulator_can_be_read(simulator):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_past, "WAIT_SECONDS", 120.0)  # a busy machine that records coverage
        past = await asyncio.to_thread(demo_past.read, simulator.url)
    assert past.account_id == simulator.account.id
    assert len(past.condors) == 10
    rows = demo_past.rows(past)
    assert {row.holding.condor_id for row in rows if row.holding} == {condor.id for condor in past.condors}
    assert max(row.second for row in rows) <= simulator.simulation.started_at.timestamp()


def test_an_answer_of_another_form_is_an_error(monkeypatch, tmp_path, stores, capfd):
    def read(_url):
        return msgspec.json.decode(b"[]", type=demo_past.SimulatedPast)

    monkeypatch.setattr(demo_past, "read", read)
    write(tmp_path)
    assert "without a past: Expected `object`" in capfd.readouterr().err


def test_the_daemon_recalls_what_was_written(monkeypatch, tmp_path):
    async def recalled():
        store = HistoryStore(tmp_path / "history.sqlite3", machine_at=lambda: OPENED_AT, keep_days=lambda: 400)
        try:
            past = await store.switch_to("a-1 simulator", "simulator", dt.date(2026, 11, 30))
            holdings = [HoldingPeriod(condor_id=condor.id, opened_at=condor.opened_at) for condor in PAST.condors]
            return past, await store.extremes(holdings)
        finally:
            store.close()

    monkeypatch.setattr(demo_past, "read", lambda _url: PAST)
    write(tmp_path)
    past, extremes = asyncio.run(recalled())
    assert past.lines[CONDOR.id].cents == [300, 200]  # of the last day
    assert past.credits_e4 == {CONDOR.id: 33_200, LATER.id: -186_400}
    assert [(each.worst, each.best) for each in extremes.values()] == [(-500, 300), (-1000, -1000)]
