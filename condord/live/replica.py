"""Hold the document of another server, and pass its events on unchanged, ids included.

Each event is applied to an `Edition`, as a client applies it, under the number that its source gave it. So filters,
intervals, resumes and snapshots are made here, and a client may go from one server to another with its last event.

A source sends events in order, but a connection may go to a server that is behind, and a resume joins events. An event
that is not newer than the document is dropped. One that begins later than the document leaves a gap, which only a
snapshot closes.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple

import msgspec

from condord.live import wire
from condord.live.compression import Frame
from condord.live.fanout import Fanout
from condord.live.frames import framed
from condord.live.lost_status import lost_status, with_newest_message
from condord.live.published import Edition
from condord.live.subscriber import Subscriber
from condord.live.wire_risk import ModelJson

LostCode = Literal["sourceLost", "busLost", "leaderLost"]
"""What is lost: the source of a relay, the connection to the bus, or, while that lasts, the leader on the bus."""


_EPOCH_AT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNKNOWN = wire.Status(
    state="starting",
    reason=None,
    code=None,
    since=_EPOCH_AT,
    source="simulator",
    feed="indicative",
    market=wire.MarketJson(is_open=None, next_open=None, next_close=None),
    stream=wire.StreamJson(connected=False, subscribed=0, requested=0, reconnects=0, last_message_at=None),
    positions=wire.Positions(read_at=None, error=None, breaker="closed"),
    model=ModelJson(rate=0.0, dividend_yields={}),
)
_NO_TOTALS = wire.TotalsJson(
    condors=0, incomplete=0, unrealized_pl=None, natural_pl=None, unmatched_pl=None, max_loss=None, by_underlying=[]
)


class SourceEvent(NamedTuple):
    """One event: its name, its id if it has one, its data as JSON, and the whole block to pass on.

    `resync` is the reason in the comment of a snapshot that replaces events.
    """

    name: str
    id: str | None
    data: bytes
    block: bytes
    resync: str | None = None


class UnreadableEvent(ValueError):
    """An event cannot be decoded: the source is not a condord, or is one of another version."""


def empty_edition(replay_size: int) -> Edition:
    """Return an edition of nothing, for a server that does not publish before it has read a document."""
    return Edition(epoch="", replay_size=replay_size, status=_UNKNOWN, totals=_NO_TOTALS)


class Replica:
    """The document of a source, in `edition`, and the fan-out that passes its events on.

    `is_known` is true from the first snapshot on. `is_lost` is true from `lose` until an event brings the status of the
    source; meanwhile the document and every stream have a status with the code.
    `needs_snapshot` is true after a gap: every event but a snapshot is ignored. `gaps` counts gaps, and `dropped` the
    events that are not newer than the document.
    """

    def __init__(self, edition: Edition, fanout: Fanout) -> None:
        self.edition = edition
        self.fanout = fanout
        self.is_known = False
        self.is_lost = False
        self.needs_snapshot = False
        self.gaps = 0
        self.dropped = 0
        self._epoch = ""
        self._base: int | None = None  # the number of the newest event of this connection

    @property
    def resume_version(self) -> str | None:
        """The last event, for the source to resume after; None if a snapshot is needed."""
        return self.edition.version if self.is_known and not self.needs_snapshot else None

    def begin(self) -> None:
        """Note that a new connection has begun, which has requested the events after `resume_version`."""
        self._base = None

    def take(self, event: SourceEvent, now: float, now_at: dt.datetime) -> tuple[dt.datetime | None, list[Subscriber]]:
        """Take the next event of the connection: its `asOf`, if it has one, and the subscribers to wake.

        Raises:
            UnreadableEvent: it cannot be decoded.
        """
        try:
            match event.name:
                case "snapshot":
                    return self._take_snapshot(event, now, now_at)
                case "delta":
                    return self._take_delta(event, now, now_at)
                case "heartbeat":
                    return msgspec.json.decode(event.data, type=wire.Heartbeat).as_of, []
                case "alert" if self.is_known and not self.needs_snapshot:
                    return None, self.fanout.pass_on_alert(Frame(event.block), now, now_at)
        except msgspec.DecodeError as error:
            raise UnreadableEvent(f"an event cannot be understood: {error}") from error
        return None, []

    def lose(self, code: LostCode, reason: str, now_at: dt.datetime) -> list[Subscriber]:
        """Note that the source is lost, and give subscribers a status without an id. Returns those to wake.

        A second call does nothing, unless it has another code or reason.
        """
        status = self.edition.status
        if self.is_lost and (status.code is None or (status.code, status.reason) == (code, reason)):
            return []
        self.is_lost = True
        if not self.is_known:
            return []
        known = with_newest_message(status, self.edition.quotes.json.values())
        lost = lost_status(known, code=code, reason=reason, now_at=now_at)
        delta = wire.Delta(as_of=now_at, quotes=[], valuations=[], unmatched=[], status=lost)
        return self._announce(lost, framed("delta", delta))

    def _announce(self, status: wire.Status, block: bytes) -> list[Subscriber]:
        self.edition.touch(status)
        return self.fanout.announce(Frame(block))

    def _take_snapshot(
        self, event: SourceEvent, now: float, now_at: dt.datetime
    ) -> tuple[dt.datetime, list[Subscriber]]:
        document = msgspec.json.decode(event.data, type=wire.Document)
        epoch, number = _parts(document.version)
        self._base = number
        if self.is_known and epoch == self._epoch and number < self.edition.number:
            self.dropped += 1
            return document.as_of, []
        if self.is_known and epoch == self._epoch and (self.needs_snapshot or event.resync is not None):
            self.gaps += not self.needs_snapshot  # any other gap was counted when it was found
        self._fill(document, epoch, number)
        self._epoch = epoch
        self.is_known, self.is_lost, self.needs_snapshot = True, False, False
        return document.as_of, self.fanout.pass_on(Frame(event.block), now, now_at, is_whole=True)

    def _take_delta(self, event: SourceEvent, now: float, now_at: dt.datetime) -> tuple[dt.datetime, list[Subscriber]]:
        delta = msgspec.json.decode(event.data, type=wire.Delta)
        if event.id is None:
            return delta.as_of, self._take_status(event, delta)
        epoch, number = _parts(event.id)
        base, self._base = self._base, number
        if not self.is_known or self.needs_snapshot:
            return delta.as_of, []
        newest = self.edition.number
        if epoch != self._epoch or (base is not None and base < newest < number):
            self.gaps += 1
            self.needs_snapshot = True
            return delta.as_of, []
        ends_loss = self.edition.status.code in wire.LOST_CODES and delta.status is not msgspec.UNSET
        is_catch_up = base is None  # the first event of a connection has the newest number if nothing was missed
        if number < newest or (number == newest and not is_catch_up and not ends_loss):
            self.dropped += 1
            return delta.as_of, []
        self._apply(delta, number)
        urgent = delta.status is not msgspec.UNSET
        self.is_lost = self.is_lost and not urgent
        return delta.as_of, self.fanout.pass_on(Frame(event.block), now, now_at, urgent=urgent, with_status=ends_loss)

    def _take_status(self, event: SourceEvent, delta: wire.Delta) -> list[Subscriber]:
        """Take a status without an id: the source has lost its own source, or has it back."""
        if not self.is_known or delta.status is msgspec.UNSET:
            return []
        return self._announce(delta.status, event.block)

    def _apply(self, delta: wire.Delta, number: int) -> None:
        """Publish the changes as event `number`."""
        edition, since = self.edition, self.edition.number
        edition.follow(self._epoch, number)
        self._apply_prices(delta, number)
        for closing in delta.closing or ():
            edition.closing.show(closing.id, closing.orders, number)
        for points in delta.history or ():
            edition.append(points)
        if delta.history is not msgspec.UNSET and number > since + 1:
            edition.join(since)
        if delta.alerts is not msgspec.UNSET or delta.alerts_gone is not msgspec.UNSET:
            alerts = edition.alerts.shown | {alert.id: alert for alert in delta.alerts or ()}
            gone = frozenset(delta.alerts_gone or ())
            edition.alerts.put((alert for alert in alerts.values() if alert.id not in gone), number)
        if delta.totals is not msgspec.UNSET:
            edition.set_totals(delta.totals)
        if delta.account is not msgspec.UNSET:
            edition.set_account(delta.account)
        if delta.status is not msgspec.UNSET:
            edition.set_status(delta.status)

    def _apply_prices(self, delta: wire.Delta, number: int) -> None:
        edition = self.edition
        for quote in delta.quotes:
            edition.quotes.show(quote.symbol, quote, number)
        for valuation in delta.valuations:
            edition.valuations.show(valuation.id, valuation, number)
        for entry in delta.unmatched:
            edition.unmatched.show(entry.symbol, entry, number)
        for risk in delta.risks or ():
            edition.risks.show(risk.id, risk, number)
        for underlying in delta.underlyings or ():
            edition.underlyings.show(underlying.symbol, underlying, number)

    def _fill(self, document: wire.Document, epoch: str, number: int) -> None:
        """Publish a whole document as event `number`."""
        edition = self.edition
        edition.follow(epoch, number - 1)
        edition.quotes.fill_shown((quote.symbol, quote) for quote in document.quotes)
        edition.valuations.fill_shown((condor.id, condor.valuation) for condor in document.condors)
        edition.risks.fill_shown((condor.id, condor.risk) for condor in document.condors)
        edition.closing.fill_shown((condor.id, condor.closing) for condor in document.condors)
        edition.unmatched.fill_shown((entry.symbol, entry) for entry in document.unmatched)
        edition.underlyings.fill_shown((underlying.symbol, underlying) for underlying in document.underlyings)
        edition.touch_account(document.account)
        edition.recast(condors=document.condors, broken=document.broken, totals=document.totals, status=document.status)
        edition.alerts.put(document.alerts, number)


def _parts(version: str) -> tuple[str, int]:
    """Return the epoch and the number of a version.

    Raises:
        UnreadableEvent: it is not a version.
    """
    epoch, _, number = version.rpartition("-")
    if not (epoch and number.isascii() and number.isdigit() and len(number) < 20):
        raise UnreadableEvent("an event has an invalid id")
    return epoch, int(number)
