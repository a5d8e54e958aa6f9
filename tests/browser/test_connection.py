"""The page keeps its connection through restarts, silence, proxies, and tabs that are closed or frozen."""

import re
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CALM, running
from tests.browser.forwarder import PREFIX, Forwarder
from tests.browser.shown import read
from tests.browser.visiting import TEXT, Visit, closing_visit, ticks, wait_for_look
from tests.e2e.running import Condord, Simulated, closing_program, until

pytestmark = pytest.mark.slow

CUT_OFF = re.compile(r"No connection to condord since \d\d:\d\d:\d\d ET\.")
GAP = re.compile(r"Connected again\. No data was received from \d\d:\d\d:\d\d ET to \d\d:\d\d:\d\d ET\.")
FAILED_LOADS = r"Failed to load resource|net::ERR_"
"""What a browser logs if a stream cannot be loaded."""


def standing(page):
    return page.get_by_role("status")


def liquid(page):
    """The card of the condor with the most frequent quotes."""
    return page.locator('article[data-condor^="SPY-"]')


def heading_colour(page) -> str:
    return liquid(page).locator("h3").evaluate("(heading) => getComputedStyle(heading).color")


def colours(elements) -> set[str]:
    return set(elements.evaluate_all("(all) => all.map((element) => getComputedStyle(element).color)"))


def test_the_page_shows_a_restart_recovers_and_describes_the_gap(visit):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with closing_program(Simulated("--scenario", "busy")) as simulated:
        with closing_program(Condord(simulated, "--port", port, **CALM)) as condord:
            page = visit(f"{condord.url}/", tolerates=FAILED_LOADS).open()
            ticks(page)
            assert condord.stop() == 0
            expect(standing(page)).to_contain_text(CUT_OFF)
            wait_for_look(page, "stale")
            assert re.search(r"\d", page.locator(TEXT).first.inner_text())
        with closing_program(Condord(simulated, "--port", port, **CALM)):
            expect(standing(page)).to_contain_text(GAP)
            expect(page.locator(".condor-notes li", has_text="No connection")).to_have_count(0)
            ticks(page)


def numbers_of(page) -> dict:
    """The numbers made from quotes of options; the account and underlyings are read as usual, and risk follows the time."""
    found = read(page)
    del found["totals"]["Options buying power"]
    for card in found["condors"].values():
        card["facts"] = card["facts"]["Close at mid"]
        del card["payoff"], card["labels"]
    return found


def settled(page) -> dict:
    """The numbers once the last ones before the silence are shown."""
    seen = [numbers_of(page)]

    def are_same() -> bool:
        page.wait_for_timeout(1500)
        seen.append(numbers_of(page))
        return seen[-1] == seen[-2]

    until(are_same, "the numbers stay")
    return seen[-1]


class TestSilence:
    """The page while quotes are expected and none arrives."""

    def test_cards_are_dimmed_and_show_their_last_numbers_with_their_age(self, detects_silence, visit):
        detects_silence.simulated.post("market", frozen=False)
        page = visit(detects_silence.url).open()
        expect(liquid(page)).to_have_attribute("data-look", "live")
        bright = heading_colour(page)
        numbers = page.locator(".totals dd, .rows td")
        assert numbers.count() > page.locator(".totals dd").count()
        assert len(colours(numbers)) > 1
        detects_silence.simulated.post("market", frozen=True)
        wait_for_look(page, "stale")
        assert heading_colour(page) != bright
        assert len(colours(numbers)) == 1
        expect(standing(page)).to_contain_text("Prices are old.")
        last = settled(page)
        assert all(re.search(r"\d", card["profit"][0]) for card in last["condors"].values())

        age = page.locator("article[data-condor] .condor-source").first

        def seconds() -> int:
            return int(re.search(r"Quotes (\d+) s old", age.inner_text())[1])

        young = seconds()
        until(lambda: seconds() >= young + 2, "the age grows")
        assert numbers_of(page) == last

    def test_the_next_quote_ends_the_dimming_of_old_cards(self, detects_silence, visit):
        detects_silence.simulated.post("market", frozen=True)
        page = visit(detects_silence.url).open()
        wait_for_look(page, "stale")
        detects_silence.simulated.post("market", frozen=False)
        expect(liquid(page)).to_have_attribute("data-look", "live")
        ticks(page)


class TestBehindAProxy:
    @pytest.fixture
    def proxy(self, moving):
        with closing(Forwarder(moving.url)) as forwarder:
            yield forwarder

    def test_the_page_and_its_stream_work_under_a_prefix(self, proxy, visit):
        visitor = visit(proxy.url)
        page = visitor.open()
        ticks(page)
        assert page.url == proxy.url
        assert all(urlsplit(url).path.startswith(f"{PREFIX}/") for url in visitor.requests if url.startswith("http"))

    def test_the_page_reconnects_after_a_502_which_ends_an_event_source_permanently(self, proxy, visit):
        page = visit(proxy.url, tolerates=FAILED_LOADS).open()
        ticks(page)
        proxy.cut()
        expect(standing(page)).to_contain_text(CUT_OFF)
        page.wait_for_function("() => streams.some((stream) => stream.readyState === EventSource.CLOSED)")
        until(lambda: proxy.refused > 1, "it retries")
        received = page.evaluate("versions.length")
        proxy.mend()
        expect(standing(page)).to_contain_text(GAP)
        ticks(page)
        assert page.evaluate("versions.length") > received
        assert re.fullmatch(rf"{re.escape(proxy.url)}api/stream\?lastEventId=.+", page.evaluate("streams.at(-1).url"))


def test_another_tab_takes_over_from_a_frozen_one_which_steps_down_when_it_wakes(chromium_with_processes):
    with (
        running(CONDORD_SERVER_HEARTBEAT_SECONDS="0.5") as beating,
        closing_visit(Visit(chromium_with_processes, f"{beating.url}#find=spy", tolerates=FAILED_LOADS)) as visitor,
    ):
        tabs = [visitor.open() for _ in range(3)]
        ticks(*tabs)
        tabs[0].wait_for_timeout(3000)  # the page learns the heartbeat interval from several heartbeats
        (leader,) = [tab for tab in tabs if tab.evaluate("streams.length")]
        tabs.remove(leader)
        freezer = visitor.context.new_cdp_session(leader)
        # A visible tab cannot be frozen, but the debugger stops it in the same way.
        freezer.send("Debugger.enable")
        freezer.send("Debugger.pause")
        until(lambda: sum(tab.evaluate("streams.length") for tab in tabs) == 1, "another tab leads")
        ticks(*tabs)
        freezer.send("Debugger.resume")
        until(lambda: beating.condord.status()["subscribers"] == 1, "there is one stream")
        ticks(leader, *tabs)
        assert leader.evaluate("streams.map((stream) => stream.readyState)") == [2]


def test_ten_tabs_share_one_stream_and_continue_when_the_leader_is_closed(moving, visit):
    def subscribers() -> int:
        return moving.condord.status()["subscribers"]

    until(lambda: subscribers() == 0, "earlier subscribers have gone")
    visitor = visit(f"{moving.url}#find=spy")  # fewer cards, as each tab renders all of them
    tabs = [visitor.open() for _ in range(10)]
    ticks(*tabs)
    assert subscribers() == 1
    (leader,) = [tab for tab in tabs if tab.evaluate("streams.length")]
    leader.close()
    tabs.remove(leader)
    until(lambda: any(tab.evaluate("streams.length") for tab in tabs), "another tab leads")
    ticks(*tabs)
    until(lambda: subscribers() == 1, "there is one stream")
    assert sum(tab.evaluate("streams.length") for tab in tabs) == 1
