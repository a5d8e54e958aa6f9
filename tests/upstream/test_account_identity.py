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


class Harness:
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


def run_scenario(path, test, **options):
    async def main():
        harness = Harness(path, **options)
        try:
            await test(harness)
        finally:
            harness.store.close()

    run(main())


def files(path):
    return sorted(file.name for file in path.iterdir())


async def fill(harness):
    await harness.read_all()
    await harness.save_names()


def test_orders_and_names_of_an_account_are_loaded_as_soon_as_its_id_is_read(tmp_path):
    async def again(harness):
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == (["one"], NAMES)

    run_scenario(tmp_path, fill)
    run_scenario(tmp_path, again)


def test_another_account_or_environment_loads_nothing_of_this_one(tmp_path):
    async def other(harness):
        harness.brokerage.account = "account-two"
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == ([], {})

    async def live(harness):
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == ([], {})

    run_scenario(tmp_path, fill)
    run_scenario(tmp_path, other)
    run_scenario(tmp_path, live, source="alpaca-live")


def test_the_id_of_the_account_is_in_no_file_and_no_file_name(tmp_path):
    run_scenario(tmp_path, fill)
    assert len(files(tmp_path)) == 2
    assert not any("account-one" in path.name + path.read_text() for path in tmp_path.iterdir())


def test_while_the_account_cannot_be_read_nothing_is_loaded_or_saved(tmp_path):
    async def unread(harness):
        harness.brokerage.failures["account"] = OUTAGE
        with pytest.raises(RestFault):
            await harness.identity.read()
        before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
        await harness.save_names({})
        assert harness.lots == []
        await harness.identity.known.orders.read()
        assert harness.lots == ["one"]
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before

    run_scenario(tmp_path, fill)
    run_scenario(tmp_path, unread)


def test_orders_read_before_the_account_id_are_saved_once_it_is_known(tmp_path):
    async def late(harness):
        await harness.identity.known.orders.read()
        assert files(tmp_path) == []
        await harness.identity.read()
        assert len(files(tmp_path)) == 1

    async def again(harness):
        await harness.identity.read()
        assert harness.lots == ["one"]

    run_scenario(tmp_path, late)
    run_scenario(tmp_path, again)


def test_the_account_is_noted_each_time_it_becomes_known(tmp_path):
    async def test(harness):
        await harness.identity.read()
        harness.identity.invalidate()
        await harness.identity.read()
        assert harness.sink.accounts == ["account-one alpaca-paper"] * 2

    run_scenario(tmp_path, test)


def test_the_account_id_is_requested_once(tmp_path):
    async def test(harness):
        await harness.identity.read()
        await harness.identity.read()
        assert len(harness.brokerage.times("account")) == 1

    run_scenario(tmp_path, test)


def test_another_key_of_the_same_account_keeps_orders_and_names(tmp_path):
    async def test(harness):
        await fill(harness)
        harness.identity.invalidate()
        assert (harness.lots, harness.sink.names) == ([], {})
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == (["one"], NAMES)
        await harness.identity.known.orders.read()
        assert len(harness.brokerage.times("orders")) == 2

    run_scenario(tmp_path, test)
    run_scenario(None, test)


def test_a_key_of_another_account_drops_orders_and_names(tmp_path):
    async def test(harness):
        await fill(harness)
        harness.brokerage.account = "account-two"
        harness.identity.invalidate()
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == ([], {})
        harness.brokerage.account = "account-one"
        harness.identity.invalidate()
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == (["one"], NAMES)

    run_scenario(tmp_path, test)


def test_two_changes_of_the_key_in_a_row_keep_orders_and_names(tmp_path):
    async def test(harness):
        await fill(harness)
        harness.identity.invalidate()
        harness.identity.invalidate()
        await harness.identity.read()
        assert (harness.lots, harness.sink.names) == (["one"], NAMES)

    run_scenario(None, test)


def test_orders_that_arrive_after_a_change_of_the_key_are_dropped(tmp_path):
    async def test(harness):
        await harness.identity.read()
        harness.brokerage.delay = 1.0
        reading = asyncio.ensure_future(harness.identity.known.orders.read())
        before = harness.identity.known.orders.history
        await asyncio.sleep(0.5)
        harness.identity.invalidate()
        await reading
        assert before.orders == ()
        assert files(tmp_path) == []

    run_scenario(tmp_path, test)


def test_an_account_id_requested_with_the_last_key_is_dropped(tmp_path):
    async def test(harness):
        harness.brokerage.delay = 1.0
        reading = asyncio.ensure_future(harness.identity.read())
        await asyncio.sleep(0.5)
        harness.brokerage.account = "account-two"
        harness.identity.invalidate()
        await reading
        assert harness.identity.known.key is None
        await harness.identity.read()
        assert harness.identity.known.key == "account-two alpaca-paper"

    run_scenario(tmp_path, test)


def test_other_polls_wait_for_the_account_for_a_limited_time():
    async def test(harness):
        loop = asyncio.get_running_loop()
        started = loop.time()
        await harness.identity.wait()
        assert loop.time() - started == pytest.approx(ACCOUNT_WAIT_SECONDS)
        harness.brokerage.delay = 1.0
        reading = asyncio.ensure_future(harness.identity.read())
        await harness.identity.wait()
        assert loop.time() - started == pytest.approx(ACCOUNT_WAIT_SECONDS + 1.0)
        await reading

    run_scenario(None, test)


def test_other_polls_do_not_wait_once_reading_the_account_has_failed():
    async def test(harness):
        harness.brokerage.failures["account"] = OUTAGE
        with pytest.raises(RestFault):
            await harness.identity.read()
        started = asyncio.get_running_loop().time()
        await harness.identity.wait()
        assert asyncio.get_running_loop().time() == started

    run_scenario(None, test)


def test_where_only_one_account_may_be_shown_other_polls_fail_until_it_is_known():
    async def test(harness):
        harness.sink.requires_account = True
        started = asyncio.get_running_loop().time()
        with pytest.raises(RestFault, match="not answered yet which account the key belongs to") as unanswered:
            await harness.identity.wait()
        assert asyncio.get_running_loop().time() == pytest.approx(started + ACCOUNT_WAIT_SECONDS)
        assert unanswered.value.code == "timeout"
        harness.brokerage.failures["account"] = OUTAGE
        with pytest.raises(RestFault):
            await harness.identity.read()
        with pytest.raises(RestFault) as failed:
            await harness.identity.wait()
        assert failed.value is OUTAGE
        del harness.brokerage.failures["account"]
        await harness.identity.read()
        await harness.identity.wait()
        harness.identity.invalidate()
        with pytest.raises(RestFault, match="not answered yet"):
            await harness.identity.wait()

    run_scenario(None, test)


def test_an_account_that_must_not_be_read_is_an_error_and_other_polls_still_wait(tmp_path):
    def refuse(_account_key):
        raise ConfigError(["another account"])

    async def test(harness):
        harness.sink.note_account = refuse
        waiting = asyncio.create_task(harness.identity.wait())
        with pytest.raises(ConfigError):
            await harness.identity.read()
        await asyncio.sleep(ACCOUNT_WAIT_SECONDS / 2)
        assert not waiting.done()
        assert harness.identity.known.store is None
        await waiting

    run_scenario(tmp_path, test)
