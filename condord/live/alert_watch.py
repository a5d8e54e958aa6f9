"""Choose the subjects in the published document that rules are evaluated for, and when.

Each call of `evaluate` takes the subjects that were published since the last one, and those that are due by time. These
are the ones with an alert that has held for long enough, and all of them once a minute, as dates, cut-offs and the
first minutes of a session count in whole minutes. Many subjects are evaluated in slices, between which the event loop
does other work.

Nothing is evaluated before positions were read, and orders were read or have failed once. A subject is gone when a
reading that is shown does not have it, but not in the first seconds, as the first reading may be incomplete.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence

from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.rule import Rule, Scope
from condord.live import alert_facts, wire
from condord.live.alert_facts import Moment
from condord.live.alert_subject import ACCOUNT, Subject
from condord.live.alert_subjects import Subjects
from condord.live.alerts import AlertChanges, Alerts
from condord.live.book import Book
from condord.live.wire_risk import AccountJson

SLICE = 20
"""How many subjects one call of `evaluate` evaluates: it keeps an iteration of the event loop well below 10 ms."""
SETTLE_SECONDS = 10.0
"""How long after the first evaluation no subject counts as gone."""
_MINUTE_SECONDS = 60
_MIN_SECONDS = 0.001
"""The shortest wait for an evaluation that is due by time, so that rounding cannot make the event loop spin."""
_MARGIN_SECONDS = 0.05
"""How long after a full minute the evaluation is: a timer that fires early would still be in the minute before."""


class SessionClock:
    """Counts the seconds in which a session was open, in `seconds`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.is_open = False
        self._market = wire.MarketJson(is_open=None, next_open=None, next_close=None)
        self._counted_at: float | None = None

    def count(self, market: wire.MarketJson, now: float, now_at: dt.datetime) -> None:
        """Count up to `now`, at most up to the close, and take the hours from here on."""
        was, self._market = self._market, market
        if self.is_open and self._counted_at is not None:
            late_seconds = 0.0 if was.next_close is None else (now_at - was.next_close).total_seconds()
            self.seconds += max(0.0, now - self._counted_at - max(0.0, late_seconds))
        self._counted_at = now
        is_before_close = market.next_close is None or now_at < market.next_close
        self.is_open = market.is_open is True and is_before_close


class AlertWatch:
    """Evaluates the rules of `alerts` on the values that `book` publishes.

    `deadline` is when `evaluate` is due by time, in loop seconds; None before the first evaluation.
    """

    def __init__(self, book: Book, alerts: Alerts) -> None:
        self.alerts = alerts
        self.deadline: float | None = None
        self._book = book
        self._session = SessionClock()
        self._are_orders_known = False
        self._forget()

    def _forget(self) -> None:
        self._subjects = Subjects(self._book)
        self._number = -1
        self._waiting: dict[str, None] = {}
        self._gone_from: float | None = None
        self._is_gone_due = False
        self._minute: dt.datetime | None = None
        self._rules: tuple[Rule, ...] = ()
        self._recalls = -1
        self._mixed_scopes: frozenset[tuple[Scope, Scope]] = frozenset()
        self._status: wire.Status | None = None
        self._totals: wire.TotalsJson | None = None
        self._balances: AccountJson | None = None

    def note_orders(self) -> None:
        """Note that orders were read, or have failed once, and that positions grouped by them are published."""
        self._are_orders_known = True

    def switch(self) -> None:
        """Forget the published values: the account has changed. Its orders are not known yet."""
        self._are_orders_known = False
        self._forget()

    def evaluate(self, now: float, now_at: dt.datetime) -> AlertChanges:
        """Evaluate the due subjects. `now` is in loop seconds, `now_at` the exchange's time."""
        edition, alerts = self._book.edition, self.alerts
        status = edition.status
        self._session.count(status.market, now, now_at)
        if any(notice.code == "ordersUnavailable" for notice in status.notices):
            self._are_orders_known = True
        if status.positions.read_at is None or not self._are_orders_known or not alerts.is_ready:
            self.deadline = None
            return AlertChanges()
        if self._gone_from is None:
            self._gone_from = now + SETTLE_SECONDS
        when = alert_facts.moment(self._book.risks.figures.calendar, now_at, is_session=self._session.is_open)
        self._collect(when)
        past, missing = self._settled(now_at), self._gone(now)
        settled = alerts.gone(dict.fromkeys(past, ""), now_at, "settled")
        ended = alerts.gone({key: self._subjects.left(key) for key in missing}, now_at)
        self._subjects.words.forget([*past, *missing])
        account = dict(self._subjects.account)
        found = alerts.evaluate(self._next_subjects(when), session_seconds=self._session.seconds, now_at=now_at)
        if self._subjects.account != account:
            self._add_for_account()
        self.deadline = self._next_deadline(now, now_at)
        parts = settled, ended, found
        return AlertChanges(
            transitions=tuple(each for part in parts for each in part.transitions),
            records=tuple(each for part in parts for each in part.records),
        )

    def _next_subjects(self, when: Moment) -> list[Subject]:
        """Build the next subjects that wait."""
        subjects = []
        for key in list(itertools.islice(self._waiting, SLICE)):
            del self._waiting[key]
            if (subject := self._subjects.subject(key, when)) is not None:
                subjects.append(subject)
            else:
                self.alerts.pause(key, self._session.seconds, when.now_at)
        return subjects

    def _next_deadline(self, now: float, now_at: dt.datetime) -> float:
        if self._waiting:
            return now
        due = [now + _MINUTE_SECONDS - (now_at.timestamp() - _MARGIN_SECONDS) % _MINUTE_SECONDS]
        if self._session.is_open and (seconds := self.alerts.next_seconds(self._session.seconds)) is not None:
            due.append(now + max(seconds, _MIN_SECONDS))
        if self._is_gone_due and self._gone_from is not None:
            due.append(max(now, self._gone_from))
        return min(due)

    # The methods below choose the subjects to evaluate.

    def _collect(self, when: Moment) -> None:
        """Add to `_waiting` the subjects published since the last evaluation, and the ones due by time."""
        edition = self._book.edition
        minute = when.now_at.replace(second=0, microsecond=0)
        is_other = self.alerts.rules is not self._rules or self.alerts.recalls != self._recalls
        if self._number < 0 or edition.needs_snapshot(self._number):
            self._subjects.regroup(when)
            is_other = True
        if self.alerts.recalls != self._recalls:
            self._subjects.words.recall(self.alerts.pending_or_firing())
        if is_other:
            self._rules, self._recalls = self.alerts.rules, self.alerts.recalls
            self._mixed_scopes = _mixed_scopes(self._rules)
            self._subjects.set_bases(has_natural=self.alerts.has_natural)
            self._is_gone_due = True
        if is_other or minute != self._minute or self._has_other_status():
            self._add(self._subjects.keys())
        else:
            self._add_published()
            self._add(sorted(self.alerts.due(self._session.seconds)))
        self._minute, self._number = minute, edition.number
        self._status, self._totals, self._balances = edition.status, edition.totals, edition.account

    def _add(self, keys: Iterable[str]) -> None:
        self._waiting.update(dict.fromkeys(keys))

    def _add_published(self) -> None:
        """Add what was published since the last evaluation, and the condors of an underlying if a rule names both."""
        edition, number = self._book.edition, self._number
        underlyings = dict.fromkeys(edition.underlyings.since(number))
        left = (edition.unmatched.json[symbol].underlying for symbol in edition.unmatched.since(number))
        underlyings |= dict.fromkeys(symbol for symbol in left if symbol in edition.underlyings.json)
        condors = dict.fromkeys([*edition.valuations.since(number), *edition.risks.since(number)])
        if underlyings and ("condor", "underlying") in self._mixed_scopes:
            every = edition.valuations.core.items()
            condors |= dict.fromkeys(key for key, (condor, _) in every if condor.underlying in underlyings)
        self._add([*underlyings, *condors])
        if underlyings or edition.totals is not self._totals or edition.account is not self._balances:
            self._add([ACCOUNT])

    def _add_for_account(self) -> None:
        """Add the subjects with a rule that also names a quantity of the account."""
        if ("underlying", "account") in self._mixed_scopes:
            self._add(self._book.edition.underlyings.json)
        if ("condor", "account") in self._mixed_scopes:
            self._add(self._book.edition.valuations.json)

    def _has_other_status(self) -> bool:
        """Whether the status has changed in a field on which facts depend."""
        status, was = self._book.edition.status, self._status
        if status is was or was is None:
            return was is None
        return (status.state, status.market, status.notices) != (was.state, was.market, was.notices)

    def _settled(self, now_at: dt.datetime) -> list[str]:
        """The condors past their settlement, which are still held."""
        return sorted(key for key in self._subjects.settled(now_at) if self.alerts.follows(key))

    def _gone(self, now: float) -> list[str]:
        """The subjects that are not there any longer."""
        if not self._is_gone_due or self._gone_from is None or now < self._gone_from:
            return []
        self._is_gone_due = False
        return sorted(self.alerts.subjects - frozenset(self._subjects.keys()))


def _mixed_scopes(rules: Sequence[Rule]) -> frozenset[tuple[Scope, Scope]]:
    """Pairs of the scope of an enabled rule and the scope of a quantity that it names."""
    return frozenset(
        (rule.scope, QUANTITIES[condition.quantity].scope)
        for rule in rules
        if rule.enabled
        for condition in (*rule.when, *rule.clear)
    )
