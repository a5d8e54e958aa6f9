"""A front whose bus is down, without its maker; tests/cluster/processes has fronts as programs."""

import asyncio
import contextlib
import sqlite3
import ssl
import types
from pathlib import Path

import pytest

from condord.client.address import parse_url
from condord.cluster.bus import BusSettings
from condord.cluster.connection import SourceSettings
from condord.cluster.maker_channel import Begin
from condord.config.schema import History
from condord.daemon import followed_front
from condord.daemon.bus_settings import own_name
from condord.daemon.followed_front import Announcements, FollowedFront, FrontSettings
from condord.errors import Unavailable
from tests.daemon.relay_harness import RelayHarness
from tests.virtualtime import run


class Spy:
    """Notes which of its methods were called, with which arguments."""

    def __init__(self, name, log):
        self._name, self._log = name, log

    def __getattr__(self, method):
        return lambda *arguments: self._log.append((self._name, method, *arguments))


def test_events_of_a_leader_are_published_and_requests_answered_under_its_name_and_fence():
    log = []
    announced = Announcements(Spy("publisher", log), Spy("answers", log), Spy("follower", log), "host-1:5")
    announced.lead(7)
    announced.take("event")
    announced.step_down()
    assert log == [
        ("publisher", "lead", 7, "host-1:5"),
        ("answers", "lead", 7),
        ("follower", "expect", 7, "host-1:5"),
        ("publisher", "take", "event"),
        ("publisher", "step_down"),
        ("answers", "step_down"),
    ]


def test_a_permission_that_the_publisher_lacks_ends_a_term():
    publisher = types.SimpleNamespace(forbidden="publish to x")
    assert Announcements(publisher, None, None, "host-1:5").forbidden == "publish to x"


def front(harness, state=Path("/nonexistent")):
    settings = FrontSettings(
        bus=BusSettings(urls=("nats://127.0.0.1:9",), login=None, context=ssl.create_default_context),
        account="a1b2",
        lease_seconds=3.0,
        begin=Begin(config_file=None, account_digest="a1b2", flags={}, state_directory=""),
        environ={},
        maker=SourceSettings(address=parse_url("unix:///nonexistent/maker"), token=None, context=None),
        history=History,
        state_directory=lambda lasts: state / ("lasts" if lasts else "demo"),
    )
    return FollowedFront(settings, harness.replica, harness.feed, refused=None)


def test_a_front_is_a_standby_of_the_leader_on_the_bus_until_it_leads_itself():
    async def main():
        harness = RelayHarness()
        followed = front(harness)
        cluster = followed.cluster
        assert (cluster.role, cluster.leader, cluster.fence, cluster.source) == ("standby", None, None, None)
        followed._of_bus.order.leader, followed._of_bus.order.fence = "host-2:811", 7
        assert followed.cluster.leader is None  # nothing has come from it
        harness.feed.lost_reason = None
        assert (followed.cluster.leader, followed.cluster.fence) == ("host-2:811", 7)
        election = followed.leadership._election
        [acquire] = election.tick(1000.0)
        election.acquired(acquire.number, 1000.0, 9)
        cluster = followed.cluster
        assert (cluster.role, cluster.leader, cluster.fence) == ("leader", own_name(), 9)
        assert election.tick(1003.0)  # the lease has expired, and the maker is being ended
        assert followed.cluster.role == "standby"

    run(main())


def test_an_ingester_that_takes_over_reads_the_account_and_has_not_lost_the_earlier_leader():
    async def main():
        harness = RelayHarness()
        followed = front(harness)
        harness.pass_events()
        sink, election = followed._of_bus._sink, followed.leadership._election

        def reason(code="leaderLost"):
            sink.lose("host-2:811 sends no events", code)
            shown = harness.replica.edition.status
            assert (shown.code, harness.feed.lost_code) == (code, code)
            return shown.reason

        assert reason().startswith("relay-1 has lost the leader: host-2:811 sends no events; ")
        [acquire] = election.tick(1000.0)
        election.acquired(acquire.number, 1000.0, 9)
        assert followed.cluster.role == "leader"
        assert reason() == "relay-1 leads now, and is reading the account"
        assert harness.feed.lost_reason == "it leads now, and is reading the account"
        assert reason("busLost").startswith("relay-1 has lost the bus: ")
        followed.term.obstacle = "another condord uses this key"
        assert reason().startswith("relay-1 has lost the leader: ")

    run(main())


def test_snapshots_and_resumed_events_of_a_front_match_its_document():
    async def main():
        harness = RelayHarness()
        followed = front(harness)
        assert followed._snapshot() is None
        harness.pass_events()
        version, block = followed._snapshot()
        assert version == harness.source.edition.version
        assert b"event: snapshot" in block
        assert b"event: snapshot" in followed._resumed(None)
        harness.feed.lose("it sends no events", "leaderLost")
        with pytest.raises(Unavailable, match="its own daemon of the account is lost: it sends no events"):
            followed._resumed(None)

    run(main())


@pytest.mark.parametrize(("name", "accounts"), [(f"{'a' * 20}-extremes.json", [("a" * 20, "simulator")]), (None, None)])
def test_a_front_records_for_the_account_whose_extremes_the_leader_keeps(tmp_path, monkeypatch, name, accounts):
    async def copied_name(_bucket, account, kind):
        assert (account, kind) == ("a1b2", "extremes")
        return name

    async def main():
        harness = RelayHarness()
        followed = front(harness, tmp_path)
        recording = asyncio.create_task(followed.history.run())
        for event in harness.reading.feed(harness.upstream.take(lambda: harness.source.now_at)):
            followed._of_bus._sink.take(event)
        await followed.history.release()
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording

    monkeypatch.setattr(followed_front, "copied_name", copied_name)
    asyncio.run(main())
    path = tmp_path / "demo" / "history.sqlite3"
    assert path.exists() == (accounts is not None)
    if accounts is not None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT hash, source FROM accounts").fetchall() == accounts


def test_while_nothing_is_followed_requests_are_refused():
    async def main():
        followed = front(RelayHarness())
        with pytest.raises(Unavailable, match=r"^the leader on the bus nats://.* is lost$"):
            await followed.ask("GET", "/api/trades")
        following = asyncio.create_task(followed.run())
        await asyncio.sleep(0.1)
        followed.retry()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    run(main())
