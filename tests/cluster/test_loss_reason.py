"""What a follower of a bus gives as the reason for each loss, over a bus in memory and with virtual time."""

import asyncio

import pytest
from nats import errors

from condord.cluster.bus import BusError, BusMessage, BusSubscription
from condord.cluster.bus_order import LOST_SECONDS
from condord.cluster.denials import STANDING_SECONDS, Denials, publishing
from condord.cluster.loss_reason import NO_OTHER_LEADER
from condord.errors import Unavailable
from condord.tasks import stopped
from tests.virtualtime import run

from .leader import Followed, Leader

OFFLINE = "nats://a: it cannot be reached: Connection refused"
FORBIDDEN = publishing("condord.acct.frames")


class MemoryBus:
    """Passes messages on at once. `has_subscriber`: someone has subscribed to questions."""

    urls = "nats://a"

    def __init__(self):
        self.is_connected = True
        self.has_subscriber = True
        self.reason = OFFLINE
        self.denials = Denials(lambda: asyncio.get_running_loop().time())
        self.subscriptions, self.watchers, self.waiting = [], [], {}

    def watch(self, changed):
        self.watchers.append(changed)

    async def subscribe(self, subject, take):
        self.subscriptions.append(BusSubscription(subject, take))
        return self.subscriptions[-1]

    def publish(self, subject, payload, headers=None):
        self._deliver(BusMessage(subject, payload, headers or {}, ""))

    async def ask(self, subject, payload, *, seconds):
        if not self.is_connected:
            raise BusError("the bus is not connected")
        if not self.has_subscriber:
            raise BusError("nobody answers on the bus") from errors.NoRespondersError()
        reply = f"inbox.{len(self.waiting)}"
        answer = self.waiting[reply] = asyncio.get_running_loop().create_future()
        self._deliver(BusMessage(subject, payload, {}, reply))
        await asyncio.wait((answer,), timeout=seconds)
        if not answer.done():
            raise BusError(self.denials.text or "no answer in time") from errors.TimeoutError()
        return answer.result()

    def takes(self, _size):
        return True

    def js(self, _seconds):
        raise BusError("there is no store")

    def connect(self, is_connected):
        self.is_connected = is_connected
        if is_connected:
            self.denials.clear()
        for changed in self.watchers:
            changed()

    def _deliver(self, message):
        if not self.is_connected:
            return
        if message.subject in self.waiting:
            self.waiting[message.subject].set_result(message)
        for each in self.subscriptions:
            if each.subject == message.subject and not each.is_over:
                each.take(message)


class Scene:
    """A leader and a follower, which is an ingester that leads itself during `own_term`."""

    def __init__(self):
        self.bus = MemoryBus()
        self.leader = Leader(self.bus, name="host:1")
        self.followed = Followed(self.bus)
        self.following = None

    @property
    def reason(self):
        return self.followed.lost_reason

    async def begin(self):
        self.following = asyncio.create_task(self.followed.follower.run())
        self.leader.begin()
        await asyncio.sleep(1.0)
        assert self.reason is None

    def silence(self, *, is_silent=True):
        self.leader.beats = not is_silent
        if is_silent:
            self.leader.answers.step_down()
        else:
            self.leader.answers.lead(self.leader.fence)

    async def end_following(self):
        await stopped((self.following,))

    async def own_term(self, seconds):
        await self.end_following()
        self.followed.follower.expect(2, "host:own")
        await asyncio.sleep(seconds)
        self.following = asyncio.create_task(self.followed.follower.run())


def run_scenario(scenario):
    async def main():
        scene = Scene()
        leading = asyncio.create_task(scene.leader.run())
        await scene.begin()
        await scenario(scene)
        await scene.end_following()
        await stopped((leading,))

    run(main())


def test_a_denial_is_the_reason_for_one_loss_and_not_for_the_next():
    async def scenario(scene):
        scene.silence()
        scene.bus.denials.add(FORBIDDEN)
        await asyncio.sleep(2 * LOST_SECONDS + 1)
        assert scene.reason.startswith("the bus forbids this user to publish to condord.acct.frames; permit it")
        await scene.own_term(2 * STANDING_SECONDS)  # the right was restored
        scene.bus.connect(False)
        await asyncio.sleep(LOST_SECONDS + 0.5)
        assert scene.reason == OFFLINE
        scene.bus.connect(True)
        seen = set()
        for _ in range(60):
            await asyncio.sleep(0.1)
            seen.add(scene.reason)
        assert seen == {NO_OTHER_LEADER}

    run_scenario(scenario)


def test_a_denial_found_before_a_reconnection_is_not_shown_after_it():
    async def scenario(scene):
        scene.silence()
        scene.bus.denials.add(FORBIDDEN)
        await asyncio.sleep(2 * LOST_SECONDS + 1)
        scene.bus.connect(False)
        await asyncio.sleep(1)
        scene.bus.connect(True)
        await asyncio.sleep(3 * LOST_SECONDS)
        assert scene.reason == "host:1 sends no events"

    run_scenario(scenario)


def test_an_ingester_that_led_last_does_not_name_an_earlier_leader():
    async def scenario(scene):
        scene.silence()
        await asyncio.sleep(LOST_SECONDS + 1)
        assert scene.reason == "host:1 sends no events"
        await scene.own_term(120.0)
        await asyncio.sleep(LOST_SECONDS + 1)
        assert scene.reason == NO_OTHER_LEADER

    run_scenario(scenario)


def test_after_its_own_term_an_ingester_names_the_next_leader():
    async def scenario(scene):
        await scene.own_term(5.0)
        scene.leader.fence, scene.leader.name = 3, "host:3"
        scene.leader.begin()
        await asyncio.sleep(1.0)
        assert scene.reason is None
        scene.silence()
        await asyncio.sleep(LOST_SECONDS + 1)
        assert scene.reason == "host:3 sends no events"

    run_scenario(scenario)


@pytest.mark.parametrize("has_subscriber", [True, False])
def test_the_reason_for_one_silence_stays_the_same(has_subscriber):
    async def scenario(scene):
        scene.silence()
        scene.bus.has_subscriber = has_subscriber
        seen = set()
        for _ in range(100):
            await asyncio.sleep(0.1)
            seen.add(scene.reason)
        assert seen == {None, "host:1 sends no events"}
        scene.silence(is_silent=False)
        scene.bus.has_subscriber = True
        await asyncio.sleep(1)
        assert scene.reason is None

    run_scenario(scenario)


def test_the_leaders_answer_stays_the_reason_until_it_changes():
    def refuse(_version):
        raise Unavailable("its own daemon of the account is lost: it sends no events", "")

    async def scenario(scene):
        scene.leader.beats = False
        scene.leader.answers._resume = refuse
        await asyncio.sleep(LOST_SECONDS + 1)
        expected = "the leader answers that its own daemon of the account is lost: it sends no events"
        assert scene.reason == expected
        scene.leader.beats, scene.leader.answers._resume = True, scene.leader.resumed
        await asyncio.sleep(1)
        assert scene.reason is None
        scene.silence()
        await asyncio.sleep(LOST_SECONDS + 0.2)
        assert scene.reason == "host:1 sends no events"

    run_scenario(scenario)


def test_a_leader_that_sends_frames_but_does_not_answer_is_named_as_the_new_one():
    async def scenario(scene):
        scene.silence()
        await asyncio.sleep(LOST_SECONDS + 1)
        scene.leader.fence, scene.leader.name = 2, "host:2"
        scene.leader.publisher.lead(2, "host:2")
        scene.leader.beats = True
        await asyncio.sleep(1.0)
        assert scene.reason == "host:2 leads now, and has not answered yet"

    run_scenario(scenario)
