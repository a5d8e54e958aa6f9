"""One browser a worker, daemons to look at, and what is missing where there is none."""

import contextlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import sync_playwright

from condord.http.page import BUILT
from tests.browser.visiting import Visit
from tests.e2e.conftest import QUICK
from tests.e2e.running import Condord, Simulated, closing_program, until

ROOT = Path(__file__).parents[2]
PATIENT = {"CONDORD_STREAM_SILENCE_SECONDS": "600"}
"""The market may stand still for as long as a test likes."""


def lacking(what: str):
    """Skip for want of something, or fail where it is demanded."""
    if os.environ.get("CONDORD_BROWSER") == "required":
        pytest.fail(f"{what} is required here")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="package")
def chromium():
    """The browser; of this package alone, as Playwright has a loop of its own in the thread that other tests need."""
    if (program := shutil.which("chromium")) is None:
        lacking("chromium")
    if not (BUILT / "index.html").is_file():
        lacking("the page, which `pip install -e .` builds with node")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def visit(chromium):
    """Opens pages; at the end none of them may have done what no page may."""
    visits = []

    def begin(url: str, **options) -> Visit:
        visits.append(Visit(chromium, url, **options))
        return visits[-1]

    try:
        yield begin
    finally:
        with contextlib.ExitStack() as stack:
            for each in visits:
                stack.callback(each.end)


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that knows what people cannot read."""
    path = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        lacking("axe-core, which `npm ci` in web/ brings,")
    return path.read_text()


@contextlib.contextmanager
def running(**environ: str):
    """A simulator and a daemon that shows it whole."""
    told = {**QUICK, **PATIENT, **environ}
    with closing_program(Simulated()) as simulated, closing_program(Condord(simulated, **told)) as condord:
        condord.await_told()
        condord.await_priced()
        yield SimpleNamespace(simulated=simulated, condord=condord, url=f"{condord.url}/")


@pytest.fixture(scope="package")
def moving():
    """A daemon whose prices move, as often as it usually lets them, for those who only look."""
    with running(CONDORD_STREAM_WINDOW_MS="250") as pair:
        yield pair


@pytest.fixture(scope="package")
def still():
    """A daemon with condors and quotes of every kind that all stand still, for those who only look."""
    with running() as pair:
        pair.simulated.post("market", frozen=True)
        quote_oddly(pair)
        yield pair


@pytest.fixture(scope="module")
def wary():
    """A daemon that soon notices silence; whoever asks for it has first to say how the market is to be."""
    with running(CONDORD_STREAM_SILENCE_SECONDS="1", CONDORD_REST_SETTLE_SECONDS="0.5") as pair:
        yield pair


def quote_oddly(pair) -> None:
    """Leave quotes of every state behind, and one contract in a condor without any."""
    condors = {condor["id"].partition("-")[0]: condor["legs"] for condor in pair.condord.document()["condors"]}
    odd = {
        condors["SPY"][0]["symbol"]: (0, 0.05),
        condors["QQQ"][1]["symbol"]: (2.1, 2.1),
        condors["QQQ"][2]["symbol"]: (3.2, 3.1),
        condors["NVDA"][0]["symbol"]: (0.05, 19.95),
        condors["NVDA"][3]["symbol"]: (0.5, 0),
        condors["AAPL"][1]["symbol"]: (0, 0),
        condors["IWM"][0]["symbol"]: (0.1234, 0.1301),
    }
    quotes = [{"symbol": symbol, "bp": bid, "ap": ask} for symbol, (bid, ask) in odd.items()]
    pair.simulated.post("quotes", quotes=quotes, pin=True)

    def are_told() -> bool:
        told = {quote["symbol"]: (quote["bid"] or 0, quote["ask"] or 0) for quote in pair.condord.document()["quotes"]}
        return all(told[symbol] == pair_of for symbol, pair_of in odd.items())

    until(are_told, "the odd quotes are told")
