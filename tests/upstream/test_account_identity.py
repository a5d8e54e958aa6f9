"""Which account the key belongs to, and what is kept of the account over restarts and changes of the key."""

import asyncio

import pytest

from condord.core.lots import lots
from condord.core.naming import CondorName
from condord.errors import ConfigError
from condord.upstream.account_identity import ACCOUNT_WAIT_SECONDS, NAMES_SECONDS, AccountIdentity
from condord.upstream.account_memory import AccountMemory
from condord.upstream.interfaces import OrderPage
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from tests.fakes.alpaca import OUTAGE, FakeBrokerage, FakeSink, wall
from tests.upstream.test_order_history import CONDOR_ORDER
from tests.virtualtime import run

NAMES = {"one": CondorName(base="SPY-1-2-3-4", number=2, lot="a", quantity=1, symbols=("A", "B", "C", "D"))}


class Bench:
    """An account identity with a fake brokerage and sink, and its files in the directory `path`."""

    def __init__(self, path, source="alpaca-paper"):
        self.brokerage = FakeBrokerage()
        self.brokerage.pages = lambda after: OrderPage(
            orders=(CONDOR_ORDER,), newest_at=None, open_since=None, is_full=False
        )
        self.sink = FakeSink()
        self.store = Store(path)
        self.learned = 0
        memory = AccountMemory(brokerage=self.brokerage, sink=self.sink, now_at=wall, learned=self._count)
        self.identity = AccountIdentity(
            brokerage=self.brokerage,
            sink=self.sink,
            memory=memory,
            store=self.store,
            source=source,
            now_at=wall,
            learned=self._count,
            keep_days=lambda: 400,
        )

    def _count(self):
        self.learned += 1

    @property
    def lots(self):
        return [lot.id for lot in lots(self.identity.known.orders.history.orders)]

    async def read_all(self):
        """Read the account, then its orders."""
        await self.identity.read()
        await self.identity.known.orders.read()

    async def save_names(self, names=NAMES):
        """Set the sink's names and wait until they are saved."""
        self.sink.names = dict(names)
        task = asyncio.ensure_future(self.identity.save_names())
        await asyncio.sleep(2.5 * NAMES_SECONDS)
        task.cancel()
        await asyncio.wait([task])


def play(path, test, **options):
    async def whole():
        bench = Bench(path, **options)
        try:
            await test(bench)
        finally:
            bench.store.close()

    run(whole())


def files(path):
    return sorted(file.name for file in path.iterdir())


async def fill(bench):
    await bench.read_all()
    await bench.save_names()


def test_orders_and_names_of_an_account_are_loaded_as_soon_as_its_id_is_read(tmp_path):
    async def again(bench):
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == (["one"], NAMES)

    play(tmp_path, fill)
    play(tmp_path, again)


def test_another_account_or_environment_loads_nothing_of_this_one(tmp_path):
    async def other(bench):
        bench.brokerage.account = "account-two"
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == ([], {})

    async def live(bench):
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == ([], {})

    play(tmp_path, fill)
    play(tmp_path, other)
    play(tmp_path, live, source="alpaca-live")


def test_the_id_of_the_account_is_in_no_file_and_no_file_name(tmp_path):
    play(tmp_path, fill)
    assert len(files(tmp_path)) == 2
    assert not any("account-one" in path.name + path.read_text() for path in tmp_path.iterdir())


def test_while_the_account_cannot_be_read_nothing_is_loaded_or_saved(tmp_path):
    async def unread(bench):
        bench.brokerage.failures["account"] = OUTAGE
        with pytest.raises(RestFault):
            await bench.identity.read()
        before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
        await bench.save_names({})
        assert bench.lots == []
        await bench.identity.known.orders.read()
        assert bench.lots == ["one"]
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before

    play(tmp_path, fill)
    play(tmp_path, unread)


def test_orders_read_before_the_account_id_are_saved_once_it_is_known(tmp_path):
    async def late(bench):
        await bench.identity.known.orders.read()
        assert files(tmp_path) == []
        await bench.identity.read()
        assert len(files(tmp_path)) == 1

    async def again(bench):
        await bench.identity.read()
        assert bench.lots == ["one"]

    play(tmp_path, late)
    play(tmp_path, again)


def test_the_account_is_noted_each_time_it_becomes_known(tmp_path):
    async def test(bench):
        await bench.identity.read()
        bench.identity.invalidate()
        await bench.identity.read()
        assert bench.sink.accounts == ["account-one alpaca-paper"] * 2

    play(tmp_path, test)


def test_the_account_id_is_requested_once(tmp_path):
    async def test(bench):
        await bench.identity.read()
        await bench.identity.read()
        assert len(bench.brokerage.times("account")) == 1

    play(tmp_path, test)


def test_another_key_of_the_same_account_keeps_orders_and_names(tmp_path):
    async def test(bench):
        await fill(bench)
        bench.identity.invalidate()
        assert (bench.lots, bench.sink.names) == ([], {})
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == (["one"], NAMES)
        await bench.identity.known.orders.read()
        assert len(bench.brokerage.times("orders")) == 2

    play(tmp_path, test)
    play(None, test)


def test_a_key_of_another_account_drops_orders_and_names(tmp_path):
    async def test(bench):
        await fill(bench)
        bench.brokerage.account = "account-two"
        bench.identity.invalidate()
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == ([], {})
        bench.brokerage.account = "account-one"
        bench.identity.invalidate()
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == (["one"], NAMES)

    play(tmp_path, test)


def test_two_changes_of_the_key_in_a_row_keep_orders_and_names(tmp_path):
    async def test(bench):
        await fill(bench)
        bench.identity.invalidate()
        bench.identity.invalidate()
        await bench.identity.read()
        assert (bench.lots, bench.sink.names) == (["one"], NAMES)

    play(None, test)


def test_orders_that_arrive_after_a_change_of_the_key_are_dropped(tmp_path):
    async def test(bench):
        await bench.identity.read()
        bench.brokerage.delay = 1.0
        reading = asyncio.ensure_future(bench.identity.known.orders.read())
        before = bench.identity.known.orders.history
        await asyncio.sleep(0.5)
        bench.identity.invalidate()
        await reading
        assert before.orders == ()
        assert files(tmp_path) == []

    play(tmp_path, test)


def test_an_account_id_requested_with_the_last_key_is_dropped(tmp_path):
    async def test(bench):
        bench.brokerage.delay = 1.0
        reading = asyncio.ensure_future(bench.identity.read())
        await asyncio.sleep(0.5)
        bench.brokerage.account = "account-two"
        bench.identity.invalidate()
        await reading
        assert bench.identity.known.key is None
        await bench.identity.read()
        assert bench.identity.known.key == "account-two alpaca-paper"

    play(tmp_path, test)


def test_other_polls_wait_for_the_account_for_a_limited_time():
    async def test(bench):
        loop = asyncio.get_running_loop()
        started = loop.time()
        await bench.identity.wait()
        assert loop.time() - started == pytest.approx(ACCOUNT_WAIT_SECONDS)
        bench.brokerage.delay = 1.0
        reading = asyncio.ensure_future(bench.identity.read())
        await bench.identity.wait()
        assert loop.time() - started == pytest.approx(ACCOUNT_WAIT_SECONDS + 1.0)
        await reading

    play(None, test)


def test_other_polls_do_not_wait_once_reading_the_account_has_failed():
    async def test(bench):
        bench.brokerage.failures["account"] = OUTAGE
        with pytest.raises(RestFault):
            await bench.identity.read()
        started = asyncio.get_running_loop().time()
        await bench.identity.wait()
        assert asyncio.get_running_loop().time() == started

    play(None, test)


def test_an_account_that_must_not_be_read_is_an_error_and_other_polls_still_wait(tmp_path):
    def refuse(_account_key):
        raise ConfigError(["another account"])

    async def test(bench):
        bench.sink.note_account = refuse
        waiting = asyncio.create_task(bench.identity.wait())
        with pytest.raises(ConfigError):
            await bench.identity.read()
        await asyncio.sleep(ACCOUNT_WAIT_SECONDS / 2)
        assert not waiting.done()
        assert bench.identity.known.store is None
        await waiting

    play(tmp_path, test)
