"""Decide when risk figures are computed and published.

A pass computes everything from what is published when it begins, so that its figures belong to one instant. It begins
at most every `interval_seconds`, when something has changed, and with each minute. It runs in slices, between which the
event loop does other work, and its results are published together: the risks and underlyings that have changed enough,
and the account's theta. Nothing here is called for a single quote.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from condord.core.dividend import Dividend
from condord.core.model.alpaca_check import MAX_DIFFERENCE
from condord.core.model.assumptions import Assumptions
from condord.core.model.figures import OptionSnapshot
from condord.core.model.risk import Greeks
from condord.core.occ import symbols_text
from condord.core.quote import Tick
from condord.core.underlying import UnderlyingPrice
from condord.live import render_risk, risk_changes
from condord.live.notices import Notice
from condord.live.published import Edition
from condord.live.recording import MARGIN_SECONDS, STEP_SECONDS
from condord.live.risk_figures import CondorRisk, PublishedMarket, RiskFigures, UnderlyingRisk
from condord.live.underlying_prices import UnderlyingPrices
from condord.live.wire_risk import RiskJson, UnderlyingJson

SLICE = 100
"""The cost of a slice, where a contract costs 1: it keeps an iteration of the event loop well below 10 ms."""
SETTLE_SECONDS = 10.0
"""How often, at least, prices are judged, as they become unconfirmed without any message."""
JUDGE_COST = 1
"""The cost of comparing a condor's risk with the published one, and of rendering it."""


class RiskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The assumptions of the model, and the minimum time between two passes."""

    assumptions: Assumptions = Assumptions()
    interval_seconds: float = 2.0


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a pass to publish: risks by condor id, underlyings by symbol, and the theta of everything held.

    `parts` has the published figures of each underlying then.
    """

    risks: Mapping[str, tuple[CondorRisk, RiskJson]]
    underlyings: Mapping[str, tuple[UnderlyingPrice, UnderlyingJson]]
    parts: Mapping[str, UnderlyingRisk]
    theta: float | None
    incomplete: int


class Risks:
    """The only writer of the risks and underlyings of `edition`.

    `notice` is about figures from Alpaca that differ from the model's. `theta` and `incomplete` are as published.
    """

    def __init__(self, edition: Edition, settings: RiskSettings, prices: UnderlyingPrices) -> None:
        self.figures = RiskFigures(settings.assumptions)
        self.interval_seconds = settings.interval_seconds
        self.theta: float | None = None
        self.incomplete = 0
        self.notice: Notice | None = None
        self._edition = edition
        self._prices = prices
        self._running: Iterator[int] | None = None
        self._due: Publication | None = None
        self._parts: Mapping[str, UnderlyingRisk] = {}
        self._unjudged: Sequence[OptionSnapshot] = ()
        self._is_changed = False
        self._began = self._settled = -math.inf
        self._next_minute = -math.inf
        self._minute: dt.datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether a pass has begun and not ended."""
        return self._running is not None

    @property
    def deadline(self) -> float | None:
        """When `step` is due, in loop seconds; None if nothing is held, or if results wait to be published."""
        if self._due is not None or not self.figures.chains:
            return None
        if self._running is not None:
            return self._began
        earliest = self._began + self.interval_seconds
        if self._is_changed:
            return earliest
        return max(earliest, min(self._next_minute, self._settled + SETTLE_SECONDS))

    def set_model(self, settings: RiskSettings, overrides: Sequence[Dividend]) -> None:
        """Compute with other assumptions or dividends, or at another pace, from the next pass on."""
        self.figures.assumptions, self.interval_seconds = settings.assumptions, settings.interval_seconds
        self.figures.overrides = tuple(overrides)
        self._is_changed = True

    def note_change(self) -> None:
        """Note that something has changed that figures depend on."""
        self._is_changed = True

    def take_snapshots(self, snapshots: Sequence[OptionSnapshot]) -> None:
        """Take a whole read of Alpaca's figures. The next pass compares them with what Alpaca's own method gives."""
        self.figures.fallbacks.take_snapshots(snapshots)
        self._unjudged, self._is_changed = snapshots, True

    def take_opposite_quotes(self, ticks: Sequence[Tick], now_at: dt.datetime) -> None:
        """Take the latest quotes of contracts that are not held."""
        self.figures.take_opposite_quotes(ticks, self._market(now_at))
        self._is_changed = True

    def set_dividends(self, dividends: Sequence[Dividend]) -> None:
        """Take the dividends that Alpaca has announced."""
        self.figures.dividends, self._is_changed = tuple(dividends), True

    def opposite_contracts(self, now_at: dt.datetime) -> tuple[str, ...]:
        """The contracts that are not held whose quotes `take_opposite_quotes` needs, as in `RiskFigures`."""
        return self.figures.opposite_contracts(self._market(now_at))

    def set_shares(self, shares: Mapping[str, int]) -> None:
        """Take the signed shares held, by symbol."""
        if shares != self.figures.shares:
            self.figures.shares, self._is_changed = shares, True

    def fill(self, now: float, now_at: dt.datetime) -> None:
        """Fill the edition for a snapshot, with the figures of the positions held now. A pass in progress is given up.

        If a pass is short, it runs at once. Otherwise figures that are not known yet follow with the next pass.
        """
        self._running = self._due = None
        self._settle(now, now_at)
        market = self._market(now_at)
        if self.figures.cost <= SLICE:
            self._note_begin(now, now_at)
            for _ in self.figures.compute(market):
                pass
        else:
            self._is_changed = True
        results = self.figures.results()
        self._edition.risks.fill((identity, found.risk, _json(found)) for identity, found in results.risks.items())
        self._parts = results.parts({identity: found.risk for identity, found in results.risks.items()})
        self._edition.underlyings.fill(
            (symbol, market.prices[symbol], self._underlying(symbol, market, part.greeks))
            for symbol, part in sorted(self._parts.items())
        )
        self.theta, self.incomplete = _totals(self._parts, results.unreadable)

    def step(self, now: float, now_at: dt.datetime) -> bool:
        """Run one slice, if that is due. True if there are results to be published with `amend`."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return False
        if self._running is None:
            self._settle(now, now_at)
            if not self._is_changed and now < self._next_minute:
                return False
            self._running = self._pass(self._market(now_at), is_minute=self._note_begin(now, now_at))
        spent = 0
        for cost in self._running:
            spent += cost
            if spent >= SLICE:
                return False
        self._running = None
        return self._due is not None

    @property
    def is_due(self) -> bool:
        """Whether results wait to be published."""
        return self._due is not None

    def amend(self, number: int, now: float) -> None:
        """Put the results that wait into event `number`. The next pass begins an interval after `now`, or later."""
        due, self._due = self._due, None
        if due is None:
            return
        self._began = now
        edition = self._edition
        for identity, (found, risk) in due.risks.items():
            edition.risks.put(identity, found.risk, risk, number)
        for symbol, (price, underlying) in due.underlyings.items():
            edition.underlyings.put(symbol, price, underlying, number)
        self._parts, self.theta, self.incomplete = due.parts, due.theta, due.incomplete

    def _note_begin(self, now: float, now_at: dt.datetime) -> bool:
        """Note that a pass begins; True if it is the first of its minute."""
        self._began, self._is_changed = now, False
        into_minute = (now_at.timestamp() - MARGIN_SECONDS) % STEP_SECONDS
        self._next_minute = now + STEP_SECONDS - into_minute
        before, self._minute = self._minute, now_at.replace(second=0, microsecond=0)
        return before != self._minute

    def _settle(self, now: float, now_at: dt.datetime) -> None:
        """Judge the prices of underlyings that have arrived."""
        self._settled = now
        market = self._market(now_at)
        for symbol in self.figures.indexes:
            self._prices.set_parity(symbol, self.figures.parity_e4(symbol, market), now_at)
        if self._prices.settle(now, now_at, is_open=market.is_open is True):
            self._is_changed = True

    def _market(self, now_at: dt.datetime) -> PublishedMarket:
        """The results as they are published now. The objects never change, so copies of the dicts keep it as it is."""
        edition = self._edition
        return PublishedMarket(
            now_at=now_at,
            is_open=edition.status.market.is_open,
            prices={symbol: self._prices.price(symbol) for symbol in self.figures.underlyings},
            quotes=dict(edition.quotes.core),
            shown=dict(edition.quotes.json),
        )

    def _pass(self, market: PublishedMarket, *, is_minute: bool) -> Iterator[int]:
        yield from self.figures.compute(market)
        yield from self._judge_snapshots(market)
        results = self.figures.results()
        risks: dict[str, tuple[CondorRisk, RiskJson]] = {}
        for identity, found in results.risks.items():
            if (json := self._counting(identity, found, is_minute=is_minute)) is not None:
                risks[identity] = found, json
            yield JUDGE_COST
        touched = {found.condor.underlying for found, _ in risks.values()}
        published = {
            identity: risks[identity][0].risk if identity in risks else risk
            for identity, risk in self._edition.risks.core.items()
        }
        underlyings: dict[str, tuple[UnderlyingPrice, UnderlyingJson]] = {}
        parts = dict(self._parts)
        for symbol, part in results.parts(published).items():
            entry = market.prices[symbol], self._underlying(symbol, market, part.greeks)
            if self._underlying_counts(symbol, entry, has_figures=is_minute or symbol in touched):
                underlyings[symbol], parts[symbol] = entry, part
        theta, incomplete = _totals(parts, results.unreadable)
        if risks or underlyings or (theta, incomplete) != (self.theta, self.incomplete):
            self._due = Publication(
                risks=risks, underlyings=underlyings, parts=parts, theta=theta, incomplete=incomplete
            )

    def _judge_snapshots(self, market: PublishedMarket) -> Iterator[int]:
        """Keep one notice about the contracts whose deltas differ, since the first of them did."""
        snapshots, self._unjudged = self._unjudged, ()
        differing = []
        for symbol in self.figures.judge(snapshots, market):
            if symbol is not None:
                differing.append(symbol)
            yield JUDGE_COST
        if snapshots:
            self.notice = self._differing(sorted(differing), market.now_at) if differing else None

    def _differing(self, symbols: Sequence[str], now_at: dt.datetime) -> Notice:
        text = (
            f"Alpaca's delta differs by more than {MAX_DIFFERENCE} from the one that its own method gives for the "
            f"published quotes and prices: {symbols_text(symbols)}"
        )
        since_at = self.notice.since if self.notice is not None else now_at
        return Notice(code="greeksDiffer", text=text, symbols=tuple(symbols), since=since_at)

    def _counting(self, identity: str, found: CondorRisk, *, is_minute: bool) -> RiskJson | None:
        """Return the risk of a condor if it is to be published."""
        published = self._edition.risks.core[identity]
        if found.risk is published:
            return None
        if risk_changes.risk_counts(found.risk, published):
            return _json(found)
        if not is_minute:
            return None
        json = _json(found)
        return None if risk_changes.same_risk(json, self._edition.risks.json[identity]) else json

    def _underlying_counts(
        self, symbol: str, entry: tuple[UnderlyingPrice, UnderlyingJson], *, has_figures: bool
    ) -> bool:
        """Whether an underlying is to be published. Greeks are published with the risks that they are made of."""
        price, json = entry
        published = self._edition.underlyings.json[symbol]
        if risk_changes.underlying_counts(price, self._edition.underlyings.core[symbol]):
            return True
        if not (
            risk_changes.same_shares_and_dividend(json, published) and risk_changes.same_known_greeks(json, published)
        ):
            return True
        return has_figures and not risk_changes.same_underlying(json, published)

    def _underlying(self, symbol: str, market: PublishedMarket, greeks: Greeks) -> UnderlyingJson:
        figures = self.figures
        return render_risk.underlying(
            market.prices[symbol],
            greeks,
            shares=figures.shares.get(symbol, 0),
            dividend=figures.next_dividend(symbol, market.now_at),
        )


def _totals(parts: Mapping[str, UnderlyingRisk], unreadable: int) -> tuple[float | None, int]:
    """Return the theta of everything that is known, and how many condors and entries are not."""
    thetas = [part.theta for part in parts.values() if part.theta is not None]
    unknown = sum(part.unknown for part in parts.values()) + unreadable
    is_nothing_held = not (unreadable or any(part.parts for part in parts.values()))
    return render_risk.theta(sum(thetas) if thetas or is_nothing_held else None), unknown


def _json(found: CondorRisk) -> RiskJson:
    return render_risk.risk(found.condor, found.risk, found.as_of)
