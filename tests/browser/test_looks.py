"""The page is accessible: by keyboard, on a phone, in dark mode, with low vision, without motion."""

import os
import re
import subprocess
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ROOT
from tests.browser.forwarder import Forwarder
from tests.browser.visiting import Visit, closing_visit, has_cards, ticks, wait_for_look
from tests.needs import lacking
from tests.page_build import npm_with

pytestmark = pytest.mark.slow

WIDE = {"width": 1280, "height": 4000}
PHONE = {"width": 360, "height": 16_000}
"""Viewports as high as the page, as a browser does not lay out cards outside of them."""
IDS = "() => [...document.querySelectorAll('article[data-condor]')].map((card) => card.dataset.condor)"
_FINDINGS = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'], preload: false })
    return violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.target}: ${node.failureSummary}`))
}"""
FOCUSED = """() => {
    const { activeElement: focused } = document
    const word = focused.closest('label')?.querySelector('span')?.textContent
    return focused.dataset.condor ?? word ?? focused.tagName
}"""
"""The id of the card, the label of the field, or the tag of the element."""


def findings(page, axe: str) -> list[str]:
    """The violations that axe finds in light and in dark mode."""
    page.evaluate(axe)
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {finding}" for finding in page.evaluate(_FINDINGS)]
    return found


@pytest.fixture(scope="module")
def opened(still, chromium):
    """A page that is opened once, for tests that change nothing but what it shows."""
    with closing_visit(Visit(chromium, still.url, viewport={"width": 1280, "height": 900})) as visitor:
        yield visitor.open()


class TestByKeyboard:
    @pytest.fixture
    def page(self, still, opened):
        """The page as it is at first."""
        opened.goto("about:blank")
        opened.goto(still.url)
        has_cards(opened)
        return opened

    def test_tab_moves_to_the_order_the_search_and_one_card(self, page):
        ids, way = page.evaluate(IDS), []
        while len(way) < 30 and way[-2:-1] != ids[:1]:
            page.keyboard.press("Tab")
            way.append(page.evaluate(FOCUSED))
        indexes = [way.index(name) for name in ("Sort by", "Group", "Find", ids[0])]
        assert indexes == sorted(indexes)
        assert [name for name in way if name in ids] == ids[:1]

    def test_arrows_move_from_card_to_card(self, page):
        ids = page.evaluate(IDS)
        page.locator("article[data-condor]").first.focus()
        for key, index in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", len(ids) - 1), ("Home", 0)]:
            page.keyboard.press(key)
            assert page.evaluate(FOCUSED) == ids[index]
        across = "() => Math.round(document.activeElement.getBoundingClientRect().left)"
        down = "() => document.activeElement.getBoundingClientRect().top + scrollY"
        left, top = page.evaluate(across), page.evaluate(down)
        page.keyboard.press("ArrowDown")
        assert page.evaluate(across) == left
        assert page.evaluate(down) > top
        page.keyboard.press("ArrowUp")
        assert page.evaluate(FOCUSED) == ids[0]

    def test_the_focused_card_is_visible_and_has_a_ring(self, page):
        page.locator("article[data-condor]").first.focus()
        page.keyboard.press("End")
        expect(page.locator("article[data-condor]:focus")).to_be_in_viewport()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    @pytest.mark.parametrize("order", ["P/L", "Expiration", "Distance to a short strike"])
    def test_cards_are_sorted_by_the_numbers_of_the_document(self, still, page, order):
        page.get_by_label("Sort by").select_option(label=order)
        document = still.condord.document()
        rank = {
            "P/L": lambda condor: condor["valuation"]["unrealizedPl"],
            "Expiration": lambda condor: condor["expiration"],
            "Distance to a short strike": nearest,
        }[order]
        ranks = {condor["id"]: rank(condor) for condor in document["condors"]}
        known = sorted((name for name in ranks if ranks[name] is not None), key=ranks.__getitem__)
        wanted = known + [name for name in ranks if ranks[name] is None]
        page.wait_for_function(f"(wanted) => ({IDS})().join() === wanted.join()", arg=wanted)

    def test_filter_and_order_are_in_the_address_and_survive_a_reload(self, still, page):
        page.get_by_label("Find").fill("iwm")
        page.get_by_label("Sort by").select_option(label="P/L")
        page.get_by_role("button", name="reverse the order").click()
        expect(page).to_have_url(re.compile(r"#sort=-pl&find=iwm$"))
        held = [condor["id"] for condor in still.condord.document()["condors"]]
        wanted = {name for name in held if name.startswith("IWM-")}
        page.wait_for_function(
            "(count) => document.querySelectorAll('article[data-condor]').length === count", arg=len(wanted)
        )
        page.reload()
        has_cards(page)
        assert set(page.evaluate(IDS)) == wanted
        assert page.get_by_label("Find").input_value() == "iwm"
        expect(page.locator("form")).to_contain_text(f"{len(wanted)} of {len(held)}")


def nearest(condor: dict) -> float | None:
    """The distance to the nearer short strike in standard deviations; a long condor has none to fear."""
    sigmas = [side["sigmas"] for side in condor["risk"]["distance"].values()]
    return None if condor["direction"] == "long" or None in sigmas else min(sigmas)


class TestOnAPhone:
    @pytest.fixture
    def page(self, still, visit):
        page = visit(still.url, viewport=PHONE).open()
        has_cards(page)
        return page

    def test_nothing_is_wider_than_the_screen(self, page):
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        beyond = """() => [...document.querySelectorAll('body *')].filter((each) => {
            const { left, right } = each.getBoundingClientRect()
            return !each.parentElement.closest('.scrolls') && (left < 0 || right > 360)
        }).map((each) => each.outerHTML.slice(0, 80))"""
        assert page.evaluate(beyond) == []

    def test_the_text_of_a_card_stays_inside_it_and_does_not_overlap(self, page):
        cut = """() => [...document.querySelectorAll('article[data-condor]')].flatMap((card) => {
            const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT)
            const texts = []
            while (walker.nextNode()) {
                const range = document.createRange()
                range.selectNodeContents(walker.currentNode)
                const boxes = [...range.getClientRects()]
                if (walker.currentNode.data.trim()) texts.push({ text: walker.currentNode.data, boxes, parent: walker.currentNode.parentElement })
            }
            const outside = texts.filter(({ boxes, parent }) => {
                const edge = (parent.closest('svg') ?? card).getBoundingClientRect()
                const isOut = (box) => box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1
                return !boxes.length || boxes.some(isOut)
            })
            const cross = (one, other) =>
                Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 &&
                Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 4
            const over = texts.filter((one, at) => texts.slice(at + 1).some((other) => one.boxes.some((box) => other.boxes.some((there) => cross(box, there)))))
            return [...outside.map(({ text }) => `${card.dataset.condor}: outside: ${text}`), ...over.map(({ text }) => `${card.dataset.condor}: overlaps: ${text}`)]
        })"""
        assert page.evaluate(cut) == []


class TestColours:
    GROUND = "() => getComputedStyle(document.body).backgroundColor"
    CARD = "() => getComputedStyle(document.querySelector('article[data-condor]')).backgroundColor"

    def test_the_background_is_dark_in_dark_mode(self, still, visit):
        visitor = visit(still.url, color_scheme="light")
        page = visitor.open()
        has_cards(page)
        light = page.evaluate(self.GROUND), page.evaluate(self.CARD)
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(self.GROUND), page.evaluate(self.CARD)
        assert [brightness(colour) > 200 for colour in light] == [True, True]
        assert [brightness(colour) < 60 for colour in dark] == [True, True]

    FLASHES = """(seconds) => new Promise((done) => {
        const seen = []
        const crowded = (window.crowded = [])
        const watch = new MutationObserver((changes) => {
            for (const { target, oldValue } of changes) {
                if (!target.dataset.flash) continue
                if (target.closest('article').querySelectorAll('[data-flash]').length > 1) crowded.push(target.closest('article').dataset.condor)
                if (oldValue === null) seen.push([target.closest('article').dataset.condor, performance.now(), getComputedStyle(target).backgroundColor])
            }
        })
        watch.observe(document.body, { subtree: true, attributeFilter: ['data-flash'], attributeOldValue: true })
        setTimeout(() => done(seen), seconds * 1000)
    })"""

    def test_a_card_flashes_at_most_once_a_second(self, moving, visit):
        page = visit(moving.url, viewport=WIDE, reduced_motion="no-preference").open()
        has_cards(page)
        seen = page.evaluate(self.FLASHES, 10)
        assert 0 < len(seen) < 100
        assert page.evaluate("crowded") == []
        assert all(ground != "rgba(0, 0, 0, 0)" for _, _, ground in seen)
        for name in {name for name, _, _ in seen}:
            times = [at for each, at, _ in seen if each == name]
            assert all(after - before >= 1000 for before, after in pairwise(times))

    def test_nothing_flashes_while_reduced_motion_is_preferred(self, moving, visit):
        page = visit(moving.url, viewport=WIDE, reduced_motion="reduce").open()
        ticks(page)
        assert page.evaluate(self.FLASHES, 5) == []

    def test_cards_use_forced_colours_for_edges_and_text(self, still, visit, axe):
        page = visit(still.url, viewport=WIDE, forced_colors="active").open()
        has_cards(page)
        assert page.evaluate("matchMedia('(forced-colors: active)').matches")
        ink, ground, edge = page.evaluate(
            """() => {
                const { color, backgroundColor, borderTopStyle } = getComputedStyle(document.querySelector('article[data-condor]'))
                return [color, backgroundColor, borderTopStyle]
            }"""
        )
        assert abs(brightness(ink) - brightness(ground)) > 200
        assert edge != "none"
        assert findings(page, axe) == []


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


class TestAxeFindsNothing:
    @pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
    def test_on_the_page(self, still, visit, axe, viewport):
        page = visit(still.url, viewport=viewport).open()
        has_cards(page)
        assert findings(page, axe) == []

    @pytest.mark.parametrize("name", ["Settings", "Alerts", "History"])
    def test_in_an_open_panel(self, still, visit, axe, name):
        page = visit(still.url, viewport={"width": 1280, "height": 900}).open()
        has_cards(page)
        page.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("dialog").locator("h2")).to_be_visible()
        assert findings(page, axe) == []

    def test_in_the_table_with_an_opened_row(self, still, visit, axe):
        page = visit(f"{still.url}#view=table", viewport={"width": 1280, "height": 900}).open()
        page.locator("tr[data-condor] button").first.click()
        expect(page.locator("tr.opened article")).to_be_visible()
        assert findings(page, axe) == []

    def test_on_the_trades_page(self, still, visit, axe):
        page = visit(f"{still.url}#view=trades").open()
        expect(page.get_by_role("heading", name="Closed trades")).to_be_visible()
        assert findings(page, axe) == []

    def test_in_the_panel_of_the_closing_order(self, still, visit, axe):
        page = visit(still.url, viewport=WIDE).open()
        has_cards(page)
        page.get_by_role("button", name="Copy closing order").first.click()
        page.locator(".condor-order").first.wait_for()
        assert findings(page, axe) == []

    def test_while_every_number_flashes(self, still, visit, axe):
        page = visit(still.url, viewport=WIDE).open()
        has_cards(page)
        page.evaluate(
            """() => document.querySelectorAll('article[data-condor] :is(.condor-pl b, td)').forEach((each, at) => {
                each.dataset.flash = at % 2 ? 'gain' : 'loss'
            })"""
        )
        assert findings(page, axe) == []

    def test_while_the_page_is_disconnected(self, still, visit, axe):
        with closing(Forwarder(still.url)) as proxy:
            page = visit(proxy.url, tolerates="Failed to load resource", viewport=WIDE).open()
            has_cards(page)
            proxy.cut()
            wait_for_look(page, "stale")
            assert findings(page, axe) == []

    def test_while_prices_are_old(self, detects_silence, visit, axe):
        detects_silence.simulated.post("market", frozen=True)
        page = visit(detects_silence.url, viewport=WIDE).open()
        wait_for_look(page, "stale")
        assert findings(page, axe) == []

    def test_on_the_custom_element(self, still, visit, axe, element):
        condor = still.condord.document()["condors"][0]
        markup = f"""<!doctype html><html lang="en"><title>An element</title><script type="module" src="./card.js"></script>
            <main><h1>An element</h1><iron-condor-card src="./api/stream" condor-id="{condor["id"]}"></iron-condor-card></main>"""
        visitor = visit(f"{still.url}element", viewport=WIDE)
        visitor.context.route("**/element", lambda route: route.fulfill(body=markup, content_type="text/html"))
        visitor.context.route("**/card.js", lambda route: route.fulfill(path=element, content_type="text/javascript"))
        page = visitor.open()
        expect(page.locator("iron-condor-card article")).to_contain_text(condor["underlying"])
        assert findings(page, axe) == []


@pytest.fixture
def element(tmp_path) -> Path:
    """The script of the custom element, built from this tree."""
    if (npm := npm_with("vite")) is None:
        lacking("node packages")
    command = [
        *npm.command,
        "exec",
        "--",
        "vite",
        "build",
        "--config",
        "vite.element.config.ts",
        "--logLevel",
        "error",
        "--outDir",
        tmp_path,
    ]
    subprocess.run(command, cwd=ROOT / "web", env={**os.environ, "PATH": npm.path}, check=True)
    return tmp_path / "iron-condor-card.js"


def test_nothing_is_loaded_from_other_origins_and_the_policy_needs_no_exception(moving, visit):
    visitor = visit(moving.url)
    page = visitor.context.new_page()
    broken = "window.broken = []; addEventListener('securitypolicyviolation', (event) => broken.push(event.violatedDirective))"
    page.add_init_script(broken)
    policy = page.goto(moving.url).header_value("content-security-policy")
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    ticks(page)
    assert page.evaluate("broken") == []
    assert visitor.foreign == []
    assert {re.sub(r".*/|\?.*", "", url) for url in visitor.requests} >= {"", "stream"}
    assert page.evaluate(
        "performance.getEntriesByType('resource').every(({ name }) => new URL(name).origin === origin)"
    )
