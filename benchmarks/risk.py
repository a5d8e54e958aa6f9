"""Measure what the risk of condors costs: processor time a contract, beside vollib, and bytes a subscriber.

1. Processor time. condord's part is everything from the price of each leg to the risk of each condor: implied
   volatilities, greeks, distances and probabilities. vollib's part is one implied volatility, the price and four greeks
   for each leg. Both run on the same contracts, in one process.
2. Bytes. One subscriber follows the whole stream of the demo for a minute. Its deltas are counted as they are, and once
   more without what risk figures and underlyings add to them. Data is counted before compression.

Exit code 1: a contract costs more than 15 us, the exponent is above 1.1, or risk figures take more than 25 kB a minute
for each condor.

Run it: python benchmarks/risk.py [--seed 1] [--times 7] [--seconds 60]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import math
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vollib.black_scholes_merton import black_scholes_merton
from vollib.black_scholes_merton.greeks import analytical
from vollib.black_scholes_merton.implied_volatility import implied_volatility

from condord.client.sse import EventParser
from condord.core.condor import BookKey, Leg, condor_of
from condord.core.grouping.search import Match
from condord.core.model.black_scholes import MarketConditions, price
from condord.core.model.figures import Chain, ModelQuote, figures
from condord.core.model.risk import RiskInputs, condor_risk

SIZES = (10, 100, 1000)
CONDORS_PER_EXPIRY = 10
TARGET_US = 15
TARGET_EXPONENT = 1.1
TARGET_KB = 25
ADDED = ("risks", "underlyings")
"""The parts of a delta that only risk figures and underlyings need."""
RATE = 0.04
YIELD = 0.012


def expiry(chance, number):
    """Ten condors of one underlying and expiration: its chain, the condors and their inputs."""
    spot, years = chance.uniform(50, 700), chance.uniform(0.02, 0.3)
    conditions = MarketConditions(spot=spot, years=years, rate=RATE, dividend_yield=YIELD)
    key = BookKey(f"R{number}", dt.date(2026, 12, 18), 100)

    def paid(right, strike):
        return price(right, strike, 0.2 - 0.3 * math.log(strike / spot), conditions)

    condors = [random_condor(chance, key, spot, years, paid) for _ in range(CONDORS_PER_EXPIRY)]
    quotes = {}
    for leg in (leg for condor in condors for leg in condor.legs):
        strike = leg.strike_mills / 1000
        quotes[leg.symbol] = ModelQuote(
            symbol=leg.symbol, right=leg.right, strike=strike, price=paid(leg.right, strike)
        )
    chain = Chain(spot=spot, years=years, rate=RATE, dividend_yield=YIELD, quotes=tuple(quotes.values()))
    inputs = RiskInputs(price=spot, spot=spot, model_spot=spot, years=years, rate=RATE, dividend_yield=YIELD)
    return chain, condors, inputs


def random_condor(chance, key, spot, years, paid):
    """A short condor around `spot`; the price is beyond a short strike of about one in twenty."""
    sigma = 0.2 * math.sqrt(years)
    center = spot * math.exp(chance.gauss(0, 0.5 * sigma))
    mills = [round(center * math.exp(step * sigma) * 100) * 10 for step in (-1.5, -1, 1, 1.5)]
    legs = tuple(
        Leg(
            symbol=f"{key.root}261218{right[0].upper()}{strike:08d}",
            right=right,
            strike_mills=strike,
            quantity=quantity,
            average_entry_e4=None,
            cost_basis_e4=round(quantity * paid(right, strike / 1000) * 1_000_000),
        )
        for right, strike, quantity in zip(("put", "put", "call", "call"), mills, (1, -1, -1, 1), strict=True)
    )
    return condor_of(key, Match(strikes=tuple(mills), short=True, quantity=1, ambiguous=False), legs, None)


def ours(expiries, guesses):
    """The risk of all condors; returns the volatilities, which are the next guesses."""
    volatilities = {}
    for chain, condors, inputs in expiries:
        found = figures(chain, guesses)
        for condor in condors:
            condor_risk(condor, found, inputs)
        volatilities.update((symbol, figure.iv) for symbol, figure in found.items() if figure.iv is not None)
    return volatilities


def vollibs(expiries):
    for chain, _, _ in expiries:
        for quote in chain.quotes:
            flag, terms = quote.right[0], (chain.spot, quote.strike, chain.years, chain.rate)
            volatility = implied_volatility(quote.price, *terms, chain.dividend_yield, flag)
            black_scholes_merton(flag, *terms, volatility, chain.dividend_yield)
            for greek in (analytical.delta, analytical.gamma, analytical.theta, analytical.vega):
                greek(flag, *terms, volatility, chain.dividend_yield)


def microseconds(work, contracts, times):
    """The least processor time of a run, in microseconds a contract."""
    least = math.inf
    for _ in range(times):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least / contracts * 1e6


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run the demo, and yield the host and the port at which it serves."""
    command = [sys.executable, "-m", "condord", "start", "--demo", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = next(match for line in process.stderr if (match := re.search(r"serves at http://(\S+)", line)))
            yield found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def followed(address: str, seconds: float):
    """The newest number of condors, the bytes of the deltas of `seconds`, and those without `ADDED`."""
    link = http.client.HTTPConnection(address, timeout=30)
    link.request("GET", "/api/stream")
    answer, parser = link.getresponse(), EventParser()
    whole = without = condors = 0
    begin = None
    while begin is None or time.monotonic() < begin + seconds:
        for event in parser.feed(answer.read1(65536)):
            payload = json.loads(event.data)
            if event.name == "snapshot":
                condors = len(payload["condors"])
                is_priced = all(condor["risk"]["delta"] is not None for condor in payload["condors"][:1])
                begin = time.monotonic() if begin is None and condors and is_priced else begin
            elif event.name == "delta":
                begin = time.monotonic() if begin is None and "risks" in payload else begin
                whole += len(event.data)
                rest = {key: value for key, value in payload.items() if key not in ADDED}
                without += len(json.dumps(rest, separators=(",", ":")))
    link.close()
    return condors, whole, without


def processor_time(seed, times):
    """Print the processor time of each size; returns the highest a contract in microseconds, and the exponent."""
    costs, highest = [], 0.0
    for condors in SIZES:
        chance = random.Random(seed)
        expiries = [expiry(chance, number) for number in range(condors // CONDORS_PER_EXPIRY)]
        contracts = sum(len(chain.quotes) for chain, _, _ in expiries)
        known = ours(expiries, {})
        cold = microseconds(lambda expiries=expiries: ours(expiries, {}), contracts, times)
        warm = microseconds(lambda expiries=expiries, known=known: ours(expiries, known), contracts, times)
        reference = microseconds(lambda expiries=expiries: vollibs(expiries), contracts, times)
        costs.append(warm * contracts)
        highest = max(highest, warm)
        print(
            f"{condors} condors, {contracts} contracts: {warm:.1f} us a contract (at most {TARGET_US}),"
            f" {cold:.1f} us without earlier volatilities; vollib {reference:.1f} us, {reference / warm:.1f} times that"
        )
    exponent = math.log(costs[-1] / costs[0]) / math.log(SIZES[-1] / SIZES[0])
    print(f"growth from {SIZES[0]} to {SIZES[-1]} condors: exponent {exponent:.2f} (at most {TARGET_EXPONENT})")
    return highest, exponent


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--times", type=int, default=7, help="runs of each size; the fastest counts")
    options.add_argument("--seconds", type=float, default=60.0, help="how long the demo's stream is followed")
    chosen = options.parse_args()
    highest, exponent = processor_time(chosen.seed, chosen.times)
    with demo() as address:
        condors, whole, without = followed(address, chosen.seconds)
    kb = [size * 60 / chosen.seconds / condors / 1000 for size in (whole, without)]
    print(
        f"the demo's {condors} condors: {kb[0]:.1f} kB a minute for each, {kb[1]:.1f} without risk figures and"
        f" underlyings, which add {kb[0] - kb[1]:.1f} (at most {TARGET_KB})"
    )
    sys.exit(highest > TARGET_US or exponent > TARGET_EXPONENT or kb[0] - kb[1] > TARGET_KB)


if __name__ == "__main__":
    main()
