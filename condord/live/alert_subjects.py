"""Build the subjects of rules from what is published: condors, broken ones, underlyings, the account."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from condord.core.calendar import DAY
from condord.core.condor import Condor, strike_text
from condord.core.cutoffs import cutoffs
from condord.core.dividend import next_dividend
from condord.core.expiry import last_trading_day
from condord.core.model.risk import Risk
from condord.core.occ import parse
from condord.core.rules.facts import ABSENT, Facts, Value
from condord.core.rules.rule import Basis
from condord.core.valuation import Valuation
from condord.live import alert_facts, alert_text, alert_words, broken, endings
from condord.live.alert_facts import CondorTerms, Exercise, Moment, Values
from condord.live.alert_pl import PlRange, pl_range, pl_values
from condord.live.alert_subject import ACCOUNT, Subject
from condord.live.alert_words import WORDS, LastingWords
from condord.live.book import Book
from condord.live.broken import CondorSummary
from condord.live.published import Selection
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import Unmatched

_BASES: tuple[Basis, Basis] = ("mark", "natural")
_MILLS = 1000
_NEVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST_DAY = frozenset({"expiresToday", "lastTradingDay"})
"""The notices about the last trading day."""


class _SteadyFacts(NamedTuple):
    """The `values` of a condor, which stay the same while `inputs` do and the minute of `when` lasts."""

    inputs: tuple[object, ...]
    when: Moment
    values: Values


class Subjects:
    """The subjects that `book` publishes.

    `account` has the values of the account, as of when its subject was last built. `words` has the words that hold
    until their condor is clearly away from a strike.
    """

    def __init__(self, book: Book) -> None:
        self._has_natural = True
        self.account: dict[Basis, Values] = {"mark": {}, "natural": {}}
        self.words = LastingWords()
        self._book = book
        self._terms: dict[str, CondorTerms] = {}
        self._steady: dict[str, _SteadyFacts] = {}
        self._settled: frozenset[str] = frozenset()
        self._settled_until_at: dt.datetime | None = None
        self._broken: dict[str, BrokenJson] = {}
        self._known: dict[str, CondorSummary] = {}
        self._alike: frozenset[str] = frozenset()
        self._covered_puts: set[str] = set()
        self._pl: dict[Basis, dict[str, PlRange | None]] = {"mark": {}, "natural": {}}

    def set_bases(self, *, has_natural: bool) -> None:
        """Set whether any rule is about natural prices. If not, condors get the facts at mark in their place."""
        self._has_natural = has_natural

    def keys(self) -> Iterator[str]:
        """Every subject, the account last, as it depends on the others."""
        edition = self._book.edition
        yield from edition.underlyings.json
        yield from edition.valuations.core
        yield from (key for key in self._broken if key not in edition.valuations.core)
        yield ACCOUNT

    def settled(self, now_at: dt.datetime) -> frozenset[str]:
        """The condors past their settlement."""
        if self._settled_until_at is None or now_at >= self._settled_until_at:
            settles_at = {key: terms.chain.ending.settles_at for key, terms in self._terms.items()}
            self._settled = frozenset(key for key, at in settles_at.items() if at <= now_at)
            self._settled_until_at = min((at for at in settles_at.values() if at > now_at), default=_NEVER_AT)
        return self._settled

    def regroup(self, when: Moment) -> None:
        """Update what depends on positions: chains, cut-offs, names, and the legs left of broken condors."""
        book, edition = self._book, self._book.edition
        self._terms, self._steady, self._settled_until_at = {}, {}, None
        self._known = {key: condor for key, condor in self._known.items() if condor.expiration >= when.day}
        chains = book.risks.figures.chains
        held = [broken.summary(condor) for chain in chains for condor in chain.condors]
        ids = frozenset(
            notice.condor_id
            for notice in edition.status.notices
            if notice.code == "brokenCondor" and notice.condor_id is not None
        )
        found = edition.document(when.now_at, Selection(condors=ids)).broken if ids else ()
        self._broken = {each.id: each for each in found}
        self._known |= {each.id: book.broken[each.id].condor for each in found}
        self._known |= {each.id: each for each in held}
        self._alike = broken.same_named((*held, *(self._known[each.id] for each in found)))
        for chain in chains:
            ends = cutoffs(chain.key.expiry, chain.ending, chain.style, when.calendar, book.cutoffs)
            for condor in chain.condors:
                name = broken.name(self._known[condor.id], when.day.year, self._alike)
                self._terms[condor.id] = CondorTerms(name=name, chain=chain, cutoffs=ends)
        for ranges in self._pl.values():
            for key in ranges.keys() - edition.valuations.core.keys():
                del ranges[key]
        legs = [leg for condor, _ in edition.valuations.core.values() for leg in condor.legs]
        self._covered_puts |= {leg.symbol for leg in legs if leg.right == "put"}
        self._covered_puts |= {leg.symbol for each in self._broken.values() for leg in each.legs}
        self._covered_puts |= {each.symbol for each in edition.unmatched.json.values() if each.cover is not None}

    def _lost(self, key: str) -> int:
        """How many contracts of the condor disappeared for no known reason."""
        found = self._book.broken.get(key)
        return 0 if found is None else sum(found.missing.values())

    def left(self, key: str) -> str:
        """The legs still held of a condor that is no longer held, in words; empty if there are none."""
        edition, condor = self._book.edition, self._known.pop(key, None)
        held = {
            each.symbol: (each.quantity or 0) * (1 if each.side == "long" else -1)
            for each in edition.unmatched.json.values()
            if each.root is not None  # its symbol can be read
        }
        if condor is None:  # it was closed while condord did not run
            return alert_text.left_of_expiration(key, held)
        in_condors = {leg.symbol for other, _ in edition.valuations.core.values() for leg in other.legs}
        return alert_text.left_of(condor, held, in_condors)

    def subject(self, key: str, when: Moment) -> Subject | None:
        """A subject with its facts; None if it is not published."""
        edition = self._book.edition
        if key == ACCOUNT:
            return self._account_subject(when)
        if key in edition.valuations.core:
            return self._condor_subject(*edition.valuations.core[key], when)
        if key in self._broken:
            return self._broken_subject(self._broken[key], when)
        return self._underlying_subject(key, when) if key in edition.underlyings.json else None

    def _account_subject(self, when: Moment) -> Subject:
        edition = self._book.edition
        reason = alert_facts.feed_down(edition.status, edition.underlyings.json, when)
        for basis, known in self._pl.items():
            ranges = [known.get(key) for key in edition.valuations.core]
            values = alert_facts.account_values(edition.totals, edition.account, ranges)
            self.account[basis] = alert_facts.known({**values, "feedDown": reason is not None}, when)
        facts = [
            Facts(scope="account", subject=ACCOUNT, underlying=None, values=self.account[basis]) for basis in _BASES
        ]
        notes = {} if reason is None else {"feedDown": f"prices are not live, {reason}"}
        return Subject(mark=facts[0], natural=facts[1], name="The account", is_watched=when.is_watched, notes=notes)

    def _underlying_values(self, symbol: str, when: Moment) -> Values:
        entry = self._book.edition.underlyings.json.get(symbol)
        return {} if entry is None else alert_facts.known(alert_facts.underlying_values(entry), when)

    def _underlying_subject(self, symbol: str, when: Moment) -> Subject:
        entries = [each for each in self._book.edition.unmatched.json.values() if each.underlying == symbol]
        uncovered = alert_facts.uncovered(entries, self._covered_puts)
        own = {**self._underlying_values(symbol, when), "uncoveredShort": bool(uncovered)}
        facts = [
            Facts(scope="underlying", subject=symbol, underlying=symbol, values={**self.account[basis], **own})
            for basis in _BASES
        ]
        notes = {"uncoveredShort": _uncovered_text(uncovered, when.day.year)} if uncovered else {}
        return Subject(mark=facts[0], natural=facts[1], name=symbol, is_watched=when.is_watched, notes=notes)

    def _broken_subject(self, was: BrokenJson, when: Moment) -> Subject:
        """The subject for the remaining legs of a condor without a complete unit."""
        name = broken.name(self._known[was.id], when.day.year, self._alike)
        own, notes = self._breakage(was.id, name, when)
        facts = Facts(
            scope="condor",
            subject=was.id,
            underlying=was.underlying,
            kind=was.kind,
            direction=was.direction,
            values={**self.account["mark"], **self._underlying_values(was.underlying, when), **own},
        )
        return Subject(
            mark=facts,
            natural=facts,
            name=name,
            opened_at=was.opened_at,
            is_broken=True,
            lost=self._lost(was.id),
            notes=notes,
        )

    def _left(self, was: BrokenJson, when: Moment) -> str:
        """The legs left of a condor on its last trading day, and until when they can be traded."""
        symbols = {leg.symbol for leg in was.legs if leg.held}
        chains = self._book.risks.figures.chains
        chain = next((each for each in chains if any(one.symbol in symbols for one in each.contracts)), None)
        if chain is None or last_trading_day(chain.ending) != when.day or when.now_at >= chain.ending.last_trading_at:
            return ""
        verb = "is" if sum(leg.held for leg in was.legs) == 1 else "are"
        until = endings.trading_until(chain.key.expiry, chain.ending, when.calendar, self._book.cutoffs, when.now_at)
        last = "which expire today" if chain.ending.settlement == "pm" else "which trade for the last time today"
        return f"; left {verb} {_left_text(was)}, {last}: {until}"

    def _breakage(self, key: str, name: str, when: Moment) -> tuple[Values, dict[str, str]]:
        """Whether a condor is broken or was assigned, and clauses about that and its last day."""
        was, notes = self._broken.get(key), {}
        symbols = set() if was is None else {leg.symbol for leg in was.legs}
        for notice in self._book.edition.status.notices:
            is_shared = notice.condor_id is None and not symbols.isdisjoint(notice.symbols)
            if notice.condor_id != key and not is_shared:
                continue
            if notice.code == "brokenCondor":
                notes["brokenCondor"] = notice.text.removeprefix(f"{name} ")
            elif notice.code == "assignment" and was is not None:
                text = alert_text.in_words(notice.text, notice.symbols, was.underlying, when.day.year)
                notes["assignment"] = text + self._left(was, when)
            elif notice.code in _LAST_DAY:
                notes["expiresToday"] = notice.text.removeprefix(f"{key}: ")
        return {"brokenCondor": was is not None, "assignment": "assignment" in notes}, notes

    def _condor_subject(self, condor: Condor, value: Valuation, when: Moment) -> Subject | None:
        edition, terms = self._book.edition, self._terms[condor.id]
        if terms.chain.ending.settles_at <= when.now_at:
            pl_e4 = value.unrealized_e4
            for ranges in self._pl.values():
                ranges[condor.id] = None if pl_e4 is None else PlRange(pl_e4, pl_e4)
            return None
        risk = edition.risks.core[condor.id]
        own, notes = self._breakage(condor.id, terms.name, when)
        own["blind"] = alert_facts.is_blind(value, when)
        shared = {
            **self._underlying_values(condor.underlying, when),
            **self._steady_values(condor, terms, risk, when),
            **alert_facts.known(own, when),
        }
        facts = []
        for basis in _BASES if self._has_natural else _BASES[:1]:
            self._pl[basis][condor.id] = found = pl_range(condor, value, edition.quotes.core, basis)
            pl = pl_values(condor, value, found)
            facts.append(
                Facts(
                    scope="condor",
                    subject=condor.id,
                    underlying=condor.underlying,
                    kind=condor.kind,
                    direction=condor.direction,
                    values={**self.account[basis], **shared, **alert_facts.known(pl, when)},
                )
            )
        return Subject(
            mark=facts[0],
            natural=facts[-1],
            name=terms.name,
            opened_at=condor.opened_at,
            is_watched=when.is_watched,
            lost=self._lost(condor.id),
            closing_percent=self._closing_percent(condor),
            condor=condor,
            value=value,
            risk=risk,
            spot=terms.chain.spot(risk.price),
            notes=notes,
            cutoffs=terms.cutoffs,
            quotes=edition.quotes.core,
        )

    def _steady_values(self, condor: Condor, terms: CondorTerms, risk: Risk, when: Moment) -> Values:
        """The facts that most quotes do not change, evaluated again only when they may have changed."""
        was, figures = self._steady.get(condor.id), self._book.risks.figures
        shares = figures.shares.get(condor.underlying, 0)
        inputs = condor, risk, figures.dividends, figures.overrides, shares
        if was is not None and was.when.counts_as(when) and all(map(operator.is_, was.inputs, inputs)):
            return was.values
        is_near, is_expiring = (self.words.is_true(condor.id, word, condor.opened_at) for word in WORDS)
        extrinsic = self._extrinsic(condor, terms, risk, when)
        values = {
            **alert_facts.date_values(condor, terms, when),
            **alert_facts.risk_values(condor, risk),
            "nearStrike": alert_words.near_strike(condor, terms, risk, when, holds=is_near),
            "longPutExpiring": alert_words.long_put_expiring(condor, terms, risk, when, shares, holds=is_expiring),
            "extrinsicLessThanDividend": extrinsic,
        }
        values = alert_facts.known(values, when)
        for word in WORDS:
            self.words.note(condor.id, word, condor.opened_at, values.get(word))
        if extrinsic is ABSENT:  # else it depends on quotes
            self._steady[condor.id] = _SteadyFacts(inputs, when, values)
        return values

    def _closing_percent(self, condor: Condor) -> float | None:
        """`percentOfMaxProfit` of the best working order that closes the whole quantity."""
        return max(
            (
                order.percent_of_max_profit
                for order in self._book.edition.closing.json[condor.id]
                if order.quantity >= condor.quantity and order.percent_of_max_profit is not None
            ),
            default=None,
        )

    def _extrinsic(self, condor: Condor, terms: CondorTerms, risk: Risk, when: Moment) -> Value:
        figures, edition = self._book.risks.figures, self._book.edition
        dividend = next_dividend(condor.underlying, figures.dividends, figures.overrides, when.day + DAY)
        if dividend is None:
            return ABSENT
        call = alert_facts.short_call(condor)
        shown = edition.quotes.json.get(call.symbol)
        other = msgspec.structs.replace(parse(call.symbol), right="put").compact
        held = edition.quotes.json.get(other)
        put = edition.quotes.core[other] if held is not None and not held.unconfirmed else None
        exercise = Exercise(
            dividend=dividend,
            call=edition.quotes.core[call.symbol] if shown is not None and not shown.unconfirmed else None,
            put=put or figures.fallbacks.quote(other, when.now_at),
        )
        return alert_facts.extrinsic_less_than_dividend(condor, terms, risk, when, exercise)


def _uncovered_text(uncovered: list[Unmatched], year: int) -> str:
    names = [f"the short {alert_text.contract(each.symbol, each.underlying or '', year)}," for each in uncovered]
    are, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{' and '.join(names)} {are} uncovered; close or cover {them}"


def _left_text(was: BrokenJson) -> str:
    """The legs that are left of a condor: `2 long puts 560 and 2 long calls 640`; empty if none is."""
    names = [
        f"{leg.held} {leg.side} {leg.right}{'' if leg.held == 1 else 's'} {strike_text(round(leg.strike * _MILLS))}"
        for leg in was.legs
        if leg.held
    ]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
