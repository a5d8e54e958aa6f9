"""Compute the risk figures of everything held, from quotes and prices of one moment.

Figures are computed again only where their inputs have changed: quotes, prices, dividends, assumptions, or the minute,
as time counts by the minute. A pass over everything is cut into parts, so that others can run in between.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.dividend import Dividend, dividends_until, next_dividend
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.model.alpaca_check import by_alpacas_convention, differs
from condord.core.model.assumptions import MINUTES_PER_YEAR, Assumptions
from condord.core.model.figures import Chain, Figures, OptionSnapshot, figures, invertible_price
from condord.core.model.risk import Greeks, Risk, RiskInputs, condor_risk, contract_greeks, sum_greeks
from condord.core.model.spot import present_value
from condord.core.quote import Quote, Tick
from condord.core.underlying import UnderlyingPrice
from condord.live import index_parity, wire
from condord.live.chains import ChainKey, HeldChain, chains_of, model_quote
from condord.live.fallbacks import Fallbacks
from condord.live.lifecycle import AccountReading

CONDOR_COST = 3
"""The cost of a condor's figures, besides those of its legs, which cost 1 each."""

SAME_MOMENT = dt.timedelta(seconds=5)
"""How far apart the times of a snapshot's quote and the published quote may be for their deltas to be compared."""
_E4_PER_DOLLAR = 10_000
_YEAR = dt.timedelta(minutes=MINUTES_PER_YEAR)


class PublishedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a pass: what is published at `now_at`, the exchange's time (UTC).

    `prices` are by underlying, and `quotes` by contract; `shown` are the same quotes as published, each with
    `unconfirmed`. `is_open` is whether the options held trade, None if it is not known.
    """

    now_at: dt.datetime
    is_open: bool | None
    prices: Mapping[str, UnderlyingPrice]
    quotes: Mapping[str, Quote]
    shown: Mapping[str, wire.QuoteJson]


class CondorRisk(msgspec.Struct, frozen=True, kw_only=True):
    """The risk of one condor; time counts from `as_of`, None after the settlement."""

    condor: Condor
    risk: Risk
    as_of: dt.datetime | None


class UnderlyingRisk(msgspec.Struct, frozen=True, kw_only=True):
    """The holding in one underlying: its greeks, shares included.

    `theta` sums what is known, None if nothing is. `parts` counts the condors and leftovers, `unknown` those of them
    without a theta.
    """

    greeks: Greeks
    theta: float | None
    parts: int
    unknown: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one pass.

    `risks` are by condor id; `leftovers` has the greeks of each leftover, and `shares` those held, by underlying.
    `unreadable` counts entries whose symbol cannot be parsed.
    """

    risks: Mapping[str, CondorRisk]
    leftovers: Mapping[str, Sequence[Greeks]]
    shares: Mapping[str, int]
    unreadable: int

    def parts(self, risks: Mapping[str, Risk]) -> dict[str, UnderlyingRisk]:
        """Sum the holdings of each underlying, with `risks` by condor id.

        These are the published risks, so that a sum always equals the sum of its published parts.
        """
        greeks = {underlying: list(each) for underlying, each in self.leftovers.items()}
        for identity, found in self.risks.items():
            greeks[found.condor.underlying].append(risks[identity].greeks)
        return {underlying: _part(each, self.shares.get(underlying, 0)) for underlying, each in greeks.items()}


class _ChainState:
    """The last figures of a chain, and their inputs; `leftovers` has the greeks of its leftovers."""

    def __init__(self, chain: HeldChain, known: Mapping[str, Figures]) -> None:
        self.chain = chain
        self.inputs: Chain | None = None
        self.price: float | None = None
        self.figures = known
        self.leftovers = [Greeks() for _ in chain.leftovers]

    def compute(self, inputs: Chain) -> None:
        """Compute the figures of all contracts, with the last volatilities as first guesses."""
        chain = self.chain
        guesses = {symbol: known.iv for symbol, known in self.figures.items() if known.iv is not None}
        self.inputs, self.figures = inputs, figures(inputs, guesses)
        self.leftovers = [self._greeks(left.position.symbol, left.position.quantity) for left in chain.leftovers]

    def _greeks(self, symbol: str, quantity: int | None) -> Greeks:
        if quantity is None:
            return Greeks()
        ratio = self.chain.shares_ratio
        greeks = contract_greeks(
            self.figures[symbol], quantity, self.chain.key.multiplier, 1.0 if ratio is None else ratio
        )
        return _without_price(greeks) if ratio is None else greeks


class RiskFigures:
    """The figures of everything held, from pass to pass.

    `dividends` are announced by Alpaca, `overrides` come from the configuration. `fallbacks` has what REST
    returned besides quotes.
    """

    def __init__(self, assumptions: Assumptions) -> None:
        self.assumptions = assumptions
        self.chains: tuple[HeldChain, ...] = ()
        self.dividends: tuple[Dividend, ...] = ()
        self.overrides: tuple[Dividend, ...] = ()
        self.shares: Mapping[str, int] = {}
        self.fallbacks = Fallbacks()
        self._calendar = Calendar()
        self._unreadable = 0
        self._states: dict[ChainKey, _ChainState] = {}
        self._found: dict[str, CondorRisk] = {}

    @property
    def calendar(self) -> Calendar:
        """The exchange's sessions, as of the last reading."""
        return self._calendar

    @property
    def cost(self) -> int:
        """The most that a whole pass costs: a contract counts 1 and a condor `CONDOR_COST`."""
        return sum(len(chain.contracts) + CONDOR_COST * len(chain.condors) for chain in self.chains)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """The underlyings of the contracts held, in the order of the document."""
        return tuple(sorted({chain.underlying for chain in self.chains}))

    @property
    def stocks(self) -> tuple[str, ...]:
        """The underlyings that are stocks; the underlyings of condors come first."""
        return self._ranked(is_index=False)

    @property
    def indexes(self) -> tuple[str, ...]:
        """The underlyings that are indexes; the underlyings of condors come first."""
        return self._ranked(is_index=True)

    def _ranked(self, *, is_index: bool) -> tuple[str, ...]:
        chains = [chain for chain in self.chains if chain.key.expiry.is_index is is_index]
        with_condors = [chain.underlying for chain in chains if chain.condors]
        others = sorted(chain.underlying for chain in chains)
        return tuple(dict.fromkeys([*sorted(with_condors), *others]))

    @property
    def by_symbol(self) -> dict[str, Figures]:
        """The last figures of each contract."""
        return {symbol: each for state in self._states.values() for symbol, each in state.figures.items()}

    def hold(self, reading: AccountReading) -> None:
        """Take what is held. Unchanged condors keep their figures."""
        before, known = self._states, self.by_symbol
        self.chains, self._calendar = chains_of(reading), reading.calendar
        self._unreadable = sum(left.position.contract is None for left in reading.grouping.unmatched)
        self._states = {}
        for chain in self.chains:
            own = {held.symbol: known[held.symbol] for held in chain.contracts if held.symbol in known}
            state = before.get(chain.key)
            is_same = state is not None and state.chain == chain
            self._states[chain.key] = state if state is not None and is_same else _ChainState(chain, own)
        self.fallbacks.keep(self._states)
        condors = {condor.id: condor for condor in reading.grouping.condors}
        self._found = {
            identity: found for identity, found in self._found.items() if found.condor == condors.get(identity)
        }

    def compute(self, market: PublishedMarket) -> Iterator[int]:
        """Compute the chains whose inputs have changed; yields the cost of each part after it."""
        for chain in self.chains:
            state = self._states[chain.key]
            as_of = self._counted_from(chain, market)
            inputs = self._inputs(chain, market, as_of)
            price = confirmed(market.prices.get(chain.underlying))
            is_same = state.inputs == inputs and state.price == price
            if not is_same:
                state.price = price
                state.compute(inputs)
            yield len(chain.contracts)
            for condor in chain.condors:
                if not (is_same and condor.id in self._found):
                    self._found[condor.id] = self._risk(condor, chain, market, as_of)
                    yield CONDOR_COST

    def take_opposite_quotes(self, ticks: Sequence[Tick], market: PublishedMarket) -> None:
        """Take the latest quotes of opposite contracts, and invert them with the prices of `market`."""
        self.fallbacks.take_quotes(ticks, market.now_at)
        newest = {tick.symbol for tick in ticks}
        for chain in self.chains:
            quotes = [
                model_quote(other, self.fallbacks.quote(other.symbol, market.now_at), unconfirmed=False)
                for other in (held.opposite for held in chain.contracts)
                if other.symbol in newest
            ]
            inputs = msgspec.structs.replace(
                self._inputs(chain, market, self._counted_from(chain, market)),
                quotes=tuple(quote for quote in quotes if quote.price is not None),
                other_ivs={},
                snapshots={},
            )
            if inputs.quotes:
                found = figures(inputs)
                ivs = {quote.strike: found[quote.symbol].iv for quote in inputs.quotes}
                self.fallbacks.set_ivs(chain.key, {strike: iv for strike, iv in ivs.items() if iv}, market.now_at)

    def parity_e4(self, underlying: str, market: PublishedMarket) -> int | None:
        """The price of an index by put-call parity in 1e-4 dollars, None if it is not known."""
        chain = index_parity.nearest(self._trading(market.now_at), underlying)
        years = None if chain is None else chain.years(market.now_at, self._counted_from(chain, market))
        if chain is None or years is None:
            return None
        return index_parity.price_e4(chain, years, self._mids(market), self.assumptions)

    def judge(self, snapshots: Iterable[OptionSnapshot], market: PublishedMarket) -> Iterator[str | None]:
        """Compare Alpaca's deltas with the ones by its own convention for the prices of `market`.

        Deltas are compared only if Alpaca's quote is about the published one. While the stream lags, they would differ.
        Yields the symbol of each snapshot that differs, and None for each other one.
        """
        contracts = {held.symbol: (held, chain) for chain in self.chains for held in chain.contracts}
        mid, today = self._mids(market), exchange_day(market.now_at)

        def recomputed(snapshot: OptionSnapshot) -> Figures | None:
            if snapshot.symbol not in contracts or not _is_same_moment(market, snapshot):
                return None
            held, chain = contracts[snapshot.symbol]
            spot, price = chain.spot(confirmed(market.prices[chain.underlying])), mid(held.symbol)
            if spot is None or price is None or held.is_in_the_money(spot):
                return None
            return by_alpacas_convention(held.contract, price, spot, today, self.assumptions.rate)

        for snapshot in snapshots:
            yield snapshot.symbol if differs(recomputed(snapshot), snapshot) else None

    def opposite_contracts(self, market: PublishedMarket) -> tuple[str, ...]:
        """The contracts that are not held but whose quotes are needed: those of the other right at a held strike.

        They give the volatility of held contracts in the money, and the price of an index without a value of its own.
        """
        found: dict[str, None] = {}
        for underlying in self.indexes:
            price = market.prices[underlying]
            chain = index_parity.nearest(self._trading(market.now_at), underlying)
            if chain is not None and price.source != "index":
                found |= dict.fromkeys(index_parity.contracts_to_request(chain, confirmed(price), self._mids(market)))
        for chain in self.chains:
            spot = chain.spot(confirmed(market.prices[chain.underlying]))
            if spot is None:
                continue
            symbols = {held.symbol for held in chain.contracts}
            in_the_money = (held for held in chain.contracts if held.is_in_the_money(spot))
            found |= dict.fromkeys(held.opposite.symbol for held in in_the_money if held.opposite.symbol not in symbols)
        return tuple(found)

    def _trading(self, now_at: dt.datetime) -> list[HeldChain]:
        return [chain for chain in self.chains if now_at < chain.ending.settles_at]

    def _mids(self, market: PublishedMarket) -> Callable[[str], float | None]:
        """Return a function that returns the usable mid of a contract, held or not, in dollars per share."""

        def mid(symbol: str) -> float | None:
            shown = market.shown.get(symbol)
            quote = self.fallbacks.quote(symbol, market.now_at) if shown is None else market.quotes[symbol]
            is_unconfirmed = shown is not None and shown.unconfirmed
            return None if quote is None else invertible_price(quote, unconfirmed=is_unconfirmed)

        return mid

    def _inputs(self, chain: HeldChain, market: PublishedMarket, as_of: dt.datetime) -> Chain:
        """Return all that the figures of a chain depend on."""
        spot = chain.spot(confirmed(market.prices.get(chain.underlying)))
        paid = self._paid(chain, market, as_of)
        model_spot = spot
        if paid and spot is not None and chain.shares_ratio is not None:
            model_spot = spot - chain.shares_ratio * present_value(paid, self.assumptions.rate)
        quotes = []
        for held in chain.contracts:
            shown = market.shown.get(held.symbol)
            is_unconfirmed = shown is None or shown.unconfirmed
            quotes.append(model_quote(held, market.quotes.get(held.symbol), unconfirmed=is_unconfirmed))
        return Chain(
            spot=model_spot,
            cum_dividend_spot=spot,
            years=chain.years(market.now_at, as_of),
            rate=self.assumptions.rate,
            dividend_yield=0.0 if paid else self.assumptions.dividend_yields.get(chain.underlying, 0.0),
            quotes=tuple(quotes),
            other_ivs=self.fallbacks.ivs(chain.key, market.now_at),
            snapshots=self.fallbacks.snapshots(held.symbol for held in chain.contracts),
        )

    def _paid(self, chain: HeldChain, market: PublishedMarket, as_of: dt.datetime) -> list[tuple[float, float]]:
        """Return the dividends until the expiration: years to the ex-date and dollars a share."""
        day, until = exchange_day(market.now_at), chain.key.expiry.day
        paid = dividends_until(chain.underlying, self.dividends, self.overrides, day, until)
        return [((start_of_day(ex_date) - as_of) / _YEAR, amount) for ex_date, amount in paid]

    def next_dividend(self, underlying: str, now_at: dt.datetime) -> Dividend | None:
        """The next dividend of an underlying."""
        return next_dividend(underlying, self.dividends, self.overrides, exchange_day(now_at))

    def _counted_from(self, chain: HeldChain, market: PublishedMarket) -> dt.datetime:
        return chain.counted_from(market.now_at, self._calendar, is_open=market.is_open)

    def _risk(self, condor: Condor, chain: HeldChain, market: PublishedMarket, as_of: dt.datetime) -> CondorRisk:
        state = self._states[chain.key]
        inputs = state.inputs
        assert inputs is not None  # noqa: S101 - `compute` has set them
        price = confirmed(market.prices.get(chain.underlying))
        found = condor_risk(
            condor,
            {leg.symbol: state.figures.get(leg.symbol, Figures()) for leg in condor.legs},
            RiskInputs(
                price=price,
                spot=chain.spot(price),
                model_spot=inputs.spot,
                years=inputs.years,
                rate=inputs.rate,
                dividend_yield=inputs.dividend_yield,
                shares_ratio=1.0 if chain.shares_ratio is None else chain.shares_ratio,
            ),
        )
        if chain.shares_ratio is None:
            found = msgspec.structs.replace(found, greeks=_without_price(found.greeks))
        return CondorRisk(condor=condor, risk=found, as_of=None if inputs.years is None else as_of)

    def results(self) -> Results:
        """Return what is known: everything after a whole pass, else what has not changed since the last one."""
        risks: dict[str, CondorRisk] = {}
        leftovers: dict[str, list[Greeks]] = {}
        for chain in self.chains:
            leftovers.setdefault(chain.underlying, []).extend(self._states[chain.key].leftovers)
            for condor in chain.condors:
                risks[condor.id] = self._found.get(condor.id) or _unknown(condor)
        return Results(risks=risks, leftovers=leftovers, shares=self.shares, unreadable=self._unreadable)


def confirmed(price: UnderlyingPrice | None) -> float | None:
    """The price in dollars, None if it is not known or not confirmed."""
    if price is None or price.price_e4 is None or price.unconfirmed:
        return None
    return price.price_e4 / _E4_PER_DOLLAR


def _part(greeks: Sequence[Greeks], shares: int) -> UnderlyingRisk:
    known = [each.theta for each in greeks if each.theta is not None]
    return UnderlyingRisk(
        greeks=sum_greeks(greeks, shares),
        theta=sum(known) if known else None,
        parts=len(greeks),
        unknown=len(greeks) - len(known),
    )


def _is_same_moment(market: PublishedMarket, snapshot: OptionSnapshot) -> bool:
    """Whether a snapshot was made for about the published quote of its contract."""
    quote = market.quotes.get(snapshot.symbol)
    if snapshot.at is None or quote is None or quote.at is None:
        return False
    return abs(snapshot.at - quote.at) <= SAME_MOMENT


def _without_price(greeks: Greeks) -> Greeks:
    """The greeks of contracts whose deliverable is not known: those by the price of the underlying are not known."""
    return msgspec.structs.replace(greeks, delta=None, gamma=None)


def _unknown(condor: Condor) -> CondorRisk:
    """The risk of a condor before it is computed."""
    missing = tuple(leg.symbol for leg in condor.legs)
    return CondorRisk(condor=condor, risk=Risk(price=None, legs={}, missing=missing), as_of=None)
