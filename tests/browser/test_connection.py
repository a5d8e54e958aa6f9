"""The page stays with its daemon: over restarts, silence, proxies, closed tabs and a token."""

import re
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.forwarder import PREFIX, Forwarder
from tests.browser.shown import read
from tests.browser.visiting import TEXT, look, ticks
from tests.e2e.conftest import QUICK
from tests.e2e.running import Condord, Simulated, closing_program, until

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-a-browser"
CUT_OFF = re.compile(r"Cut off from condord since \d\d:\d\d:\d\d E[SD]T\.")
GAP = re.compile(r"Connected again\. Nothing was heard from \d\d:\d\d:\d\d E[SD]T to \d\d:\d\d:\d\d E[SD]T\.")
FAILED_LOADS = r"Failed to load resource|net::ERR_"
"""What a browser says of a stream that is not to be had."""


def standing(page):
    return page.get_by_role("status")


def liquid(page):
    """The card of the condor whose legs are quoted most."""
    return page.locator('article[data-condor^="SPY-"]')


def ink(page) -> str:
    return liquid(page).locator("h2").evaluate("(heading) => getComputedStyle(heading).color")


def colours(elements) -> set[str]:
    return set(elements.evaluate_all("(all) => all.map((each) => getComputedStyle(each).color)"))


def test_a_restart_of_the_daemon_is_told_and_overcome_and_the_gap_is_put_into_words(visit):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with closing_program(Simulated("--scenario", "busy")) as simulated:
        with closing_program(Condord(simulated, "--port", port, **QUICK)) as condord:
            page = visit(f"{condord.url}/", tolerates=FAILED_LOADS).open()
            ticks(page)
            assert condord.stop() == 0
            expect(standing(page)).to_contain_text(CUT_OFF)
            look(page, "lost")
            assert re.search(r"\d", page.locator(TEXT).first.inner_text())
        with closing_program(Condord(simulated, "--port", port, **QUICK)):
            expect(standing(page)).to_contain_text(GAP)
            expect(page.locator("article[data-look=lost]")).to_have_count(0)
            ticks(page)


class TestSilence:
    """While quotes are due and none comes."""

    def test_cards_are_dimmed_and_keep_their_last_numbers_and_say_how_old_they_are(self, wary, visit):
        wary.simulated.post("market", frozen=False)
        page = visit(wary.url).open()
        expect(liquid(page)).to_have_attribute("data-look", "live")
        bright = ink(page)
        numbers = page.locator(".totals dd, .scrolls td")
        assert numbers.count() > page.locator(".totals dd").count()
        assert len(colours(numbers)) > 1
        wary.simulated.post("market", frozen=True)
        look(page, "stale")
        assert ink(page) != bright
        assert len(colours(numbers)) == 1
        expect(standing(page)).to_contain_text("Prices are old.")
        last = read(page)
        assert all(re.search(r"\d", card["profit"][0]) for card in last["condors"].values())

        age = page.locator("article[data-condor] footer").first

        def seconds() -> int:
            return int(re.search(r"Quotes (\d+) s old", age.inner_text())[1])

        young = seconds()
        until(lambda: seconds() >= young + 2, "the age grows")
        assert read(page) == last

    def test_it_ends_with_the_next_quote(self, wary, visit):
        wary.simulated.post("market", frozen=True)
        page = visit(wary.url).open()
        look(page, "stale")
        wary.simulated.post("market", frozen=False)
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

    def test_the_page_comes_back_by_itself_after_a_502_which_ends_an_event_source_for_good(self, proxy, visit):
        page = visit(proxy.url, tolerates=FAILED_LOADS).open()
        ticks(page)
        proxy.cut()
        expect(standing(page)).to_contain_text(CUT_OFF)
        page.wait_for_function("() => streams.some((stream) => stream.readyState === EventSource.CLOSED)")
        until(lambda: proxy.refused > 1, "it tries again, in vain")
        heard = page.evaluate("versions.length")
        proxy.mend()
        expect(standing(page)).to_contain_text(GAP)
        ticks(page)
        assert page.evaluate("versions.length") > heard
        assert page.evaluate("streams.at(-1).url").startswith(f"{proxy.url}api/stream?lastEventId=")


def test_ten_tabs_share_one_stream_and_go_on_when_the_one_that_leads_is_closed(moving, visit):
    def subscribers() -> int:
        return moving.condord.status()["subscribers"]

    until(lambda: subscribers() == 0, "who was here before has gone")
    visitor = visit(moving.url)
    tabs = [visitor.open() for _ in range(10)]
    ticks(*tabs)
    assert subscribers() == 1
    (leader,) = [tab for tab in tabs if tab.evaluate("streams.length")]
    leader.close()
    tabs.remove(leader)
    until(lambda: any(tab.evaluate("streams.length") for tab in tabs), "another one leads")
    ticks(*tabs)
    until(lambda: subscribers() == 1, "there is one stream")
    assert sum(tab.evaluate("streams.length") for tab in tabs) == 1


def token_file(folder, token: str) -> dict[str, str]:
    path = folder / "token"
    path.write_text(token)
    path.chmod(0o600)
    return {"CONDORD_SERVER_TOKEN_FILE": str(path), **QUICK}


@pytest.fixture
def guarded(tmp_path):
    """The address of a daemon that wants a token."""
    told = token_file(tmp_path, TOKEN)
    with closing_program(Simulated()) as simulated, closing_program(Condord(simulated, **told)) as condord:
        yield f"{condord.url}/"


def test_a_page_needs_the_token_once_and_never_shows_it(guarded, visit):
    visitor = visit(guarded, tolerates="status of 401")
    page = visitor.context.new_page()
    assert page.goto(guarded).status == 401
    opened = page.goto(f"{guarded}?token={TOKEN}")
    assert (opened.status, opened.request.redirected_from.response().status) == (200, 303)
    ticks(page)
    assert page.url == guarded
    page.reload()
    ticks(page)
    (cookie,) = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"] + page.url + page.content() + page.evaluate("document.cookie")
    assert [url for url in visitor.requests if TOKEN in url] == [f"{guarded}?token={TOKEN}"]


def test_a_page_whose_token_is_no_longer_good_says_so(tmp_path, visit):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with closing_program(Simulated()) as simulated:
        with closing_program(Condord(simulated, "--port", port, **token_file(tmp_path, TOKEN))) as condord:
            visitor = visit(f"{condord.url}/?token={TOKEN}", tolerates=FAILED_LOADS)
            page = visitor.open()
            ticks(page)
            assert condord.stop() == 0
            expect(standing(page)).to_contain_text("it goes on by itself")
        with closing_program(Condord(simulated, "--port", port, **token_file(tmp_path, f"{TOKEN}-2"))):
            expect(standing(page)).to_contain_text("The daemon asks for its token.", timeout=15_000)
            expect(standing(page)).not_to_contain_text("it goes on by itself")
            assert sum(url.endswith("/api/status") for url in visitor.requests) == 1
