"""What `condord.daemon.alert_service` is made of, in memory: alerts, their watch, the database, and the delivery."""

import asyncio
import datetime as dt

from condord.live.alert_records import AlertRecord, Transition
from condord.live.alerts import AlertChanges
from condord.live.wire_alerts import ChannelJson, ChannelTestJson

SINCE = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
CHANNEL = ChannelJson(
    name="phone",
    type="webhook",
    min_severity="warning",
    last_delivery_at=None,
    last_error=None,
    waiting=0,
    disabled=False,
)


def record(identity="breached:SPY-1", state="firing", **changes):
    """The record of an alert."""
    rule, _, condor_id = identity.partition(":")
    fields = {
        "severity": "critical",
        "basis": None,
        "since": SINCE,
        "as_of": SINCE,
        "text": "SPY is breached.",
    } | changes
    return AlertRecord(
        id=identity,
        rule=rule,
        definition="breached",
        condor_id=condor_id,
        underlying="SPY",
        opened_at=None,
        state=state,
        **fields,
    )


def firing(identity="breached:SPY-1", **changes):
    """The changes of an alert that begins to fire."""
    fires = record(identity, **changes)
    return AlertChanges(transitions=(Transition(kind="firing", record=fires, notify=None),), records=(fires,))


class FakeAlerts:
    """Alerts whose changes a test sets. `recalled` has the arguments of `recall`."""

    def __init__(self):
        self.records = ()
        self.rules = ()
        self.evaluations = 5
        self.recalled = []
        self.acknowledged = {}
        self.ended = AlertChanges(transitions=(), records=())

    def set_rules(self, rules, now_at):
        self.rules = tuple(rules)
        return self.ended

    def recall(self, records):
        self.recalled.append(records)
        self.records = tuple(records or ())

    def acknowledge(self, alert_id, now_at):
        return self.acknowledged.get(alert_id)

    def visible(self, now_at):
        return [each for each in self.records if each.state != "pending"]

    def shown(self, now_at):
        return list(self.records)


class FakeWatch:
    """A watch that returns `changes` at each evaluation. `has_orders` is what it knows of the account's orders."""

    def __init__(self):
        self.changes = firing()
        self.deadline = 7.0
        self.has_orders = False
        self.switches = 0

    def note_orders(self):
        self.has_orders = True

    def switch(self):
        self.has_orders = False
        self.switches += 1

    def evaluate(self, now, now_at):
        return self.changes


class FakeStore:
    """A database with records by account. `can_read` is cleared to make the disk hang.

    `is_copied`: whether there are other ingesters.
    """

    def __init__(self):
        self.fault = None
        self.is_copied = False
        self.accounts = {}
        self.switched = []
        self.is_closed = False
        self.can_read = asyncio.Event()
        self.can_read.set()

    async def switch_to(self, account_key):
        self.switched.append(account_key)
        await self.can_read.wait()
        return self.accounts.get(account_key, ())

    def close(self):
        self.is_closed = True


class FakeDelivery:
    """Keeps what is added. `can_write` is cleared to make the disk hang. `is_kept`: whether other ingesters have it."""

    def __init__(self, store=None):
        self._store = store
        self.added = []
        self.counts = {("phone", "delivered"): 2}
        self.set = None
        self.is_kept = False
        self.can_write = asyncio.Event()
        self.can_write.set()

    async def switch_to(self, account_key):
        return await self._store.switch_to(account_key)

    async def add(self, changes, documents):
        self.added.append((changes, list(documents)))
        await self.can_write.wait()
        return self.is_kept

    def set_channels(self, channels):
        self.set = list(channels)

    def channels(self):
        return [CHANNEL]

    async def test(self, name):
        return ChannelTestJson(ok=True, status=204, text="delivered") if name == CHANNEL.name else None

    async def run(self):
        await asyncio.Event().wait()
