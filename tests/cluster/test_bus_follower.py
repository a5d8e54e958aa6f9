import asyncio
import logging
import time
from pathlib import Path

import pytest

from condord.cluster.bus_frames import SNAPSHOTS
from condord.cluster.bus_order import LOST_SECONDS
from condord.cluster.kv import KvBucket
from condord.cluster.nats_client import BusLogin
from condord.cluster.stall_detector import GRACE_SECONDS
from condord.config.schema import Cluster
from condord.daemon.bus_settings import bus_settings
from condord.errors import ConfigError, Unavailable
from condord.host.secret import Secret
from condord.live.published import EVERYTHING
from tests.live.accounts import C650, position, spy

from .leader import ACCOUNT, Followed, Leader, await_caught_up, working
from .leases import ReadyLease
from .nats_server import eventually, running

EXAMPLE = (Path(__file__).parents[2] / "docs" / "examples" / "nats-server.conf").read_text()


def run_scenario(nats_server, scenario, *, leaders=1, account=ACCOUNT, **options):
    """Play `scenario(server, leader…, followed)`; the first leader leads."""

    async def main():
        server = nats_server(**options)
        leaders_ = [Leader(server.bus(), fence=1 + at, epoch=f"epoch{at}", name=f"host:{at}") for at in range(leaders)]
        followed = Followed(server.bus(), account)
        async with working(*leaders_, followed):
            if leaders_:
                leaders_[0].begin()
            await scenario(server, *leaders_, followed)

    asyncio.run(main())


def assert_same_document(followed, leader):
    assert followed.document() == leader.service.document(EVERYTHING)


@pytest.mark.slow
def test_the_document_equals_the_leaders_at_every_version(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        for _ in range(20):
            leader.move()
            await await_caught_up(followed, leader)
            assert_same_document(followed, leader)
        leader.service.set_positions((*spy(), position(C650, 1)))
        leader.pump()
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        order = followed.follower.order
        assert (order.gaps, order.dropped, order.fence, followed.replica.gaps) == (0, 0, 1, 0)
        await eventually(lambda: order.leader == "host:0")

    run_scenario(nats_server, scenario)


def test_a_lost_frame_is_replaced_by_the_events_that_are_missing(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        followed.blocks.clear()
        leader.move_unsent()
        leader.move(3)
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        assert followed.follower.order.gaps == 1
        assert "snapshot" not in followed.names
        leader.move_unsent()  # and now nothing follows but heartbeats
        await await_caught_up(followed, leader)
        assert followed.follower.order.gaps == 2
        assert followed.losses == []

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_follower_reports_an_outage_of_the_bus_and_recovers(nats_server):
    async def scenario(server, leader, followed):
        await await_caught_up(followed, leader)
        server.kill()
        await eventually(lambda: followed.code == "busLost")
        assert followed.feed.lost_reason.startswith("nats://")
        leader.move(5)  # none of them is sent late
        followed.blocks.clear()
        server.start()
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        assert "snapshot" not in followed.names
        assert followed.feed.lost_reason is None
        assert followed.losses[0] == "busLost"
        assert followed.losses[1:] in ([], ["leaderLost"])  # until it answers at the new connection

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_resumed_process_reads_waiting_messages_before_it_reports_the_leader_lost(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        for _ in range(2):
            time.sleep(LOST_SECONDS + 0.5)  # noqa: ASYNC251 - as if the process were stopped
            await asyncio.sleep(GRACE_SECONDS + 0.5)
        leader.move()
        await await_caught_up(followed, leader)
        assert followed.losses == []

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_after_a_suspension_the_leader_is_lost_at_once_until_it_has_answered(nats_server, caplog):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        await eventually(lambda: followed.follower.order.leader)
        leader.move(3)
        followed.follower.note_suspension(60.0)
        assert followed.code == "leaderLost"
        assert followed.feed.lost_reason == "this process was suspended for 60 s, and has read nothing since"
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        assert followed.losses == ["leaderLost"]
        followed.follower.note_suspension(1.8)
        assert followed.losses == ["leaderLost"]

    run_scenario(nats_server, scenario)
    assert "The leader is lost" not in caplog.messages


@pytest.mark.slow
def test_an_answer_that_has_waited_while_the_process_was_suspended_does_not_count(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        requests = []
        real = followed.bus.ask

        async def ask(*arguments, **options):
            answer = await real(*arguments, **options)
            if not requests:
                leader.move()  # the answer does not have it
                followed.follower.note_suspension(60.0)
            requests.append(answer)
            return answer

        followed.bus.ask = ask
        followed.follower.note_suspension(60.0)
        await eventually(lambda: requests)
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        assert len(requests) > 1

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_follower_that_starts_again_without_the_bus_reports_the_loss_at_once(nats_server):
    async def scenario():
        server = nats_server()
        followed = Followed(server.bus())
        async with running(followed.bus):
            first = asyncio.create_task(followed.follower.run())
            await asyncio.sleep(0.5)
            assert followed.losses == []  # it has just begun
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            server.kill()
            await eventually(lambda: not followed.bus.is_connected)
            again = asyncio.create_task(followed.follower.run())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert followed.losses == ["busLost"]
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_silent_leader_is_reported_and_followed_again(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        await eventually(lambda: followed.follower.order.leader)
        leader.beats = False
        leader.answers.step_down()
        await eventually(lambda: followed.code == "leaderLost")
        assert followed.feed.lost_reason == "host:0 sends no events"
        leader.answers.lead(leader.fence)
        leader.beats = True
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        leader.move()
        await await_caught_up(followed, leader)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_while_there_is_no_leader_the_reason_is_why_this_process_could_not_lead(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        leader.beats = False
        leader.answers.step_down()
        await eventually(lambda: followed.code == "leaderLost")
        followed.obstacle = "another condord uses this key"
        reason = "this ingester could not lead: another condord uses this key"
        await eventually(lambda: reason in followed.replica.edition.status.reason)
        assert followed.losses == ["leaderLost"]

    run_scenario(nats_server, scenario)


@pytest.mark.slow
@pytest.mark.parametrize("refuses", [False, True])
def test_a_leader_that_answers_and_publishes_nothing_is_lost_once(nats_server, caplog, refuses):
    caplog.set_level(logging.INFO)

    def refuse(_version):
        raise Unavailable("its own daemon of the account is lost: it sends no events", "")

    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        leader.beats = False
        if refuses:
            leader.answers._resume = refuse
        await eventually(lambda: followed.code == "leaderLost")
        await asyncio.sleep(2 * LOST_SECONDS + 0.5)
        assert followed.code == "leaderLost"
        leader.beats = True
        leader.answers._resume = leader.resumed
        await await_caught_up(followed, leader)
        await eventually(lambda: "The leader is back" in caplog.messages)
        assert followed.losses == ["leaderLost"]

    run_scenario(nats_server, scenario)
    logged = [record for record in caplog.records if "leader" in record.message]
    assert [record.message for record in logged] == ["The leader is lost", "The leader is back"]
    assert logged[1].fields["lasted_seconds"] >= 2 * LOST_SECONDS


@pytest.mark.slow
def test_before_the_first_leader_no_leader_counts_as_lost(nats_server, caplog):
    caplog.set_level(logging.INFO)

    async def scenario(server):
        leader, followed = Leader(server.bus()), Followed(server.bus())
        async with working(leader, followed):
            await eventually(lambda: followed.losses)
            await asyncio.sleep(LOST_SECONDS)
            leader.begin()
            await await_caught_up(followed, leader)
            await eventually(lambda: "There is a leader" in caplog.messages)

    async def main():
        await scenario(nats_server())

    asyncio.run(main())
    logged = [record for record in caplog.records if "leader" in record.message]
    assert [record.message for record in logged] == ["There is no leader yet", "There is a leader"]
    assert logged[0].fields["reason"] in ("nobody answers on the bus", "the leader has not answered yet")
    assert logged[1].fields == {"leader": "a:1", "fence": 1}


@pytest.mark.slow
def test_a_stored_snapshot_alone_does_not_count_as_a_leader(nats_server, caplog):
    async def scenario():
        server = nats_server()
        leader, followed = Leader(server.bus(), fence=5), Followed(server.bus())
        async with working(leader):
            leader.begin()
            bucket = KvBucket(leader.bus, SNAPSHOTS)

            async def is_stored():
                return await bucket.get(ACCOUNT) is not None

            await eventually(is_stored)
        async with working(followed):
            await eventually(lambda: "There is no leader yet" in caplog.messages)
            await asyncio.sleep(0.5)
        assert followed.version == leader.service.edition.version

    asyncio.run(scenario())
    assert "The leader is lost" not in caplog.messages


@pytest.mark.slow
def test_a_bus_that_is_back_without_a_leader_is_reported_as_a_lost_leader(nats_server):
    async def scenario(server, leader, followed):
        await await_caught_up(followed, leader)
        server.kill()
        await eventually(lambda: followed.code == "busLost")
        leader.publisher.step_down()
        leader.answers.step_down()
        server.start()
        await eventually(lambda: followed.code == "leaderLost")
        assert followed.losses == ["busLost", "leaderLost"]

    run_scenario(nats_server, scenario)


def test_another_leader_takes_over_and_the_former_is_ignored(nats_server):
    async def scenario(_server, former, leader, followed):
        await await_caught_up(followed, former)
        leader.begin()
        await await_caught_up(followed, leader)
        former.move(3)
        leader.move(3)
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)
        order = followed.follower.order
        assert order.fence == 2
        await eventually(lambda: order.dropped >= 3)
        epochs = [
            line.split(b"-")[0] for block in followed.blocks for line in block.split(b"\n") if line.startswith(b"id")
        ]
        assert epochs == sorted(epochs)
        await eventually(lambda: order.leader == "host:1")

    run_scenario(nats_server, scenario, leaders=2)


@pytest.mark.slow
def test_a_stored_snapshot_is_shown_unconfirmed_while_there_is_no_leader(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        later = Followed(_server.bus())

        async def is_stored():
            return await leader.publisher._key.read()

        await eventually(is_stored)
        leader.publisher.step_down()
        leader.answers.step_down()
        leader.beats = False
        async with working(later):
            await eventually(lambda: later.replica.is_known)
            assert later.code == "leaderLost"
            assert later.version.startswith("epoch0-")
            leader.begin()
            leader.beats = True
            await await_caught_up(later, leader)
            assert_same_document(later, leader)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_new_leader_is_followed_after_the_bus_has_lost_its_state(nats_server):
    async def scenario(server, leader, followed):
        leader.fence = before = 10**16  # as if the clock of the bus was set back, too
        leader.begin()
        await await_caught_up(followed, leader)
        leader.publisher.step_down()
        leader.answers.step_down()
        server.kill()
        server.lose_store()
        server.start()
        await eventually(lambda: leader.bus.is_connected)
        lease = ReadyLease(leader.bus, ACCOUNT)
        leader.fence = await eventually(lambda: lease.acquire("host:0"))
        assert leader.fence < before
        leader.begin()
        leader.move()
        await await_caught_up(followed, leader)
        assert followed.follower.order.fence == leader.fence

    run_scenario(nats_server, scenario)


def test_between_two_runs_no_frames_are_taken_and_the_fence_stays(nats_server):
    """An ingester that leads for a while does not follow itself."""

    async def scenario():
        server = nats_server()
        leader, followed = Leader(server.bus(), fence=5), Followed(server.bus())
        async with working(leader):
            leader.begin()
            async with working(followed):
                await await_caught_up(followed, leader)
            async with running(followed.bus):
                followed.blocks.clear()
                leader.move(3)
                await asyncio.sleep(0.5)
                assert followed.blocks == []
            async with working(followed):
                await await_caught_up(followed, leader)
                assert_same_document(followed, leader)
                number = followed.replica.edition.number
                leader.move()
                await await_caught_up(followed, leader)
                assert followed.names.count("delta") == 2  # what was missed, and the last one, once
                assert followed.replica.edition.number == number + 1
                assert followed.replica.dropped == 0
                assert followed.follower.order.fence == 5
                assert followed.losses == []
                followed.follower.expect(3, "host:own")
                assert followed.follower.order.fence == 5
                followed.follower.expect(6, "host:own")
                dropped = followed.follower.order.dropped
                await eventually(lambda: followed.follower.order.dropped > dropped)

    asyncio.run(scenario())


def documented_users():
    """The lines of the example that name the users and what each may do."""
    begin = EXAMPLE.index("authorization {")
    return EXAMPLE[begin : EXAMPLE.index("\n}\n", begin) + 2].splitlines()


@pytest.mark.slow
def test_the_users_in_the_docs_may_do_only_what_they_need(nats_server, caplog):
    async def scenario():
        server = nats_server(*documented_users())
        users = [BusLogin(kind="password", secret=Secret(text)) for text in ("ingester:PASSWORD1", "relay:PASSWORD2")]
        inboxes = [bus_settings(Cluster(role=role), None, {}).inbox for role in ("ingest", "relay")]
        buses = [server.bus(login=user, inbox=inbox) for user, inbox in zip(users, inboxes, strict=True)]
        leader, followed = Leader(buses[0]), Followed(buses[1], "")
        async with working(leader, followed):
            lease = ReadyLease(leader.bus, ACCOUNT)
            leader.fence = await lease.acquire("host:0")
            assert await lease.renew(leader.fence)
            leader.begin()
            await await_caught_up(followed, leader)
            leader.move_unsent()
            leader.move()
            await await_caught_up(followed, leader)
            assert_same_document(followed, leader)
            assert await KvBucket(followed.bus, SNAPSHOTS).get(ACCOUNT) is not None
            assert "forbids" not in caplog.text
            for subject in (
                f"condord.{ACCOUNT}.frames",
                f"$KV.condord-snapshots.{ACCOUNT}",
                f"$KV.condord.{ACCOUNT}.state.alerts",
                "$JS.API.STREAM.MSG.GET.KV_condord",
                f"$KV.condord-leases.{ACCOUNT}",
            ):
                caplog.clear()
                followed.bus.publish(subject, b"x", {"Fence": "99", "Kind": "delta"})
                await eventually(lambda: "The bus forbids something" in caplog.text)

    asyncio.run(scenario())


@pytest.mark.slow
def test_the_only_account_of_the_bus_is_found(nats_server):
    async def scenario(_server, leader, followed):
        await eventually(lambda: followed.feed.lost_reason == "no ingester holds a lease on the bus")
        await ReadyLease(leader.bus, ACCOUNT).acquire("host:0")
        await await_caught_up(followed, leader)
        assert followed.follower.account == ACCOUNT

    run_scenario(nats_server, scenario, account="")


@pytest.mark.slow
def test_without_jetstream_no_account_is_found_and_the_log_has_the_remedy(nats_server, caplog):
    async def main():
        followed = Followed(nats_server("nojetstream").bus(), "")
        async with working(followed):
            await eventually(lambda: "There is no leader yet" in caplog.messages)

    asyncio.run(main())
    reason = caplog.records[-1].fields["reason"]
    assert reason.startswith("JetStream does not answer: ")
    assert "jetstream {" in reason


def test_if_the_bus_has_several_accounts_one_must_be_named(nats_server):
    async def scenario(_server, leader, followed):
        for account in ("one", "two"):
            await ReadyLease(leader.bus, account).acquire("host:0")
        await eventually(lambda: followed.refused)
        [error] = followed.refused
        assert isinstance(error, ConfigError)
        assert str(error) == "the bus has several accounts: one, two"
        assert "cluster.account" in error.hint

    async def main():
        server = nats_server()
        leader = Leader(server.bus())
        async with working(leader):
            for account in ("one", "two"):
                await ReadyLease(leader.bus, account).acquire("host:0")
            followed = Followed(server.bus(), "")
            async with working(followed):
                await scenario(server, leader, followed)

    asyncio.run(main())


def test_messages_that_are_not_frames_are_skipped_and_unreadable_events_are_requested_again(nats_server):
    async def scenario(_server, leader, followed):
        await await_caught_up(followed, leader)
        subject = f"condord.{ACCOUNT}.frames"
        leader.bus.publish(subject, b"hello")
        number = leader.service.edition.number
        headers = {"Fence": "1", "Kind": "delta", "Version": f"epoch0-{number + 1}", "Base": str(number)}
        leader.bus.publish(subject, f"event: delta\nid: epoch0-{number + 1}\ndata: [1]\n\n".encode(), headers)
        leader.bus.publish(subject, b"event: weather\ndata: {}\n\n", {"Fence": "1", "Kind": "weather"})
        leader.move(2)
        await await_caught_up(followed, leader)
        assert_same_document(followed, leader)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_snapshot_too_large_for_the_bus_leaves_the_leader_lost_with_that_reason(nats_server):
    async def scenario(_server, leader, followed):
        reason = "is larger than the bus takes; set max_payload: 8MB in the configuration of nats-server"
        await eventually(lambda: reason in (followed.feed.lost_reason or ""))
        assert followed.losses[-1] == "leaderLost"

    run_scenario(nats_server, scenario, max_payload="2KB")
