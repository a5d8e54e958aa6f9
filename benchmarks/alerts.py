"""Measure what alerts cost, and how often the built-in rules fire in a week.

1. CPU, with 1,000 condors and 30 rules: an evaluation of what was published, and a published window with and
   without alerts.
   `all slices` is the whole evaluation, which the daemon makes in slices of 20 subjects; `worst` is the longest of them
   in any repetition. Between two slices the event loop does other work.
2. With `--week`: firings a rule, of ten condors in a simulated week (`simulated_week.py`). The reference is a program
   that compares each quote with the line, without hysteresis, and without regard to the quality of the quote. `false`
   counts alerts about P/L although the condor's value by the model is past the line of `clear`. `on stub` counts those
   with a stub among the quotes of the legs, which hold at both ends of what these legs can be worth; they are listed.

Exit code 1: a slice takes more than 10 ms; or in the week `tested` and `breached` fire 30 times or more, or a stub
decides a rule about P/L, or one fires in the first two minutes of a session.

Run it: python benchmarks/alerts.py [--condors 1000] [--repetitions 9] [--week] [--list] [--seed 1] [--step 10]
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

import daemon_parts
from msgspec.structs import replace
from simulated_week import PL_LINES, Week, lot_leg

from condord.core.lots import Lot
from condord.core.occ import parse
from condord.core.quote import Tick
from condord.core.rules.rule import RuleMatch
from condord.core.rules.table import RuleOverride, rules
from condord.live.alert_watch import AlertWatch
from condord.live.alerts import Alerts
from condord.live.published import EVERYTHING
from condord.live.risks import RiskSettings
from condord.live.subscriber import wake
from condord.live.wire import MarketJson
from condord.simulator.pricing import theoretical_value

MAX_SLICE_MS = 10.0
MAX_TOUCHES = 30
AT = dt.datetime(2026, 11, 20, 17, 0, 1, tzinfo=dt.UTC)
SPOT, VOLATILITY = 100.0, 0.25
FIRST_EXPIRATION, EXPIRATIONS = dt.date(2026, 12, 18), 10
CONDORS_PER_EXPIRATION = 5
LEGS = (("P", 80, 1), ("P", 85, -1), ("C", 110, -1), ("C", 115, 1))
WINDOW_SECONDS = 0.3
"""Between two publications: longer than the window, and all repetitions are within one minute."""
OWN = (
    RuleOverride(name="half", when="percentOfMaxProfit >= 50", clear="percentOfMaxProfit < 45", basis="natural"),
    RuleOverride(name="most", when="percentOfMaxProfit >= 80", for_seconds=60),
    RuleOverride(name="loss", when="unrealizedPl <= -4000", clear="unrealizedPl > -3500", severity="critical"),
    RuleOverride(name="day-loss", when="dayPl <= -2000"),
    RuleOverride(name="cheap", when="mark <= 0.05", basis="natural"),
    RuleOverride(name="price-doubled", when="lossMultipleOfCredit >= 1", clear="lossMultipleOfCredit < 0.8"),
    RuleOverride(name="two-weeks", when=("daysToExpiration <= 14", "percentOfMaxProfit < 25")),
    RuleOverride(name="near", when="distancePercent <= 1", for_seconds=300),
    RuleOverride(name="short-delta", when="shortDelta >= 0.45", clear="shortDelta < 0.4"),
    RuleOverride(name="touch", when=("probabilityOfTouch >= 90", "unrealizedPl < 0")),
    RuleOverride(name="unlikely", when="probabilityOfProfit <= 20"),
    RuleOverride(name="delta", when="delta > 5000", match=RuleMatch(direction="short")),
    RuleOverride(name="falling", when="percentChange <= -3"),
    RuleOverride(name="bad-day", when="accountDayPl <= -1000000", severity="critical"),
    RuleOverride(name="gap-and-loss", when=("percentChange <= -3", "percentOfRisk <= -30"), severity="critical"),
)
"""Together with the fifteen built-in rules there are 30."""


class Drained(NamedTuple):
    """CPU milliseconds of an evaluation: of all its slices, and of the worst."""

    total: float
    worst: float


class Account:
    """An account of this many condors with alerts, in the middle of a session; the model's figures stay."""

    def __init__(self, condors: int) -> None:
        self.now = 0.0
        self.alerts = Alerts()
        self.publisher = daemon_parts.publisher(alerts=lambda book: AlertWatch(book, self.alerts))
        watch = self.publisher.alerts.source
        assert isinstance(watch, AlertWatch)
        self.watch = watch
        self._raised: set[str] = set()
        self.condors = holdings(condors)
        self.held = {symbol: count for legs in self.condors for symbol, count in legs.items()}
        assert len(self.held) == condors * len(LEGS)
        self._prices = {symbol: worth(symbol) for symbol in self.held}
        self._short_puts = {each for each, count in self.held.items() if count < 0 and parse(each).right == "put"}
        self.alerts.set_rules(rules(OWN), AT)
        self.alerts.recall(())
        self._start()
        subscriber = self.publisher.fanout.subscribe(
            selection=EVERYTHING,
            interval_seconds=0.0,
            version=None,
            now_at=AT,
            wake=lambda: subscriber.take(lambda: AT),
        )
        assert len(self.publisher.book.edition.valuations.core) == condors
        assert len([rule for rule in self.alerts.rules if rule.enabled]) == 30

    @property
    def at(self) -> dt.datetime:
        """The exchange's time."""
        return AT + dt.timedelta(seconds=self.now)

    def quote(self, symbols: Iterable[str]) -> None:
        """Another quote of each of `symbols`. Short puts move further than the other legs, so that each P/L changes."""
        self._raised.symmetric_difference_update(symbols)
        ticks = []
        for symbol in symbols:
            step = (0.06 if symbol in self._short_puts else 0.02) if symbol in self._raised else 0.0
            bid = round(self._prices[symbol] + step, 2)
            ticks.append(Tick(symbol, self.at, bid, bid + 0.04, 10, 12))
        self.publisher.offer(ticks, self.now)

    def evaluate(self, symbols: Iterable[str]) -> Drained:
        """Publish quotes of `symbols` without alerts, and measure the evaluation that follows."""
        self.publisher.alerts.source = None
        profit = self._profit()
        self.quote(symbols)
        self.publish()
        assert not symbols or self._profit() != profit, "the P/L has not changed"
        self.publisher.alerts.source = self.watch
        before = self.alerts.evaluations
        slices = self.drain()
        self.evaluated = self.alerts.evaluations - before
        return Drained(sum(slices), max(slices))

    def _profit(self) -> float | None:
        return self.publisher.book.edition.totals.unrealized_pl

    def drain(self) -> list[float]:
        """Evaluate until none is due; returns what each took."""
        slices = []
        while True:
            begin = time.process_time()
            self.watch.evaluate(self.now, self.at)
            slices.append(1e3 * (time.process_time() - begin))
            if self.watch.deadline > self.now:
                return slices

    def window(self, symbols: Iterable[str], *, has_alerts: bool) -> float:
        """The CPU milliseconds of a window in which `symbols` have moved, up to the last slice of its evaluation."""
        self.quote(symbols)
        self.publisher.alerts.source = self.watch if has_alerts else None
        begin = time.process_time()
        self.publish()
        spent = 1e3 * (time.process_time() - begin)
        self.publisher.alerts.source = self.watch
        self.drain()
        return spent

    def publish(self) -> None:
        """End a window."""
        self.now += WINDOW_SECONDS
        wake(self.publisher.tick(self.now, self.at))
        while (deadline := self.publisher.deadline) is not None and deadline <= self.now:
            wake(self.publisher.tick(self.now, self.at))

    def _start(self) -> None:
        publisher = self.publisher
        session = MarketJson(is_open=True, next_open=AT, next_close=AT + dt.timedelta(hours=3))
        publisher.set_status(replace(daemon_parts.live_status(), market=session), self.now, self.at)
        lots = [lot(number, legs, self._prices) for number, legs in enumerate(self.condors)]
        publisher.set_positions(self._positions(), self.now, self.at, lots=lots)
        self.watch.note_orders()
        roots = {parse(symbol).root for symbol in self.held}
        publisher.offer_stocks([Tick(root, self.at, SPOT - 0.01, SPOT + 0.01, 1, 1) for root in roots], self.now)
        self.quote(self.held)
        for _ in range(12):  # until the model's figures are there
            self.publish()
        publisher.set_model(RiskSettings(interval_seconds=1e6), (), publisher.book.cutoffs)
        while publisher.book.risks.is_running or publisher.book.risks.is_due:
            self.publish()
        self.drain()
        distances = [risk.put.sigmas for risk in publisher.book.edition.risks.core.values()]
        assert None not in distances

    def _positions(self):
        """Each condor was sold for a little more than it is worth."""
        found = []
        for each in daemon_parts.positions(self.held):
            entry_e4 = round(10_000 * (self._prices[each.symbol] + (0.1 if each.quantity < 0 else 0.0)))
            found.append(replace(each, average_entry_e4=entry_e4, cost_basis_e4=100 * entry_e4 * each.quantity))
        return found


def holdings(condors: int) -> list[dict[str, int]]:
    """The legs of each condor: signed quantities by symbol."""
    found = []
    for number in range(condors):
        group, place = divmod(number, CONDORS_PER_EXPIRATION)
        expiration = FIRST_EXPIRATION + dt.timedelta(weeks=group % EXPIRATIONS)
        root = f"R{chr(65 + group // EXPIRATIONS)}"
        legs = {f"{root}{expiration:%y%m%d}{right}{strike + place:05d}000": sign for right, strike, sign in LEGS}
        found.append(legs)
    return found


def lot(number: int, legs: dict[str, int], prices: dict[str, float]) -> Lot:
    """The lot of a condor that was opened a week ago."""
    opened_at = AT - dt.timedelta(days=7)
    each = tuple(lot_leg(symbol, count, prices[symbol]) for symbol, count in legs.items())
    return Lot(id=str(number), since_at=opened_at, opened_at=opened_at, quantity=1, legs=each)


def worth(symbol: str) -> float:
    """The value of a contract by the model, to the cent."""
    contract = parse(symbol)
    years = (contract.expiration - AT.date()).days / 365
    return max(
        0.1, round(theoretical_value(contract.right, SPOT, contract.strike_mills / 1000, years, VOLATILITY).price, 2)
    )


def cost(condors: int, repetitions: int) -> float:
    """Print what an evaluation and a window cost; returns the worst slice in milliseconds."""
    account = Account(condors)
    account.now += 10.0
    account.evaluate(())  # what the set-up has left
    one = list(account.condors[0])
    loads = {"nothing": (), "one condor": one, "everything": list(account.held)}
    print(f"{condors:,} condors, 30 rules; CPU of an evaluation in ms, the median of {repetitions}:")
    print(f"{'changed':<12} {'evaluated':>10} {'all slices':>11} {'worst':>8}")
    worst = 0.0
    for name, symbols in loads.items():
        found = [account.evaluate(symbols) for _ in range(repetitions)]
        totals, slices = [each.total for each in found], max(each.worst for each in found)
        worst = max(worst, slices)
        print(f"{name:<12} {account.evaluated:>10,} {statistics.median(totals):>11.3f} {slices:>8.3f}")
    print("CPU of a published window in ms, the median:")
    print(f"{'changed':<12} {'without':>10} {'with alerts':>11} {'ratio':>8}")
    for name, symbols in list(loads.items())[1:]:
        both = [
            [account.window(symbols, has_alerts=has_alerts) for has_alerts in (False, True)] for _ in range(repetitions)
        ]
        without, with_alerts = (statistics.median(each) for each in zip(*both, strict=True))
        print(f"{name:<12} {without:>10.3f} {with_alerts:>11.3f} {with_alerts / without:>8.2f}")
    assert account.now < 58, "another minute has begun: fewer repetitions"
    return worst


def week(seed: int, step_seconds: float, *, is_listed: bool) -> bool:
    """Print the firings of a week; returns whether they are as promised."""
    simulated = Week(seed, step_seconds)
    begin = time.process_time()
    simulated.run()
    spells = ", ".join(f"{count} {kind}" for kind, count in sorted(simulated.feed.spells.items()))
    print(f"a week of ten condors, seed {seed}: {time.process_time() - begin:.0f} s of CPU; spells: {spells}")
    print(f"{'rule':<17} {'fired':>6} {'compared':>9} {'on stub':>8} {'false':>6}")
    for rule in simulated.alerts.rules:
        naive = f"{simulated.naive[rule.name]:,}" if rule.name in (*PL_LINES, "tested", "breached") else ""
        false = simulated.false[rule.name] if rule.name in PL_LINES else ""
        on_stub = simulated.on_stub[rule.name] if rule.name in PL_LINES else ""
        print(f"{rule.name:<17} {simulated.fired[rule.name]:>6} {naive:>9} {on_stub:>8} {false:>6}")
    touches = simulated.fired["tested"] + simulated.fired["breached"]
    print(f"tested and breached: {touches} (fewer than {MAX_TOUCHES})")
    print(f"fired in spite of a stub: {len(simulated.apart)}; faults: {len(simulated.faults)}")
    for line in (*simulated.apart, *(simulated.log if is_listed else ())):
        print(line)
    for fault in simulated.faults:
        print(fault)
    return touches < MAX_TOUCHES and not simulated.faults


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--condors", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--week", action="store_true", help="count firings in a week instead")
    parser.add_argument("--list", action="store_true", help="list what fires, resolves and ends in the week")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=float, default=10.0, help="seconds between two moves of the prices")
    options = parser.parse_args()
    if options.week:
        sys.exit(not week(options.seed, options.step, is_listed=options.list))
    sys.exit(cost(options.condors, options.repetitions) > MAX_SLICE_MS)


if __name__ == "__main__":
    main()
