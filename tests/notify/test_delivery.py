import asyncio
import contextlib
import datetime as dt
import itertools
import logging
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import get_args

import pytest

from condord.notify import delivery as delivery_module
from condord.notify.alert_copy import decoded, keep_none
from condord.notify.channel_queue import Result
from condord.notify.delivery import Delivery
from condord.notify.store import AlertStore
from tests.notify.builders import (
    DOWN,
    END_AT,
    GONE,
    NOW_AT,
    SENT,
    changes,
    channel,
    documents,
    record,
    transition,
)
from tests.notify.test_outbox import QUIET, UNTIL_LOUD
from tests.virtualtime import run, settle, until

START = 1000.0
"""The time at which the virtual clock starts."""


KILLED = """
import asyncio, os, pathlib, signal, sys
from tests.notify.builders import transition
from tests.notify.test_delivery import Harness
from tests.virtualtime import run, settle

class Killed:
    def webhook(self, channel, request):
        print(request.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with Harness(path=pathlib.Path(sys.argv[1])) as harness:
        harness.delivery._senders = Killed()
        await harness.add(transition())
        await settle(10)

run(main())
"""
"""A program that is killed in the middle of its first delivery."""
ROOT = Path(__file__).parents[2]


class FakeSenders:
    """Keeps what is sent, by channel, and answers from `outcomes`, then with success."""

    def __init__(self):
        self.sent = defaultdict(list)
        self.times = defaultdict(list)
        self.outcomes = defaultdict(list)
        self.blocked = {}
        self.is_stopped = False
        self.clock = lambda: 0.0

    def webhook(self, channel, request):
        return self._send(channel, request)

    def apprise(self, channel, note):
        return self._send(channel, note)

    def stop(self):
        self.is_stopped = True

    def _send(self, channel, sent):
        if channel.name in self.blocked:
            self.blocked[channel.name].wait(60)
        self.sent[channel.name].append(sent)
        self.times[channel.name].append(self.clock())
        outcome = self.outcomes[channel.name].pop(0) if self.outcomes[channel.name] else SENT
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Harness:
    """A delivery that runs, with fake senders and the loop's clock."""

    def __init__(self, *channels, path=None, copy=keep_none, handed_over=None, **options):
        self.loop = asyncio.get_running_loop()
        self.store = AlertStore(path, machine_at=self.now_at, copy=copy, handed_over=handed_over)
        self.senders = FakeSenders()
        self.senders.clock = lambda: round(self.loop.time() - START, 3)
        self.delivery = Delivery(self.store, self.senders, now_at=self.now_at, session_end=lambda _: END_AT, **options)
        self.delivery.set_channels(channels or [channel()])

    def now_at(self):
        return NOW_AT + dt.timedelta(seconds=self.loop.time() - START)

    async def __aenter__(self):
        self.records = await self.delivery.switch_to("key")
        self.task = asyncio.create_task(self.delivery.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.store.close()

    async def add(self, *transitions):
        changed = changes(*transitions)
        return await self.delivery.add(changed, documents(changed))

    def ids(self, name="hook"):
        return [each.id for each in self.senders.sent[name]]


def test_a_transition_is_sent_once_to_each_channel_and_counted():
    async def main():
        async with Harness(channel(), channel("phone", "apprise", min_severity="critical")) as harness:
            await harness.add(transition(), transition(name="worst", severity="critical"))
            await until(lambda: len(harness.ids()) == 2 and harness.senders.sent["phone"])
            await settle()
            assert harness.senders.sent["phone"][0].title == "condord SPY: critical"
            found = {key: count for key, count in harness.delivery.counts.items() if count}
            assert found == {("hook", "delivered"): 2, ("phone", "delivered"): 1}
            assert len(harness.delivery.counts) == 2 * len(get_args(Result))
            await asyncio.sleep(3600)
            assert len(harness.ids()) == 2
        assert harness.senders.is_stopped

    run(main())


def test_retries_keep_their_id_and_their_times():
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [DOWN] * 6
            await harness.add(transition())
            await asyncio.sleep(6000)
            assert len(set(harness.ids())) == 1
            times = harness.senders.times["hook"]
            waits = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
            assert waits == [5, 30, 120, 600, 1800, 1800]
            (shown,) = harness.delivery.channels()
            assert (shown.last_error, shown.waiting, shown.disabled) == (None, 0, False)
            assert shown.last_delivery_at is not None

    run(main())


def test_a_message_is_given_up_at_the_end_of_the_session_and_the_error_is_shown():
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [DOWN] * 100
            await harness.add(transition())
            await settle()
            (shown,) = harness.delivery.channels()
            assert (shown.last_error, shown.waiting) == ("HTTP 503 Service Unavailable", 1)
            await asyncio.sleep((END_AT - NOW_AT).total_seconds() + 60)
            assert harness.delivery.counts["hook", "expired"] == 1
            assert harness.delivery.channels()[0].waiting == 0

    run(main())


def test_a_channel_gets_at_most_10_messages_a_second():
    async def main():
        async with Harness() as harness:
            await harness.add(*(transition(name=f"rule-{number}") for number in range(30)))
            await until(lambda: len(harness.ids()) == 30)
            times = harness.senders.times["hook"]
            assert times[0] == 0
            assert all(times[number + 10] - times[number] >= 1 for number in range(20))
            assert times[-1] < 4

    run(main())


def test_a_slow_channel_delays_no_other_and_no_alert():
    async def main():
        async with Harness(channel("slow"), channel()) as harness:
            harness.senders.blocked["slow"] = released = threading.Event()
            await harness.add(transition())
            await harness.add(transition(name="next"))
            await until(lambda: len(harness.ids()) == 1)
            released.set()
            await until(lambda: len(harness.ids("slow")) == 2 and len(harness.ids()) == 2)

    run(main())


def test_a_call_that_hangs_is_abandoned():
    async def main():
        async with Harness(send_seconds=0.05) as harness:
            harness.senders.blocked["hook"] = released = threading.Event()
            await harness.add(transition())
            for _ in range(6000):
                if harness.delivery.channels()[0].last_error is not None:
                    break
                await asyncio.sleep(0.01)
            assert harness.delivery.channels()[0].last_error == "It did not answer in time."
            released.set()

    asyncio.run(main())


def test_a_bug_in_a_sender_ends_no_task_and_its_text_is_not_logged(caplog):
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [RuntimeError("https://hooks.example/path-secret")]
            await harness.add(transition())
            await asyncio.sleep(10)
            assert len(harness.ids()) == 2
            assert harness.delivery.counts["hook", "delivered"] == 1

    caplog.set_level(logging.DEBUG)
    run(main())
    assert caplog.records
    assert not [each for each in caplog.records if "hooks.example" in str(vars(each))]


def test_a_channel_is_disabled_by_410_until_it_changes():
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [GONE]
            await harness.add(transition())
            await asyncio.sleep(3600)
            assert harness.delivery.channels()[0].disabled
            assert len(harness.ids()) == 1
            harness.delivery.set_channels([channel(url="https://hooks.example/new")])
            await until(lambda: len(harness.ids()) == 2)
            await settle()
            assert not harness.delivery.channels()[0].disabled

    run(main())


def test_adding_returns_whether_another_ingester_would_have_the_messages():
    answers = [False, True]

    async def copy(_content):
        return answers.pop(0)

    async def main():
        async with Harness(copy=copy) as harness:
            harness.senders.blocked["hook"] = released = threading.Event()
            assert not await harness.add(transition())
            assert await harness.add()
            released.set()
        async with Harness() as harness:
            assert not await harness.add(transition())

    run(main())


def test_a_channel_stays_disabled_for_the_next_ingester_until_it_changes_but_not_after_a_start_without_others(
    tmp_path,
):
    path, copies = tmp_path / "alerts.sqlite3", []

    async def copy(content):
        copies.append(content)
        return True

    async def is_disabled(**options):
        async with Harness(*options.pop("channels", ()), path=path, **options) as harness:
            await settle()
            return harness.delivery.channels()[0].disabled

    async def main():
        async with Harness(path=path, copy=copy) as harness:
            harness.senders.outcomes["hook"] = [GONE]
            await harness.add(transition())
            await until(lambda: harness.delivery.channels()[0].disabled)
            await settle()
        assert b"hooks.example" not in copies[-1]
        assert await is_disabled(copy=copy, handed_over=decoded(copies[-1]))
        assert not await is_disabled(copy=copy, channels=[channel(url="https://hooks.example/new")])
        assert not await is_disabled()

    run(main())


def test_a_channel_is_disabled_by_410_to_a_test_message_too():
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [GONE]
            assert not (await harness.delivery.test("hook")).ok
            assert harness.delivery.channels()[0].disabled
            await harness.add(transition())
            await asyncio.sleep(3600)
            assert len(harness.senders.sent["hook"]) == 1

    run(main())


def test_a_channel_that_changes_during_a_test_answered_410_stays_enabled():
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [GONE]
            harness.senders.blocked["hook"] = released = threading.Event()
            test = asyncio.create_task(harness.delivery.test("hook"))
            await settle(0)
            harness.delivery.set_channels([channel(url="https://hooks.example/new")])
            released.set()
            assert not (await test).ok
            assert not harness.delivery.channels()[0].disabled

    run(main())


def test_channels_are_added_and_removed_while_the_delivery_runs():
    async def main():
        async with Harness() as harness:
            harness.delivery.set_channels([])
            await settle()
            assert harness.delivery.channels() == []
            harness.delivery.set_channels([channel(), channel("new")])
            await harness.add(transition())
            await until(lambda: harness.ids() and harness.ids("new"))
            harness.delivery.set_channels([])
            harness.delivery.set_channels([channel()])
            await harness.add(transition("resolved"))
            await until(lambda: len(harness.ids()) == 2)

    run(main())


def test_a_channel_that_is_removed_while_it_sends_loses_the_result():
    async def main():
        async with Harness() as harness:
            harness.senders.blocked["hook"] = released = threading.Event()
            await harness.add(transition())
            await settle(0)
            harness.delivery.set_channels([])
            released.set()
            await asyncio.sleep(100)
            assert harness.delivery.counts.get(("hook", "delivered"), 0) == 0

    run(main())


def test_quiet_hours_end_by_the_clock():
    async def main():
        async with Harness(channel(quiet=QUIET)) as harness:
            await harness.add(transition())
            await until(harness.ids, within=2 * UNTIL_LOUD)
            assert UNTIL_LOUD <= harness.senders.times["hook"][0] <= UNTIL_LOUD + 61

    run(main())


class TestRestarts:
    def test_after_a_crash_between_save_and_send_a_message_is_sent_with_the_same_id(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as first:
                first.senders.blocked["hook"] = released = threading.Event()
                await first.add(transition())
                assert not first.store.is_behind
            released.set()
            async with Harness(path=path) as second:
                assert second.records == (record(),)
                await until(second.ids)
                await settle(1)
                first_ids = first.ids() or second.ids()
                assert second.ids() == first_ids
            async with Harness(path=path) as third:
                await settle(1)
                assert (third.records, third.ids()) == ((record(),), [])

        run(main())

    @pytest.mark.slow
    def test_after_a_kill_during_a_send_a_message_is_repeated_with_the_same_id(self, tmp_path):
        path = tmp_path / "alerts.sqlite3"
        command = [sys.executable, "-c", KILLED, str(path)]
        killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr

        async def main():
            async with Harness(path=path) as second:
                assert second.records == (record(),)
                await until(second.ids)
                await settle(1)
                assert second.ids() == killed.stdout.split()

        run(main())

    def test_a_retry_continues_after_a_restart_where_it_was(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as first:
                first.senders.outcomes["hook"] = [DOWN] * 2
                await first.add(transition())
                await until(lambda: len(first.ids()) == 2)
                await settle()
            async with Harness(path=path) as second:
                second.senders.outcomes["hook"] = [DOWN]
                await until(lambda: len(second.ids()) == 2)
                first_time, second_time = second.senders.times["hook"]
                assert first_time - first.senders.times["hook"][-1] == pytest.approx(30, abs=1)
                assert second_time - first_time == pytest.approx(120, abs=1)
                assert {*first.ids(), *second.ids()} == {first.ids()[0]}

        run(main())

    def test_a_file_that_cannot_be_written_delays_nothing_and_is_written_later(self, tmp_path, monkeypatch):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as harness:
                write = harness.store._thread.file.write

                def failing(*_):
                    raise OSError(28, "No space left on device")

                harness.store._thread.file.write = failing
                harness.senders.outcomes["hook"] = [DOWN]
                await harness.add(transition())
                await until(harness.ids)
                await settle(1)
                assert ": No space left on device; " in harness.store.fault.text
                harness.store._thread.file.write = write
                await settle(2 * delivery_module.STORE_SECONDS)
                assert harness.store.fault is None
            async with Harness(path=path) as second:
                assert second.records == (record(),)

        run(main())

    def test_an_outbox_that_could_only_be_read_later_is_sent(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as first:
                first.senders.outcomes["hook"] = [DOWN]
                await first.add(transition())
                await until(first.ids)
                await settle()
            harness = Harness(path=path)
            read, harness.store._thread.file.read = harness.store._thread.file.read, failing_read
            async with harness:
                assert harness.records == ()
                harness.store._thread.file.read = read
                await asyncio.sleep(60)
                assert harness.ids() == first.ids()

        run(main())

    def test_a_channel_shows_its_last_delivery_and_error_until_the_next_attempt(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as first:
                await first.add(transition())
                await until(first.ids)
                first.senders.outcomes["hook"] = [DOWN] * 2
                await first.add(transition("resolved"))
                await until(lambda: len(first.ids()) == 3)
                await settle()
                shown = first.delivery.channels()[0]
                assert (shown.last_delivery_at, shown.last_error, shown.waiting) == (NOW_AT, DOWN.text, 1)
            async with Harness(path=path) as second:
                assert second.delivery.channels()[0] == shown
                await until(second.ids)
                await settle()
                assert second.delivery.channels()[0].last_error is None
            async with Harness(path=path) as third:
                assert third.delivery.channels()[0] == second.delivery.channels()[0]

        run(main())

    def test_the_error_of_a_test_message_survives_a_restart(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(path=path) as first:
                first.senders.outcomes["hook"] = [DOWN]
                assert not (await first.delivery.test("hook")).ok
            async with Harness(path=path) as second:
                assert second.delivery.channels()[0].last_error == DOWN.text

        run(main())

    def test_a_removed_channel_leaves_no_state(self, tmp_path):
        async def main():
            path = tmp_path / "alerts.sqlite3"
            async with Harness(channel(), channel("old"), path=path) as first:
                await first.add(transition())
                await until(lambda: first.ids() and first.ids("old"))
                await settle()
            async with Harness(path=path) as second:
                await settle(1)
                assert set(second.store.channels) == {"hook"}

        run(main())

    def test_another_account_has_its_own_outbox(self, tmp_path):
        async def main():
            async with Harness(path=tmp_path / "alerts.sqlite3") as harness:
                harness.senders.outcomes["hook"] = [DOWN]
                await harness.add(transition())
                await settle()
                assert await harness.delivery.switch_to("other") == ()
                assert harness.delivery.channels()[0].waiting == 0
                assert await harness.delivery.switch_to("key") == (record(),)
                await until(lambda: len(harness.ids()) == 2)

        run(main())


def failing_read(*_):
    raise OSError(5, "Input/output error")


class TestTest:
    def test_a_test_message_is_sent_at_once_while_other_messages_are_held_back(self):
        async def main():
            async with Harness(channel(quiet=QUIET), channel("phone", "apprise")) as harness:
                answer = await harness.delivery.test("hook")
                assert (answer.ok, answer.status, answer.text) == (True, 200, "HTTP 200 OK")
                assert b"condord.test" in harness.senders.sent["hook"][0].body
                harness.senders.outcomes["phone"] = [DOWN]
                answer = await harness.delivery.test("phone")
                assert (answer.ok, answer.status) == (False, 503)
                assert harness.senders.sent["phone"][0].title == "condord: test"
                assert harness.delivery.channels()[1].last_error == DOWN.text
                assert await harness.delivery.test("unknown") is None

        run(main())

    def test_a_channel_is_tested_at_most_once_in_10_seconds(self):
        async def main():
            async with Harness() as harness:
                assert (await harness.delivery.test("hook")).ok
                assert not (await harness.delivery.test("hook")).ok
                await asyncio.sleep(10)
                assert (await harness.delivery.test("hook")).ok
                assert len(harness.ids()) == 2

        run(main())


def test_no_log_line_and_no_shown_state_has_a_url(caplog):
    async def main():
        async with Harness() as harness:
            harness.senders.outcomes["hook"] = [DOWN, SENT]
            await harness.add(transition())
            await asyncio.sleep(10)
            assert "hooks.example" not in repr(harness.delivery.channels())

    caplog.set_level(logging.DEBUG)
    run(main())
    assert [each.getMessage() for each in caplog.records if each.name.startswith("condord")] == [
        "Channel does not deliver",
        "Channel delivers again",
    ]
    assert not [each for each in caplog.records if "hooks.example" in str(vars(each))]
