"""When the parts of an account are read; what is made of them is in test_supervisor.py."""

import asyncio
import contextlib
import types

import pytest

from condord.core.position import Holdings
from condord.upstream.account_polls import TRADE_DEBOUNCE_SECONDS, AccountPolls
from condord.upstream.poller import RETRY_SECONDS
from condord.upstream.supervisor_settings import HISTORY_SECONDS
from tests.fakes.alpaca import LOGIN, FakeSink
from tests.virtualtime import run, settle

REFRESH_SECONDS = 60.0
FILLED = ["activities", "orders", "positions"]


class Harness:
    """Polls on a virtual clock. `bad` has the names of the readings that fail; `log` has what came, in order."""

    def __init__(self, *bad):
        self.bad = bad
        self.log = []
        self.login = LOGIN
        reader = types.SimpleNamespace
        self.known = reader(
            contracts=reader(read=self._reading("contracts")), orders=reader(read=self._reading("orders"))
        )
        self.activity_reader = reader(read=self._reading("activities"))
        self.read = self._reading("account")
        self.holdings = self._reading("positions", Holdings(options=(), stocks={}))
        self.polls = AccountPolls(
            brokerage=self,
            sink=FakeSink(),
            identity=self,
            memory=self,
            applied=self,
            refresh_seconds=REFRESH_SECONDS,
            login=lambda: self.login,
            prepare=self._reading("prepared"),
            recognized=lambda: self.log.append("recognized"),
            noting=contextlib.nullcontext,
            is_good=lambda reading: reading not in self.bad,
        )

    def _reading(self, name, answer=None):
        async def read(*_):
            self.log.append(name)
            return answer

        return read

    async def wait(self):
        """The identity is known."""

    def take(self, held):
        self.log.append("taken")

    def run(self, seconds, act=lambda: None):
        """What comes within `seconds` after `act`, which comes when the polls of the start are over."""

        async def main():
            tasks = [asyncio.ensure_future(task) for task in self.polls.tasks()]
            await settle(2 * TRADE_DEBOUNCE_SECONDS)
            self.log.clear()
            act()
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()

        run(main())
        return self.log

    def read_within(self, seconds, act=lambda: None):
        """What is read then, sorted."""
        return sorted(set(self.run(seconds, act)) - {"recognized", "prepared", "taken"})


def test_a_request_reads_everything():
    harness = Harness()
    assert harness.read_within(1.0, harness.polls.ask) == ["account", "activities", "contracts", "orders", "positions"]


def test_a_fill_reads_what_it_may_have_changed():
    harness = Harness()
    assert harness.read_within(1.0, harness.polls.traded) == FILLED


def test_contracts_and_activities_are_read_alone_when_only_they_are_needed():
    harness = Harness()
    assert harness.read_within(1.0, harness.polls.ask_contracts) == ["contracts"]
    harness = Harness()
    assert harness.read_within(1.0, harness.polls.ask_activities) == ["activities"]


def test_history_is_read_less_often_than_the_rest():
    assert Harness().read_within(REFRESH_SECONDS + 1.0) == ["account", "contracts", "positions"]
    assert set(FILLED) <= set(Harness().read_within(HISTORY_SECONDS + 1.0))


@pytest.mark.parametrize("name", ["account", "activities", "contracts", "orders", "positions"])
def test_only_what_has_failed_is_read_again_soon(name):
    assert Harness(name).read_within(RETRY_SECONDS + 1.0) == [name]


def test_positions_are_prepared_before_they_are_applied():
    harness = Harness()
    log = harness.run(1.0, harness.polls.traded)
    assert [each for each in log if each in ("positions", "prepared", "taken")] == ["positions", "prepared", "taken"]


def test_positions_that_were_read_with_an_earlier_key_are_dropped():
    harness = Harness()

    async def changed():
        harness.login = object()

    harness.wait = changed
    assert "taken" not in harness.run(1.0, harness.polls.traded)
