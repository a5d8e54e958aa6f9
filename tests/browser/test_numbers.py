"""The page shows the daemon's document to the last digit and drops no update."""

import datetime as dt
import re

import pytest
from playwright.sync_api import expect

from tests.browser.shown import UNKNOWN, expected_cards, read
from tests.browser.visiting import has_cards, ticks
from tests.e2e.running import Condord, Simulated, closing_program, until

pytestmark = pytest.mark.slow


def agreed(page, condord) -> dict:
    """The shown numbers, once the daemon's document no longer changes and the page matches it."""
    last = {}

    def check() -> bool:
        before = condord.document()
        last["shown"] = read(page)
        after = condord.document()
        last["expected"] = expected_cards(after)
        return before["version"] == after["version"] and last["shown"] == last["expected"]

    try:
        until(check, "the page shows the document", pause=0.2)
    except AssertionError:
        assert last["shown"] == last["expected"]
        raise
    return last["shown"]


def test_cards_update_without_interaction(moving, visit):
    ticks(visit(moving.url).open())


def test_every_number_on_the_page_matches_the_document(still, visit):
    page = visit(still.url).open()
    has_cards(page)
    shown = agreed(page, still.condord)
    document = still.condord.document()
    kinds = {(condor["direction"], condor["kind"], condor["brokenWing"]) for condor in document["condors"]}
    assert kinds >= {
        ("short", "ironCondor", False),
        ("long", "ironCondor", False),
        ("short", "ironButterfly", False),
        ("short", "ironCondor", True),
    }
    assert {quote["state"] for quote in document["quotes"]} >= {"zeroBid", "locked", "crossed", "stub", "noAsk"}
    assert any(condor["valuation"]["missing"] for condor in document["condors"])
    assert shown["unmatched"]
    assert any(UNKNOWN in card["profit"] for card in shown["condors"].values())


def test_a_changed_quote_updates_the_page(detects_silence, visit):
    detects_silence.simulated.post("market", frozen=True)
    page = visit(detects_silence.url).open()
    has_cards(page)
    agreed(page, detects_silence.condord)
    leg = detects_silence.condord.document()["condors"][0]["legs"][1]["symbol"]
    detects_silence.simulated.post("quotes", quotes=[{"symbol": leg, "bp": 4.11, "ap": 4.19}])
    until(
        lambda: any(quote["bid"] == 4.11 for quote in detects_silence.condord.document()["quotes"]),
        "the quote is published",
    )
    shown = agreed(page, detects_silence.condord)
    assert ["4.11", "4.19", "4.15"] in [leg[2:5] for card in shown["condors"].values() for leg in card["legs"]]


def a_hundred_condors() -> list[list[tuple[str, int]]]:
    """The legs of a hundred condors within the free symbol limit of Alpaca's stream; pairs of them share a spread."""
    condors = []
    today = dt.date.today()  # noqa: DTZ011 - any day some weeks ahead is fine
    for root, spot in {"SPY": 740, "QQQ": 650, "IWM": 290, "NVDA": 220, "AAPL": 330}.items():
        for weeks in range(1, 6):
            day = today + dt.timedelta(days=7 * weeks + 3)
            name = f"{root}{day:%y%m%d}{{}}{{:05d}}000"
            puts = [(name.format("P", spot - 15 * far - 5), name.format("P", spot - 15 * far)) for far in (1, 2)]
            calls = [(name.format("C", spot + 15 * far), name.format("C", spot + 15 * far + 5)) for far in (1, 2)]
            condors += [[(put[0], 1), (put[1], -1), (call[0], -1), (call[1], 1)] for put in puts for call in calls]
    return condors


@pytest.fixture
def crowd():
    """A daemon with a hundred condors that all change at the fastest window."""
    with closing_program(Simulated("--scenario", "empty")) as simulated:
        held = {}
        for legs in a_hundred_condors():
            for symbol, quantity in legs:
                held[symbol] = held.get(symbol, 0) + quantity
            filled = [{"symbol": symbol, "qty": held[symbol]} for symbol, _ in legs]
            simulated.post("positions", positions=filled, fill=True)
        simulated.post("market", rate=20)
        environ = {"CONDORD_STREAM_WINDOW_MS": "50", "CONDORD_STREAM_SILENCE_SECONDS": "600"}
        with closing_program(Condord(simulated, **environ)) as condord:
            condord.await_account_read()  # until the orders are read, legs are grouped by structure: 50 larger condors
            condord.await_priced()
            assert len(condord.document()["condors"]) == 100
            yield simulated, condord


def test_no_update_is_dropped_with_a_hundred_condors_at_the_fastest_window(crowd, visit):
    simulated, condord = crowd
    page = visit(f"{condord.url}/").open()
    expect(page.locator("article[data-condor]")).to_have_count(100)
    page.wait_for_function("() => versions.length > 40")
    simulated.post("market", frozen=True)
    shown = agreed(page, condord)
    assert len(shown["condors"]) == 100
    newest = condord.document()["version"]
    # Risk figures still follow, so a newer one may come before the page is asked.
    page.wait_for_function("(newest) => versions.includes(newest)", arg=newest)
    epochs, numbers = zip(*(version.rsplit("-", 1) for version in page.evaluate("versions")), strict=True)
    assert len(set(epochs)) == 1
    assert [int(number) for number in numbers] == [*range(int(numbers[0]), int(numbers[-1]) + 1)]
    status = condord.status()
    assert (status["dropped"], status["evicted"], sum(status["resyncs"].values())) == (0, 0, 0)


class TestPositionsThatChange:
    """Positions that change while the page is open."""

    @pytest.fixture
    def page(self, detects_silence, visit):
        detects_silence.simulated.post("market", frozen=False)
        page = visit(detects_silence.url).open()
        has_cards(page)
        return page

    def test_a_closed_condor_disappears_and_an_opened_one_is_marked_as_new(self, detects_silence, page):
        condor = next(card for card in detects_silence.condord.document()["condors"] if card["id"].startswith("SPY-"))
        held = detects_silence.simulated.held()
        legs = {leg["symbol"]: held[leg["symbol"]] for leg in condor["legs"]}
        card = page.locator(f'article[data-condor="{condor["id"]}"]')
        expect(card).to_have_count(1)
        detects_silence.simulated.post(
            "positions", positions=[{"symbol": symbol, "qty": 0} for symbol in legs], fill=True
        )
        expect(card).to_have_count(0)
        back = [{"symbol": symbol, "qty": quantity} for symbol, quantity in legs.items()]
        detects_silence.simulated.post("positions", positions=back, fill=True)
        expect(card).to_have_attribute("data-look", "new")
        expect(card).to_contain_text(re.compile(r"New since \d\d:\d\d:\d\d ET"))
        expect(page.locator('article[data-look="new"]')).to_have_count(1)
