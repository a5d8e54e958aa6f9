"""Evaluate the rules for the account that the key belongs to, and have changes of alerts stored and delivered.

The stored alerts belong to an account. Nothing is evaluated until they have been recalled, and until orders were read
or have failed once: without orders every condor would look as if it were new. After a change of the key, nothing is
evaluated until its account is known. If it is the same account, its alerts continue from memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from condord.core.rules.rule import Rule
from condord.daemon.store_notice import StoreNotice
from condord.errors import SOON_HINT, Unavailable
from condord.live import alert_events, render_alerts
from condord.live.alert_records import AlertRecord, Transition
from condord.live.alert_watch import AlertWatch
from condord.live.alerts import AlertChanges, Alerts
from condord.live.wire import NoticeJson
from condord.live.wire_alerts import AlertsJson

if TYPE_CHECKING:
    from condord.notify.channel import Channel
    from condord.notify.delivery import Delivery
    from condord.notify.store import AlertStore

FILE_NAME = "alerts.sqlite3"
STOP_SECONDS = 1.0
"""How long a stop waits for the last changes to be stored."""
ACKNOWLEDGE_SECONDS = 4.0
"""How long an acknowledgement waits until it is copied to where the next leader finds it.

A running copy may take 2 s, and the copy of the acknowledgement another 2 s. The sum is below the 5 s for which a
server waits for an answer of the leader over the bus.
"""
MAX_WAITING = 10_000
"""How many transitions wait for a slow disk; then the oldest is dropped."""

NOTHING = AlertChanges(transitions=(), records=())
_EVENTS = {
    "firing": "Alert fires",
    "resolved": "Alert has resolved",
    "ended": "Alert has ended",
    "repeat": "Alert still fires",
}
_log = logging.getLogger(__name__)


class AlertService:
    """The `AlertSource` of the publisher, evaluated by `watch`; `take` is its `on_alerts`.

    `show` publishes changes that do not come from `watch`; it is set before `run` is started. `now_at` is the
    exchange's clock (UTC). `run` must be running for anything to be recalled, stored or delivered.
    """

    def __init__(
        self,
        *,
        alerts: Alerts,
        watch: AlertWatch,
        store: AlertStore,
        delivery: Delivery,
        now_at: Callable[[], dt.datetime],
    ) -> None:
        self.show: Callable[[AlertChanges], None] = self.take
        self.delivery = delivery
        self.alerts = alerts
        self._watch = watch
        self._store = store
        self._now_at = now_at
        self._account: str | None = None
        self._recalled: str | None = None
        self._has_orders = False
        self._records: dict[str, AlertRecord] = {}
        self._transitions: deque[Transition] = deque(maxlen=MAX_WAITING)
        self._acknowledging: list[asyncio.Future[bool]] = []
        self._has_work = asyncio.Event()
        self._is_done = asyncio.Event()
        self._notice = StoreNotice("alertsNotStored")

    # Called by the publisher.

    @property
    def deadline(self) -> float | None:
        """When `evaluate` is due although nothing was published, in loop seconds."""
        return self._watch.deadline if self._is_watching else None

    def evaluate(self, now: float, now_at: dt.datetime) -> AlertChanges:
        """Evaluate the subjects published since the last evaluation, and the ones due by time."""
        return self._watch.evaluate(now, now_at) if self._is_watching else NOTHING

    def take(self, changes: AlertChanges) -> None:
        """Queue changes to be stored and delivered."""
        for transition in changes.transitions:
            _log_transition(transition)
        self._transitions += changes.transitions
        self._records |= {record.id: record for record in changes.records}
        self._wake()

    # Called by the feed.

    def note_account(self, account_key: str) -> None:
        """Evaluate this account once its alerts are recalled."""
        self._account = account_key
        self._wake()

    def note_orders(self) -> None:
        """Note that the positions shown were grouped with the account's orders, or that these cannot be read.

        Rules are evaluated from now on, once the alerts are recalled.
        """
        self._has_orders = True
        self._watch.note_orders()

    def forget(self) -> None:
        """Evaluate nothing until the account is known again: the key has changed."""
        self._account = None
        self._has_orders = False

    @property
    def _is_watching(self) -> bool:
        return self._account is not None and self._account == self._recalled and self._has_orders

    # Called by requests and reloads.

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Evaluate these rules from now on. Alerts of rules that are gone, or were changed, end."""
        self.show(self.alerts.set_rules(rules, self._now_at()))

    def set_channels(self, channels: Sequence[Channel]) -> None:
        """Deliver to these channels from now on."""
        self.delivery.set_channels(channels)

    async def acknowledge(self, alert_id: str) -> bool:
        """Note that a person has seen this alert; False if there is none with this id.

        An ingester returns only once the next leader would know of it.

        Raises:
            Unavailable: the bus has not confirmed it within `ACKNOWLEDGE_SECONDS`, so the next leader may not know.
        """
        changes = self.alerts.acknowledge(alert_id, self._now_at())
        if changes is None:
            return False
        self.show(changes)
        if self._store.is_copied and not await self._save_for_next_leader():
            text = "the bus has not confirmed the acknowledgement, so the next leader may not know of it"
            raise Unavailable(text, SOON_HINT)
        return True

    def answer(self) -> AlertsJson:
        """The body of `GET /api/alerts`: alerts that fire, then the others; of both the newest first."""
        now_at = self._now_at()
        visible = self.alerts.visible(now_at)
        return AlertsJson(
            as_of=now_at,
            alerts=render_alerts.alerts(sorted(visible, key=lambda record: record.state != "firing")),
            rules=render_alerts.rules(self.alerts.rules),
            channels=self.delivery.channels(),
        )

    @property
    def counts(self) -> dict[tuple[str, ...], int]:
        """How many alerts are pending or firing, by rule and state."""
        rules = (rule.name for rule in self.alerts.rules if rule.enabled)
        return alert_events.by_rule_and_state(rules, self.alerts.records)

    @property
    def evaluations(self) -> int:
        """How often a rule was evaluated for a subject."""
        return self.alerts.evaluations

    def notices(self) -> list[NoticeJson]:
        """The notice that alerts are not stored, if so."""
        return self._notice.of(self._store.fault)

    # Storing and delivering.

    async def run(self) -> None:
        """Store and deliver changes, and recall the alerts of each account, until cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            await self._save()
            if self._account is not None and self._account != self._recalled:
                await self._recall(self._account)
            if not self._has_work.is_set():
                self._is_done.set()

    async def finish(self) -> None:
        """Evaluate nothing more, and wait until everything is stored, `STOP_SECONDS` at most."""
        self._account = None
        self._wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._is_done.wait()

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _wake(self) -> None:
        self._is_done.clear()
        self._has_work.set()

    async def _save(self) -> None:
        """Store and deliver the waiting changes. The store keeps changes that it cannot write, and tries again."""
        records, self._records = self._records, {}
        transitions = tuple(self._transitions)
        self._transitions.clear()
        acknowledging, self._acknowledging = self._acknowledging, []
        if not records and not transitions and not acknowledging:
            return
        documents = [render_alerts.alert(transition.record) for transition in transitions]
        changes = AlertChanges(transitions=transitions, records=tuple(records.values()))
        is_kept = await self.delivery.add(changes, documents)
        for each in acknowledging:
            if not each.done():  # else it has waited for too long
                each.set_result(is_kept)

    async def _save_for_next_leader(self) -> bool:
        """Save, even if nothing has changed, and return whether the next leader would know of it."""
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._acknowledging.append(kept)
        self._wake()
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                return await kept
        except TimeoutError:
            return False

    async def _recall(self, account_key: str) -> None:
        """Continue with the stored state of this account."""
        if self._recalled is not None:  # the alerts of another account must not be shown meanwhile
            self.alerts.recall(())
            self.show(NOTHING)
        self._recalled = None
        self._watch.switch()
        records = await self.delivery.switch_to(account_key)
        if account_key == self._account:  # else it was switched again meanwhile
            self.alerts.recall(records)
            self._recalled = account_key
            if self._has_orders:
                self._watch.note_orders()
            self.show(NOTHING)


def _log_transition(transition: Transition) -> None:
    record = transition.record
    # Not a warning: those are about the daemon, and this is about the account.
    _log.info(_EVENTS[transition.kind], extra={"fields": {"id": record.id, "severity": record.severity}})
