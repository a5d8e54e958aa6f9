"""The source of a front: its own maker while this process leads, else the ingester that leads on the bus."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from condord.cluster.bus import Bus, BusSettings
from condord.cluster.bus_follower import BusFollower
from condord.cluster.bus_frames import STATE_BUCKET
from condord.cluster.bus_publisher import BusPublisher
from condord.cluster.bus_questions import BusAnswers, BusQuestions
from condord.cluster.connection import SourceSettings
from condord.cluster.election import Election
from condord.cluster.follower import Follower
from condord.cluster.interfaces import Answer
from condord.cluster.kv import KvBucket
from condord.cluster.lease import Lease
from condord.cluster.maker_channel import Begin
from condord.cluster.questions import Questions
from condord.cluster.state_copies import StateCopies, copied_name
from condord.config import schema
from condord.daemon.bus_settings import own_name
from condord.daemon.front_source import FrontSink, FrontSource
from condord.daemon.leadership import Leadership
from condord.daemon.maker_metrics import MakerMetrics
from condord.daemon.ready_maker import ReadyMaker
from condord.daemon.recorded_account import FILE_NAME
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.standby_history import RecordedSink, StandbyHistory
from condord.daemon.term import MakerTerm
from condord.errors import CondordError, Unavailable
from condord.history.store import HistoryStore
from condord.host.deadline import boot_seconds
from condord.live import wire
from condord.live.catch_up import caught_up
from condord.live.frames import framed
from condord.live.relay_path import RelayPath
from condord.live.replica import LostCode, Replica, SourceEvent
from condord.upstream import state_files


class FrontSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a front: the bus, the account on it, the length of a lease, and the inputs of a maker.

    `environ` is the environment of makers, and `maker` the address of the running one. `history` returns `[history]` as
    in force, and `state_directory` an account's directory, given whether its files outlive the process.
    """

    bus: BusSettings
    account: str
    lease_seconds: float
    begin: Begin
    environ: dict[str, str]
    maker: SourceSettings
    history: Callable[[], schema.History]
    state_directory: Callable[[bool], Path]


class Announcements:
    """Gives others on the bus this process's events and answers while it leads. `name` is the name of this process."""

    def __init__(self, publisher: BusPublisher, answers: BusAnswers, follower: BusFollower, name: str) -> None:
        self._publisher = publisher
        self._answers = answers
        self._follower = follower
        self._name = name

    @property
    def forbidden(self) -> str | None:
        """The permission that a leader lacks on the bus; None if none is known to be missing."""
        return self._publisher.forbidden

    def lead(self, fence: int) -> None:
        """Publish and answer under this fence from now on."""
        self._publisher.lead(fence, self._name)
        self._answers.lead(fence)
        self._follower.expect(fence, self._name)  # it follows the bus again after this term

    def take(self, event: SourceEvent) -> None:
        """Publish an event."""
        self._publisher.take(event)

    def step_down(self) -> None:
        """Publish and answer nothing from now on."""
        self._publisher.step_down()
        self._answers.step_down()


class StandbySink(RecordedSink):
    """Takes the events of the bus. While `is_taking_over`, a lost leader is no loss: this process awaits its maker."""

    def __init__(self, feed: FrontSink, history: StandbyHistory, is_taking_over: Callable[[], bool]) -> None:
        super().__init__(feed, history)
        self._front = feed
        self._is_taking_over = is_taking_over

    def lose(self, reason: str, code: LostCode = "leaderLost") -> None:
        """Note that the bus is lost, or that no leader sends anything."""
        if code == "leaderLost" and self._is_taking_over():
            self._front.note_takeover()
        else:
            super().lose(reason, code)


class FollowedFront:
    """Implements `condord.daemon.followed.RelaySource`, and takes part in the election. Needs a running loop."""

    def __init__(
        self, settings: FrontSettings, replica: Replica, feed: RelayFeed, refused: Callable[[CondordError], None]
    ) -> None:
        account, maker, chance = settings.account, settings.maker, random.random
        self.relays = RelayPath()  # no relay sends anything over a bus
        self._replica = replica
        self._feed = feed
        self._name = own_name()
        self.bus = Bus(settings.bus, name=f"condord {self._name}", refused=refused, chance=chance)
        now, bucket = asyncio.get_running_loop().time, KvBucket(self.bus, STATE_BUCKET)
        self.history = _history(settings, replica, feed, bucket)
        recorded = StandbySink(feed, self.history, self._is_taking_over)
        self._of_bus = BusFollower(
            self.bus,
            account,
            recorded,
            refused=refused,
            chance=chance,
            is_silent=lambda: self.leadership.is_unanswered,
            obstacle=lambda: self.term.obstacle,
        )
        own = "this ingester's own daemon of the account"
        ask_maker = Questions(maker, name=own, is_lost=self._is_lost, refused=refused, now=now)
        # If another leader has a higher fence, our lease is lost, too, and that ends the term.
        self.publisher = BusPublisher(self.bus, account, snapshot=self._snapshot, overtaken=lambda: None)
        self.answers = BusAnswers(self.bus, account, answer=ask_maker.ask, resume=self._resumed)
        self._source = FrontSource(
            feed,
            Announcements(self.publisher, self.answers, self._of_bus, self._name),
            of_bus=self._of_bus,
            of_maker=lambda sink: Follower(maker, sink, refused=refused, chance=chance, followed="maker"),
            ask_bus=BusQuestions(
                self.bus,
                account=lambda: account,
                fence=lambda: self._of_bus.order.fence,
                lost=lambda: feed.lost_name,
                now=now,
            ),
            ask_maker=ask_maker,
        )
        self.with_maker = MakerMetrics(ask_maker.ask_now, is_leading=lambda: self._source.is_leading).with_maker
        self.ready = ReadyMaker(settings.environ)
        lease = Lease(self.bus, account, seconds=settings.lease_seconds, nonce=secrets.token_hex(8), now=boot_seconds)
        self.term = MakerTerm(
            lambda: settings.begin,
            ready=self.ready,
            copies=lambda fence: StateCopies(bucket, account, fence),
            switch=self._source,
            history=self.history,
            end=refused,
            lease_seconds=lambda: lease.seconds,
        )
        election = Election(settings.lease_seconds, chance=chance)
        self.leadership = Leadership(
            election,
            lease,
            self.term,
            permission=self.publisher.require_permission,
            holder=self._name,
            bus=self.bus.urls,
            now=boot_seconds,
        )

    @property
    def cluster(self) -> wire.ClusterJson:
        """The role of this ingester, and who leads, without its lag."""
        replica, order, fence = self._replica, self._of_bus.order, self.leadership.fence
        is_leading = fence is not None
        return wire.ClusterJson(
            role="leader" if is_leading else "standby",
            leader=self._name if is_leading else None if self._is_lost() else order.leader or None,
            fence=fence if is_leading else order.fence or None,
            gaps=order.gaps + replica.gaps,
            dropped=order.dropped + replica.dropped,
        )

    async def run(self) -> None:
        """Follow until cancelled; the bus and the leadership run elsewhere."""
        await self._source.run()

    def retry(self) -> None:
        """Connect now instead of after the wait."""
        self._source.retry()

    def note_suspension(self, seconds: float) -> None:
        """Report a loss if nothing has been read for too long, and step down if the lease has expired."""
        self._source.note_suspension(seconds)
        self.leadership.retry()

    async def ask(self, method: str, target: str) -> Answer:
        """Return the answer of this process's maker, or, over the bus, of the leader.

        Raises:
            Unavailable: there is none.
        """
        return await self._source.ask(method, target)

    def _is_taking_over(self) -> bool:
        """Whether this process holds the lease, and no maker has failed since the last one that served."""
        return self.leadership.fence is not None and self.term.obstacle is None

    def _is_lost(self) -> bool:
        return self._feed.lost_reason is not None

    def _snapshot(self) -> tuple[str, bytes] | None:
        if not self._replica.is_known:
            return None
        document = self._replica.edition.document(self._feed.clock())
        return document.version, framed("snapshot", document, document.version)

    def _resumed(self, version: str | None) -> bytes:
        if self._feed.is_lost:  # readers would think that the document comes from a leader that publishes
            raise Unavailable(f"its own daemon of the account is lost: {self._feed.lost_reason}", "")
        return caught_up(self._replica.fanout, version, self._feed.clock())


def _history(settings: FrontSettings, replica: Replica, feed: RelayFeed, bucket: KvBucket) -> StandbyHistory:
    """The recorder for the time in which this process stands by, for the account that the leader records."""

    async def account_hash() -> str | None:
        name = await copied_name(bucket, settings.account, state_files.EXTREMES)
        return None if name is None else state_files.account_hash(name)

    def open_store(lasts: bool) -> HistoryStore:  # noqa: FBT001 - it is the only argument
        return HistoryStore(
            settings.state_directory(lasts) / FILE_NAME,
            machine_at=feed.clock.machine_at,
            keep_days=lambda: settings.history().keep_days,
        )

    return StandbyHistory(
        replica.edition,
        account_hash=account_hash,
        is_enabled=lambda: settings.history().enabled,
        open_store=open_store,
        now_at=feed.clock,
    )
