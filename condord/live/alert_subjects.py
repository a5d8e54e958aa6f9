"""Build the subjects of rules from what is published: condors, broken ones, underlyings, the account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec

from condord.core.calendar import DAY
from condord.core.condor import Condor, strike_text
from condord.core.cutoffs import cutoffs
from condord.core.dividend import next_dividend
from condord.core.model.risk import Risk
from condord.core.occ import parse
from condord.core.rules.facts import ABSENT, Facts, Value
from condord.core.rules.rule import Basis
from condord.core.valuation import Valuation
from condord.live import alert_facts, broken
from condord.live.alert_facts import Exercise, Moment, Terms, Values
from condord.live.alert_pl import PlRange, pl_range, pl_values
from condord.live.alert_subject import ACCOUNT, Subject
from condord.live.book import Book
from condord.live.published import Selection
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import Unmatched

_BASES: tuple[Basis, Basis] = ("mark", "natural")
_MILLS = 1000
_NEVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST_DAY = frozenset({"expiresToday", "lastTradingDay"})
"""The notices about the last trading day."""


class Subjects:
    """The subjects of what `book` publishes.

    `account` has the values of the account, as of its last subject. Without `has_natural`, no rule is about natural
    prices, and those facts of condors are the ones at mark.
    """

    def __init__(self, book: Book) -> None:
        self.has_natural = True
        self.account: dict[Basis, Values] = {"mark": {}, "natural": {}}
        self._book = book
        self._terms: dict[str, Terms] = {}
        self._settled: frozenset[str] = frozenset()
        self._settled_until_at: dt.datetime | None = None
        self._broken: dict[str, BrokenJson] = {}
        self._covered_puts: set[str] = set()
        self._pl: dict[Basis, dict[str, PlRange | None]] = {"mark": {}, "natural": {}}

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
        """Take what positions give: chains, cut-offs, names, and what is left of broken condors."""
        book, edition = self._book, self._book.edition
        self._terms, self._settled_until_at = {}, None
        for chain in book.risks.figures.chains:
            ends = cutoffs(chain.key.expiry, chain.ending, chain.style, when.calendar, book.cutoffs)
            for condor in chain.condors:
                name = broken.name(broken.summary(condor), when.day.year)
                self._terms[condor.id] = Terms(name=name, chain=chain, cutoffs=ends)
        ids = frozenset(
            notice.condor_id
            for notice in edition.status.notices
            if notice.code == "brokenCondor" and notice.condor_id is not None
        )
        found = edition.document(when.now_at, Selection(condors=ids)).broken if ids else ()
        self._broken = {each.id: each for each in found}
        for ranges in self._pl.values():
            for key in ranges.keys() - edition.valuations.core.keys():
                del ranges[key]
        legs = [leg for condor, _ in edition.valuations.core.values() for leg in condor.legs]
        self._covered_puts |= {leg.symbol for leg in legs if leg.right == "put"}
        self._covered_puts |= {leg.symbol for each in self._broken.values() for leg in each.legs}
        self._covered_puts |= {each.symbol for each in edition.unmatched.json.values() if each.cover is not None}

    def subject(self, key: str, when: Moment) -> Subject | None:
        """A subject with its facts; None if it is not there."""
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
        bare = alert_facts.uncovered(entries, self._covered_puts)
        own = {**self._underlying_values(symbol, when), "uncoveredShort": bool(bare)}
        facts = [
            Facts(scope="underlying", subject=symbol, underlying=symbol, values={**self.account[basis], **own})
            for basis in _BASES
        ]
        notes = {"uncoveredShort": _bare_text(bare)} if bare else {}
        return Subject(mark=facts[0], natural=facts[1], name=symbol, is_watched=when.is_watched, notes=notes)

    def _broken_subject(self, was: BrokenJson, when: Moment) -> Subject:
        """What is left of a condor of which none is whole."""
        name = _broken_name(was, when.day.year)
        own, notes = self._break(was.id, name)
        facts = Facts(
            scope="condor",
            subject=was.id,
            underlying=was.underlying,
            kind=was.kind,
            direction=was.direction,
            values={**self.account["mark"], **self._underlying_values(was.underlying, when), **own},
        )
        return Subject(mark=facts, natural=facts, name=name, opened_at=was.opened_at, is_broken=True, notes=notes)

    def _break(self, key: str, name: str) -> tuple[Values, dict[str, str]]:
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
                notes["assignment"] = notice.text
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
        own, notes = self._break(condor.id, terms.name)
        own |= alert_facts.date_values(condor, terms, when)
        own |= alert_facts.risk_values(condor, risk)
        shares = self._book.risks.figures.shares.get(condor.underlying, 0)
        own["nearStrike"] = alert_facts.near_strike(condor, terms, risk, when)
        own["longPutExpiring"] = alert_facts.long_put_expiring(condor, terms, risk, when, shares)
        own["extrinsicLessThanDividend"] = self._extrinsic(condor, terms, risk, when)
        own["blind"] = alert_facts.is_blind(value, when)
        underlying = self._underlying_values(condor.underlying, when)
        facts = []
        for basis in _BASES if self.has_natural else _BASES[:1]:
            self._pl[basis][condor.id] = found = pl_range(condor, value, edition.quotes.core, basis)
            pl = pl_values(condor, value, found)
            facts.append(
                Facts(
                    scope="condor",
                    subject=condor.id,
                    underlying=condor.underlying,
                    kind=condor.kind,
                    direction=condor.direction,
                    values={**self.account[basis], **underlying, **alert_facts.known({**own, **pl}, when)},
                )
            )
        return Subject(
            mark=facts[0],
            natural=facts[-1],
            name=terms.name,
            opened_at=condor.opened_at,
            is_watched=when.is_watched,
            closing_percent=self._closing_percent(condor),
            condor=condor,
            value=value,
            risk=risk,
            notes=notes,
            cutoffs=terms.cutoffs,
            quotes=edition.quotes.core,
        )

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

    def _extrinsic(self, condor: Condor, terms: Terms, risk: Risk, when: Moment) -> Value:
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


def _broken_name(was: BrokenJson, year: int) -> str:
    """The name of a condor that lost legs, as `broken.name` makes it."""
    strikes = "/".join(dict.fromkeys(strike_text(round(leg.strike * _MILLS)) for leg in was.legs))
    day = f"{was.expiration:%b} {was.expiration.day}"
    return f"{was.root} {strikes} {day}" + ("" if was.expiration.year == year else f", {was.expiration.year}")


def _bare_text(bare: list[Unmatched]) -> str:
    names = [f"the short {each.right} {each.symbol}" for each in bare]
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} uncovered"
