"""One browser per worker, and daemons for it; tests are skipped if the browser or the page is missing."""

import contextlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, sync_playwright

from condord.http.page import BUILD_DIRECTORY
from tests.browser.owner import prepared
from tests.browser.visiting import Visit
from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, Simulated, closing_program, until
from tests.needs import lacking

ROOT = Path(__file__).parents[2]
LONG_SILENCE = {"CONDORD_STREAM_SILENCE_SECONDS": "600"}
"""A test may pause the market for as long as it needs."""
CALM = {**QUICK, "CONDORD_STREAM_WINDOW_MS": "250"}
"""A page updates several times a second; twenty updates a second would only keep the processor busy."""
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup")
"""Each window loads the suggestions of its address bar, which nobody sees: that takes as long as loading the page."""


@pytest.fixture(scope="package")
def launch():
    """A function that starts a browser. They are closed after this package, as Playwright runs its own loop in the thread
    of other tests."""
    if (program := shutil.which("chromium")) is None:
        lacking("chromium")
    if not (BUILD_DIRECTORY / "index.html").is_file():
        lacking("the page")
    with sync_playwright() as playwright, contextlib.ExitStack() as browsers:

        def begin(*arguments: str) -> Browser:
            flags = [*FLAGS, *arguments]
            return browsers.enter_context(playwright.chromium.launch(executable_path=program, args=flags))

        yield begin


@pytest.fixture(scope="package")
def chromium(launch):
    """A browser whose tabs share one process, as starting another for each takes longer than most tests."""
    return launch("--renderer-process-limit=1")


@pytest.fixture
def chromium_with_processes(launch):
    """A browser with a process for each tab, so that one can be stopped alone."""
    with launch() as browser:
        yield browser


@pytest.fixture
def visit(chromium):
    """A function that opens pages; at the end each visit is checked by `Visit.end`."""
    visits = []

    def begin(url: str, **options) -> Visit:
        visits.append(Visit(chromium, url, **options))
        return visits[-1]

    try:
        yield begin
    finally:
        with contextlib.ExitStack() as stack:
            for visitor in visits:
                stack.callback(visitor.end)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds accessibility faults."""
    path = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        lacking("node packages", "axe-core")
    return path.read_text()


@contextlib.contextmanager
def running(**environ: str):
    """A simulator, and a daemon that has read and priced its whole account."""
    settings = {**CALM, **LONG_SILENCE, **environ}
    with closing_program(Simulated()) as simulated, closing_program(Condord(simulated, **settings)) as condord:
        condord.await_account_read()
        condord.await_priced()
        yield SimpleNamespace(simulated=simulated, condord=condord, url=f"{condord.url}/")


@pytest.fixture(scope="package")
def moving():
    """A daemon with moving prices at the default window, for tests that do not change it."""
    with running() as pair:
        yield pair


@pytest.fixture(scope="package")
def still():
    """A daemon with condors and quotes of every kind in a paused market, for tests that do not change it."""
    with running() as pair:
        pair.simulated.post("market", frozen=True)
        quote_oddly(pair)
        yield pair


@pytest.fixture(scope="package")
def owner(tmp_path_factory):
    """An account in a market that does not move; each test first sets what needs its owner, by `need`."""
    with prepared(tmp_path_factory.mktemp("owner")) as account:
        yield account


@pytest.fixture(scope="module")
def detects_silence():
    """A daemon that detects silence after a second; each test must first pause or resume the market."""
    with running(CONDORD_STREAM_SILENCE_SECONDS="1", CONDORD_REST_SETTLE_SECONDS="0.5") as pair:
        yield pair


def quote_oddly(pair) -> None:
    """Set quotes of every state, and one contract of a condor without a quote."""
    condors = {condor["id"].partition("-")[0]: condor["legs"] for condor in pair.condord.document()["condors"]}
    odd = {
        condors["SPY"][0]["symbol"]: (0, 0.05),
        condors["QQQ"][1]["symbol"]: (2.1, 2.1),
        condors["QQQ"][2]["symbol"]: (3.2, 3.1),
        condors["NVDA"][0]["symbol"]: (0.05, 19.95),
        condors["NVDA"][3]["symbol"]: (0.5, 0),
        condors["AAPL"][1]["symbol"]: (0, 0),
        condors["IWM"][0]["symbol"]: (7.1234, 7.1301),
    }
    quotes = [{"symbol": symbol, "bp": bid, "ap": ask} for symbol, (bid, ask) in odd.items()]
    pair.simulated.post("quotes", quotes=quotes, pin=True)

    def are_published() -> bool:
        found = {quote["symbol"]: (quote["bid"] or 0, quote["ask"] or 0) for quote in pair.condord.document()["quotes"]}
        return all(found[symbol] == prices for symbol, prices in odd.items())

    until(are_published, "the odd quotes are published")
