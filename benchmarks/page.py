"""Measure what the page costs a browser with a hundred condors that all move, compared with a naive page.

All follow the same daemon at its fastest window, one after the other, each in a browser of its own:

    condord    the daemon's page, as built into `condord/http/page`, with cards
    table      the same page with its table
    naive      the usual way: one EventSource, JSON.parse, and the whole list rendered again with innerHTML at each
               delta. It shows the same numbers in the same table, without the drawings, the flashes and the filters.

The daemon is that of `service.run`; in the supervisor's place something offers the feed a quote for one leg of each
condor, once a window. Every card has the line of a whole session. `renderer` is the CPU time of all threads of the
process that has the page, as a share of a core; `main thread` that of its tasks, as the browser counts them. `deltas/s`
shows whether a page falls behind. How soon the first card is there is measured from the navigation on, in a browser
without a cache, on that daemon and on `condord start --demo`.

It needs Chromium (Debian: chromium) and Playwright, which is one of the development requirements.

Run it: python benchmarks/page.py [--condors 100] [--seconds 10] [--first 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

WINDOW_MS = 50
WARM_MS = 2000
SESSION_MINUTES = 390
MAX_CORE_SHARE = 0.4
FIRST_CARD_SECONDS = 0.5
CARD = "article, tr[data-condor]"
COUNT_DELTAS = """
    window.deltas = 0
    window.EventSource = class extends EventSource {
        constructor(...options) {
            super(...options)
            this.addEventListener('delta', () => deltas++)
        }
    }
"""
TIME_FIRST_CARD = """
    new MutationObserver((_, observer) => {
        if (!document.querySelector('article[data-condor] b')) return
        observer.disconnect()
        requestAnimationFrame(() => setTimeout(() => (window.firstCardMs = performance.now())))
    }).observe(document, { childList: true, subtree: true })
"""
NAIVE = """<!doctype html>
<html lang="en">
<title>naive</title>
<style>
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; font: 14px system-ui }
article { border: 1px solid #ccc; padding: 1rem } table { width: 100% } td { text-align: right }
</style>
<main></main>
<script>
const quotes = new Map()
const condors = new Map()
const show = (value) => value === null ? '—' : value.toFixed(2)
const source = new EventSource('./api/stream')
source.addEventListener('snapshot', (event) => {
    const held = JSON.parse(event.data)
    for (const quote of held.quotes) quotes.set(quote.symbol, quote)
    for (const condor of held.condors) condors.set(condor.id, condor)
    render()
})
source.addEventListener('delta', (event) => {
    const delta = JSON.parse(event.data)
    for (const quote of delta.quotes) quotes.set(quote.symbol, quote)
    for (const valuation of delta.valuations) condors.get(valuation.id).valuation = valuation
    render()
})
function render() {
    document.querySelector('main').innerHTML = [...condors.values()].map((condor) => {
        const { unrealizedPl, percentOfMaxProfit, mark, natural, naturalPl, legs } = condor.valuation
        const rows = condor.legs.map((leg) => {
            const { bid, ask, mark } = quotes.get(leg.symbol)
            const profit = legs.find((entry) => entry.symbol === leg.symbol)?.unrealizedPl ?? null
            return `<tr><th>${leg.side} ${leg.quantity} ${leg.strike} ${leg.right}</th><td>${show(bid)}</td>
                <td>${show(ask)}</td><td>${show(mark)}</td><td>${show(profit)}</td></tr>`
        })
        return `<article><h2>${condor.underlying}</h2>
            <p>${condor.expiration}, ${condor.daysToExpiration} days</p>
            <p>${condor.direction} ${condor.kind} ${condor.quantity}</p>
            <p>${condor.legs.map((leg) => leg.strike).join(' / ')}</p>
            <p><b>${show(unrealizedPl)}</b> ${show(percentOfMaxProfit)} %</p>
            <dl>
                <dt>Credit</dt><dd>${show(condor.credit)}</dd>
                <dt>Mark</dt><dd>${show(mark)}</dd>
                <dt>Close now</dt><dd>${show(natural)}</dd>
                <dt>P/L closed now</dt><dd>${show(naturalPl)}</dd>
                <dt>Max profit</dt><dd>${show(condor.maxProfit)}</dd>
                <dt>Max loss</dt><dd>${show(condor.maxLoss)}</dd>
            </dl>
            <table>${rows.join('')}</table></article>`
    }).join('')
}
</script>
</html>
"""


class Cost(NamedTuple):
    """The cost of a page per second: CPU seconds of its process and of its main thread, and deltas received."""

    renderer: float
    main_thread: float
    deltas: float


def serve(condors: int) -> None:
    """Run the daemon; in every window, one leg of each condor has a new quote."""
    import daemon_parts
    import growth

    from condord.core.quote import Tick
    from condord.live.minutes import HoldingPeriod, MinuteRow

    class Quotes(daemon_parts.FakeSupervisor):
        async def run(self) -> None:
            held = growth.account(condors)
            self.sink.set_positions(daemon_parts.positions(held))
            symbols = list(held)
            self._offer(symbols, 0)
            self.sink.set_status(daemon_parts.live_status())
            self._draw()
            number = 0
            while True:
                await asyncio.sleep(WINDOW_MS / 1e3)
                number += 1
                self._offer(symbols[number % 4 :: 4], number)

        def _draw(self) -> None:
            """A session of a whole day on every card."""
            book = self.sink._publisher.book  # noqa: SLF001 - what the clock would do in a day
            held = {value.id for _, value in book.edition.valuations.core.values()}
            now = int(daemon_parts.utc_now().timestamp()) // 60 * 60
            for minute in range(SESSION_MINUTES):
                unknown = dict.fromkeys(("natural_cents", "price_e4", "low", "high", "quantity"))
                known = {"second": now - 60 * (SESSION_MINUTES - minute), "cents": 100 * (7 * minute % 97)}
                book.pl_history.add(
                    MinuteRow(holding=HoldingPeriod(condor_id=each, opened_at=None), **known, **unknown)
                    for each in held
                )
            book.edition.restart({each: book.pl_history.of(each) for each in held})

        def _offer(self, symbols: list[str], number: int) -> None:
            at = daemon_parts.utc_now()
            ticks = []
            for index, symbol in enumerate(symbols):
                bid = 2 + (7 * index + 3 * number) % 50 / 100
                ticks.append(Tick(symbol, at, bid, bid + 0.05, 10, 12))
            self.sink.offer(ticks)

    daemon_parts.serve(Quotes, WINDOW_MS / 1e3)


@contextlib.contextmanager
def daemon(condors: int) -> Iterator[str]:
    """The address of a daemon with this many condors."""
    command = [sys.executable, __file__, "--serve", str(condors)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() + "/"
        finally:
            process.terminate()
            process.communicate()


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """The address of a demo daemon."""
    command = [sys.executable, "-m", "condord", "start", "--demo", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(found[1] for line in process.stderr if (found := re.search(r"serves at (\S+)", line))) + "/"
        finally:
            process.terminate()
            process.communicate()


@contextlib.contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """A browser."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()


def cost(browser: Browser, url: str, condors: int, seconds: float) -> Cost:
    """The cost of the page at `url` over `seconds`."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(COUNT_DELTAS)
    page.route("**/naive", lambda route: route.fulfill(body=NAIVE, content_type="text/html"))
    page.goto(url)
    page.wait_for_function(f"() => document.querySelectorAll('{CARD}').length === {condors} && deltas > 0")
    page.wait_for_timeout(WARM_MS)
    counting = page.context.new_cdp_session(page)
    counting.send("Performance.enable")
    before = counters(page, counting)
    page.wait_for_timeout(1e3 * seconds)
    after = counters(page, counting)
    spent = {name: after[name] - before[name] for name in before}
    return Cost(*(spent[name] / spent["Timestamp"] for name in ("ProcessTime", "TaskDuration", "deltas")))


def counters(page: Page, counting: CDPSession) -> dict[str, float]:
    """The browser's counters of a page, in seconds, and the deltas that it has received."""
    metrics = {metric["name"]: metric["value"] for metric in counting.send("Performance.getMetrics")["metrics"]}
    wanted = ("Timestamp", "ProcessTime", "TaskDuration")
    return {**{name: metrics[name] for name in wanted}, "deltas": page.evaluate("deltas")}


def first_cards(playwright: Playwright, url: str, count: int) -> list[float]:
    """The results of `first_card` for this many visits of one browser."""
    with chromium(playwright) as browser:
        return [first_card(browser, url) for _ in range(count)]


def first_card(browser: Browser, url: str) -> float:
    """The seconds until a browser without a cache has painted a card."""
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.add_init_script(TIME_FIRST_CARD)
        page.goto(url, wait_until="commit")
        return page.wait_for_function("() => window.firstCardMs").json_value() / 1e3


def main() -> int:
    """Print the figures; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--condors", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--first", type=int, default=5, help="how many times to measure the first card; the median counts"
    )
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return 0
    if shutil.which("chromium") is None:
        print("chromium is not installed")
        return 1
    costs = {}
    print(f"{chosen.condors} condors, a window of {WINDOW_MS} ms")
    print(f"{'':8}  renderer  main thread  deltas/s")
    with sync_playwright() as playwright:
        with daemon(chosen.condors) as url:
            for name, address in {"condord": url, "table": f"{url}#view=table", "naive": f"{url}naive"}.items():
                with chromium(playwright) as browser:
                    costs[name] = page = cost(browser, address, chosen.condors, chosen.seconds)
                print(f"{name:8}  {page.renderer:8.1%}  {page.main_thread:11.1%}  {page.deltas:8.1f}", flush=True)
            firsts = {f"{chosen.condors} condors": first_cards(playwright, url, chosen.first)}
        with demo() as url:
            firsts["the demo"] = first_cards(playwright, url, chosen.first)
    ours = costs["condord"].renderer
    print(f"condord to naive: {ours / costs['naive'].renderer:.2f}")
    for name, seconds in firsts.items():
        each = ", ".join(f"{value:.2f}" for value in seconds)
        print(f"first card of {name}: {statistics.median(seconds):.2f} s (of {each})")
    wrong = [
        f"{name} takes {costs[name].renderer:.0%} of a core, target: at most {MAX_CORE_SHARE:.0%}"
        for name in ("condord", "table")
        if costs[name].renderer > MAX_CORE_SHARE
    ]
    wrong += [
        f"the first card of {name} takes {statistics.median(seconds):.2f} s, target: {FIRST_CARD_SECONDS:g} s"
        for name, seconds in firsts.items()
        if statistics.median(seconds) > FIRST_CARD_SECONDS
    ]
    print(
        "\n".join(wrong)
        or f"targets met: at most {MAX_CORE_SHARE:.0%} of a core, a card within {FIRST_CARD_SECONDS:g} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
