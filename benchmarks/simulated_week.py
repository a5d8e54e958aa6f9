"""A week of sessions with ten condors, in this process and in virtual time: the simulator's market, a bad feed, alerts.

The prices are the simulator's, a random walk in each session; between two sessions each price jumps by 0.7 of a day's
deviation. Quotes pass through `IndicativeFeed`, which spoils them: each contract has a spell of stub, crossed or wide
quotes about once an hour. For up to five minutes after each open most quotes are wide and around a wrong price, and
some are stubs. On Wednesday the option stream is cut for four minutes. The condors stay open even
if an alert fires.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

import daemon_parts
from msgspec.structs import replace

from condord.core import occ
from condord.core.cost import fill_cost
from condord.core.filled_orders import LotLeg
from condord.core.lots import Lot
from condord.core.position import Position
from condord.core.quote import Tick
from condord.core.rules.built_in import BUILT_IN
from condord.live.alert_records import AlertRecord
from condord.live.alert_watch import AlertWatch
from condord.live.alerts import AlertChanges, Alerts
from condord.live.wire import MarketJson
from condord.simulator.contracts import OptionRoot
from condord.simulator.market import YEAR_SECONDS, Market, SimulatedQuote, contract_value
from condord.simulator.pricing import PricingTerms

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = dt.date(2026, 11, 16)
DAYS = 5
OPENS, CLOSES = dt.time(9, 30), dt.time(16)
OPENING_SECONDS = 120
RATE = 0.1
"""Quotes a second, as a share of what the simulator sends."""
NIGHT_SHARE = 0.7
SPELLS = {"stub": (5, 240), "crossed": (2, 60), "wide": (10, 240)}
"""Kinds of bad quotes, and how many seconds they last."""
REFRESH_SECONDS = 60.0
"""How often REST confirms the quotes that the stream has sent, as the daemon does by default."""
CUT_DAY, CUT_HOURS, CUT_SECONDS = 2, 1.5, 240
PL_LINES: dict[str, Callable[[float, float, float], bool]] = {
    "profit-target": lambda pl, credit, _risk: pl >= 0.50 * credit,
    "stop-loss": lambda pl, credit, _risk: pl <= -2 * credit,
    "loss-of-risk": lambda pl, _credit, risk: pl <= -0.60 * risk,
}
"""Whether a P/L in dollars is over the line of a built-in rule, for this credit and maximum loss."""
PL_CLEARS: dict[str, Callable[[float, float, float], bool]] = {
    "profit-target": lambda pl, credit, _risk: pl < 0.45 * credit,
    "stop-loss": lambda pl, credit, _risk: pl > -1.75 * credit,
    "loss-of-risk": lambda pl, _credit, risk: pl > -0.50 * risk,
}


class Plan(NamedTuple):
    """A condor: when it expires, and how many days before the week it was opened."""

    root: str
    expiration: dt.date
    opened_days: int
    quantity: int


PLANS = (
    Plan("SPY", dt.date(2026, 11, 20), 10, 2),
    Plan("QQQ", dt.date(2026, 12, 4), 14, 1),
    Plan("IWM", dt.date(2026, 12, 11), 20, 3),
    Plan("SPY", dt.date(2026, 12, 18), 13, 1),
    Plan("QQQ", dt.date(2026, 12, 18), 7, 2),
    Plan("IWM", dt.date(2026, 12, 18), 3, 1),
    Plan("NVDA", dt.date(2026, 12, 18), 12, 1),
    Plan("AAPL", dt.date(2026, 12, 18), 5, 2),
    Plan("AMD", dt.date(2027, 1, 15), 4, 1),
    Plan("INTC", dt.date(2027, 1, 15), 10, 5),
)


class Held(NamedTuple):
    """A condor that is held: signed quantities by symbol, dollars received, the most it can lose, and its lot."""

    quantities: dict[str, int]
    inner: tuple[float, float]
    underlying: str
    credit: float
    risk: float
    prices: dict[str, float]
    lot: Lot

    def pl(self, price: Callable[[str], float]) -> float:
        """The P/L in dollars at these prices a share."""
        return self.credit + 100 * sum(count * price(symbol) for symbol, count in self.quantities.items())

    def pl_ends(self, sent: Mapping[str, Tick], stubs: Collection[str]) -> tuple[float, float]:
        """The lowest and the highest P/L in dollars if each leg in `stubs` may be worth its bid, its ask or between.

        A long wing is worth nothing at least, and the short leg of its right at most. The condor can neither lose
        nor make more than its most.
        """
        marks = {symbol: (sent[symbol].bid + sent[symbol].ask) / 2 for symbol in self.quantities}
        shorts = {occ.parse(symbol).right: symbol for symbol, count in self.quantities.items() if count < 0}
        low = high = self.credit
        for symbol, count in self.quantities.items():
            bid = ask = marks[symbol]
            if symbol in stubs and count < 0:
                bid, ask = sent[symbol].bid, sent[symbol].ask
            elif symbol in stubs:
                short = shorts[occ.parse(symbol).right]
                bid, ask = 0.0, sent[short].ask if short in stubs else marks[short]
            values = 100 * count * bid, 100 * count * ask
            low, high = low + min(values), high + max(values)
        return max(min(low, self.credit), -self.risk), max(min(high, self.credit), -self.risk)


class IndicativeFeed:
    """Spoils quotes: in spells of each contract, and after the open."""

    def __init__(self, seed: int) -> None:
        self.sent: dict[str, Tick] = {}
        self.kinds: dict[str, str] = {}
        self.spells: Counter[str] = Counter()
        self._chance = random.Random(f"{seed}/feed")
        self._spells: dict[str, tuple[str, float, float]] = {}
        self._calm_from: dict[str, float] = {}
        self._biases: dict[str, float] = {}

    def open(self, symbols: Iterable[str], seconds: float) -> None:
        """Begin a session: each contract is quoted badly for half a minute to five minutes, around a wrong price."""
        for symbol in symbols:
            self._calm_from[symbol] = seconds + self._chance.uniform(30, 300)
            self._biases[symbol] = self._chance.uniform(0.5, 1.8)

    def tick(self, quote: SimulatedQuote, seconds: float) -> Tick:
        """The quote as the feed sends it."""
        kind = self._kind(quote.symbol, seconds)
        bid, ask = self._prices(kind, quote)
        tick = Tick(quote.symbol, dt.datetime.fromtimestamp(seconds, dt.UTC), round(bid, 2), round(ask, 2), 10, 12)
        self.sent[quote.symbol], self.kinds[quote.symbol] = tick, kind
        return tick

    def _kind(self, symbol: str, seconds: float) -> str:
        chance = self._chance
        if seconds < self._calm_from.get(symbol, 0.0):
            return chance.choices(("opening", "stub", "good"), (7, 2, 1))[0]
        kind, begin, end = self._spells.get(symbol, ("", math.inf, -math.inf))
        if seconds >= end:
            kind = chance.choice(list(SPELLS))
            begin = seconds + chance.expovariate(1 / 3600)
            self._spells[symbol] = kind, begin, begin + chance.uniform(*SPELLS[kind])
            self.spells[kind] += 1
        return kind if seconds >= begin else "good"

    def _prices(self, kind: str, quote: SimulatedQuote) -> tuple[float, float]:
        draw, mid = self._chance.uniform, quote.mid
        if kind == "wide":
            return mid * draw(0.3, 0.8), max(quote.ask, mid * draw(1.2, 2.5))
        if kind == "opening":
            mid *= self._biases[quote.symbol]
            return mid * draw(0.7, 0.9), mid * draw(1.1, 1.3)
        if kind == "stub":
            return self._chance.choice((0.0, 0.01)), max(4.8, 6 * mid)
        if kind == "crossed":
            return quote.ask + draw(0.0, 0.2), quote.bid
        return quote.bid, quote.ask


class Week:
    """The account, its feed and its alerts. `step_seconds` is how often prices move."""

    def __init__(self, seed: int, step_seconds: float) -> None:
        self.step_seconds = step_seconds
        self.fired: Counter[str] = Counter()
        self.naive: Counter[str] = Counter()
        self.faults: list[str] = []
        self.log: list[str] = []
        self.apart: list[str] = []
        self.false: Counter[str] = Counter()
        self.on_stub: Counter[str] = Counter()
        self.begin = dt.datetime.combine(MONDAY, OPENS, NEW_YORK).timestamp() - 1800
        self.now = 0.0
        self.opened = -math.inf
        self._read = 0.0
        self._chance = random.Random(f"{seed}/week")
        self._over: set[tuple[str, str]] = set()
        self.market = Market(seed=seed, at=self.begin, rate=RATE, session_day=MONDAY)
        self.feed = IndicativeFeed(seed)
        self.held = {each.lot.id: each for each in map(self._open_condor, range(len(PLANS)))}
        self.alerts = Alerts()
        self.publisher = daemon_parts.publisher(alerts=lambda book: AlertWatch(book, self.alerts), on_alerts=self._take)
        self._start()

    @property
    def seconds(self) -> float:
        """The time, in seconds since 1970."""
        return self.begin + self.now

    @property
    def at(self) -> dt.datetime:
        """The exchange's time."""
        return dt.datetime.fromtimestamp(self.seconds, dt.UTC)

    def run(self) -> None:
        """Run all sessions."""
        for number in range(DAYS):
            day = MONDAY + dt.timedelta(days=number)
            opens, closes = (dt.datetime.combine(day, at, NEW_YORK) for at in (OPENS, CLOSES))
            self._pass_time(opens.timestamp() - self.begin)
            self._open_session(day, number, closes)
            cut = opens.timestamp() + CUT_HOURS * 3600 if number == CUT_DAY else math.inf
            while self.seconds < closes.timestamp():
                is_cut = cut <= self.seconds < cut + CUT_SECONDS
                self._step(closes, is_cut=is_cut)
            self.market.underlyings.end_session()
            self._set_status(closes, is_open=False)
        self._pass_time(self.now + 7200)

    def _open_condor(self, number: int) -> Held:
        """A condor that was sold at 16 deltas, at a price from which the current one is a random walk away."""
        plan = PLANS[number]
        root = self.market.root_of(plan.root)
        assert root is not None
        settles = dt.datetime.combine(plan.expiration, CLOSES, NEW_YORK).timestamp()
        opened_at = dt.datetime.combine(MONDAY, dt.time(11), NEW_YORK) - dt.timedelta(days=plan.opened_days)
        years = (settles - opened_at.timestamp()) / YEAR_SECONDS
        walk = self._chance.gauss(0.0, 1.0) * root.volatility * math.sqrt(plan.opened_days / 365)
        spot = (self.market.spot(root.underlying) or 0.0) * math.exp(walk)
        deviation = root.volatility * math.sqrt(years)
        strikes = _strikes(root, spot, deviation)
        prices, quantities = {}, {}
        for right, strike, sign in zip(("put", "put", "call", "call"), strikes, (1, -1, -1, 1), strict=True):
            symbol = occ.OptionSymbol(root=root.symbol, expiration=plan.expiration, right=right, strike_mills=strike)
            terms = PricingTerms(is_american=True)
            prices[symbol.compact] = round(contract_value(symbol, root, terms, spot, years).price, 2)
            quantities[symbol.compact] = sign * plan.quantity
            self.market.watch(symbol.compact)
        credit = -100 * sum(count * prices[symbol] for symbol, count in quantities.items())
        width = max(strikes[1] - strikes[0], strikes[3] - strikes[2]) / 1000
        legs = tuple(lot_leg(symbol, count, prices[symbol]) for symbol, count in quantities.items())
        lot = Lot(id=str(number), since_at=opened_at, opened_at=opened_at, quantity=plan.quantity, legs=legs)
        return Held(
            quantities=quantities,
            inner=(strikes[1] / 1000, strikes[2] / 1000),
            underlying=root.underlying,
            credit=credit,
            risk=100 * plan.quantity * width - credit,
            prices=prices,
            lot=lot,
        )

    def _start(self) -> None:
        publisher = self.publisher
        self.alerts.set_rules(BUILT_IN, self.at)
        self.alerts.recall(())
        self._set_status(dt.datetime.combine(MONDAY, CLOSES, NEW_YORK), is_open=False)
        publisher.set_positions(self._positions(), self.now, self.at, lots=[each.lot for each in self.held.values()])
        assert len(publisher.book.edition.valuations.core) == len(PLANS)
        watch = publisher.alerts.source
        assert isinstance(watch, AlertWatch)
        watch.note_orders()

    def _positions(self) -> list[Position]:
        prices = {symbol: price for each in self.held.values() for symbol, price in each.prices.items()}
        counts = {symbol: count for each in self.held.values() for symbol, count in each.quantities.items()}
        assert len(counts) == 4 * len(PLANS)
        found = []
        for each in daemon_parts.positions(counts):
            entry_e4 = round(10_000 * prices[each.symbol])
            cost_e4 = 100 * entry_e4 * counts[each.symbol]
            found.append(replace(each, average_entry_e4=entry_e4, cost_basis_e4=cost_e4))
        return found

    def _set_status(self, closes: dt.datetime, *, is_open: bool, state: str = "live") -> None:
        market = MarketJson(is_open=is_open, next_open=closes + dt.timedelta(hours=17.5), next_close=closes)
        live = daemon_parts.live_status()
        read = replace(live.positions, read_at=self.at)
        status = replace(live, state=state if is_open else "closed", market=market, positions=read, since=self.at)
        self.publisher.set_status(status, self.now, self.at)

    def _open_session(self, day: dt.date, number: int, closes: dt.datetime) -> None:
        market = self.market
        market.advance(self.seconds, moving=False)
        if number:
            market.underlyings.begin_session(day)
            for root in {each.underlying: market.root_of(each.underlying) for each in self.held.values()}.values():
                jump = self._chance.gauss(0.0, 1.0) * root.volatility * NIGHT_SHARE / math.sqrt(252)
                market.set_spot(
                    root.underlying, (market.underlyings.spot(root.underlying) or 0) * math.exp(jump), hold=False
                )
        self.opened = self.now
        self.feed.open((symbol for each in self.held.values() for symbol in each.quantities), self.seconds)
        self._set_status(closes, is_open=True)
        latest = [market.latest(symbol) for each in self.held.values() for symbol in each.quantities]
        self.publisher.offer([self.feed.tick(quote, self.seconds) for quote in latest if quote], self.now)

    def _step(self, closes: dt.datetime, *, is_cut: bool) -> None:
        """Move prices, and let a step of time pass."""
        state = self.publisher.book.edition.status.state
        quotes = self.market.advance(self.seconds)
        if is_cut and state == "live":
            self.publisher.gap(self.now)
            self._set_status(closes, is_open=True, state="reconnecting")
        elif not is_cut and state != "live":
            self._set_status(closes, is_open=True)
            self.publisher.confirm(list(self.feed.sent.values()), self.now, self.publisher.prices.generation)
        if not is_cut and self.now >= self._read + REFRESH_SECONDS:
            self._read = self.now
            self.publisher.confirm(list(self.feed.sent.values()), self.now, self.publisher.prices.generation)
        if not is_cut:
            ticks = {quote.symbol: self.feed.tick(quote, self.seconds) for quote in quotes}
            self.publisher.offer(ticks.values(), self.now)
        self.publisher.offer_stocks(
            [self._stock(name) for name in {each.underlying for each in self.held.values()}], self.now
        )
        self._pass_time(min(self.now + self.step_seconds, closes.timestamp() - self.begin))
        self._count_naive()

    def _stock(self, name: str) -> Tick:
        spot = self.market.spot(name) or 0.0
        half = spot * self._chance.choice((0.00005, 0.0002, 0.001))
        return Tick(name, self.at, round(spot - half, 2), round(spot + half, 2), 1, 1)

    def _pass_time(self, until: float) -> None:
        """Tick whenever that is due."""
        publisher = self.publisher
        while (deadline := publisher.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            publisher.tick(self.now, self.at)
        self.now = until

    def _count_naive(self) -> None:
        """Count how often each line is crossed, as a program would that compares every quote with it."""
        risks = self.publisher.book.edition.risks.core
        ids = {self._key(identity): identity for identity in risks}
        sent = self.feed.sent
        for key, held in self.held.items():
            over = set()
            if risks[ids[key]].tested not in (None, "none"):
                over.add("tested")
            spot = self.market.spot(held.underlying) or 0.0
            if not held.inner[0] <= spot <= held.inner[1]:
                over.add("breached")
            if held.quantities.keys() <= sent.keys():
                pl = held.pl(lambda symbol: (sent[symbol].bid + sent[symbol].ask) / 2)
                over |= {rule for rule, is_over in PL_LINES.items() if is_over(pl, held.credit, held.risk)}
            for rule in (*PL_LINES, "tested", "breached"):
                if rule not in over:
                    self._over.discard((rule, key))
                elif (rule, key) not in self._over:
                    self._over.add((rule, key))
                    self.naive[rule] += 1

    def _key(self, identity: str) -> str:
        """The lot of a condor."""
        condor, _ = self.publisher.book.edition.valuations.core[identity]
        symbols = {leg.symbol for leg in condor.legs}
        return next(key for key, held in self.held.items() if held.quantities.keys() == symbols)

    def _take(self, changes: AlertChanges) -> None:
        for transition in changes.transitions:
            when = self.at.astimezone(NEW_YORK)
            self.log.append(f"{when:%a %H:%M:%S} {transition.kind:<8} {transition.record.id}: {transition.record.text}")
            if transition.kind == "firing":
                self.fired[transition.record.rule] += 1
                if transition.record.rule in PL_LINES:
                    self._judge(transition.record)

    def _judge(self, record: AlertRecord) -> None:
        """Compare an alert about P/L with what the condor is worth by the model, and at both ends of its stubs."""
        assert record.condor_id is not None
        held = self.held[self._key(record.condor_id)]
        pl = held.pl(lambda symbol: self.market.theoretical_value(symbol).price)
        self.false[record.rule] += PL_CLEARS[record.rule](pl, held.credit, held.risk)
        stubs = [symbol for symbol in held.quantities if self.feed.kinds[symbol] == "stub"]
        if self.now - self.opened < OPENING_SECONDS:
            self.faults.append(f"{record.id} fired {self.now - self.opened:.0f} s after the open")
        if stubs:
            ends = held.pl_ends(self.feed.sent, stubs)
            is_over = all(PL_LINES[record.rule](end, held.credit, held.risk) for end in ends)
            self.on_stub[record.rule] += is_over
            how = f"P/L {ends[0]:.2f} to {ends[1]:.2f} at its ends, {pl:.2f} by the model"
            line = f"{record.id} {'fired in spite of' if is_over else 'was decided by'} a stub: {how}"
            (self.apart if is_over else self.faults).append(line)


def lot_leg(symbol: str, quantity: int, price: float) -> LotLeg:
    """A leg of a lot, bought or sold at a price a share."""
    paid = fill_cost(quantity * round(price * 10_000) * 100, abs(quantity))
    return LotLeg(symbol=symbol, contract=occ.parse(symbol), quantity=quantity, costs=paid)


def _strikes(root: OptionRoot, spot: float, deviation: float) -> tuple[int, int, int, int]:
    """The strikes in mills: one deviation out of the money, with wings of about 1.5 % of the price."""
    step = root.strike_step_mills
    wing = max(1, round(0.015 * spot * 1000 / step)) * step
    put, call = (round(spot * math.exp(sign * deviation) * 1000 / step) * step for sign in (-1, 1))
    return put - wing, put, call, call + wing
