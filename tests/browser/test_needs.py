"""What needs its owner is shown first and acknowledged there, and never has a gain's colour. "Nothing" is shown only if known."""

from contextlib import closing

import pytest
from playwright.sync_api import expect

from tests.browser.forwarder import Forwarder
from tests.browser.owner import broken_leg
from tests.browser.visiting import has_cards
from tests.e2e.recording import refresh
from tests.e2e.running import until

pytestmark = pytest.mark.slow

THREE = (("soon", "warning", "SPY-"), ("grave", "critical", "INTC-"), ("late", "warning", "AAPL-"))
NOTHING = "Nothing needs you"
GAINS = """(article) => {
    const probe = document.createElement('i')
    probe.style.color = getComputedStyle(document.documentElement).getPropertyValue('--c-gain')
    document.body.append(probe)
    const gain = getComputedStyle(probe).color
    probe.remove()
    const drawn = (style, element) => [
        style.color,
        style.backgroundColor,
        style.borderTopStyle !== 'none' && style.borderTopColor,
        style.borderLeftStyle !== 'none' && style.borderLeftColor,
        element instanceof SVGElement && style.fill,
        element instanceof SVGElement && style.stroke,
    ]
    const shown = [article, ...article.querySelectorAll('*')].filter((each) => !each.closest('.condor-actions'))
    return shown.filter((each) => drawn(getComputedStyle(each), each).includes(gain)).map((each) => each.outerHTML.slice(0, 80))
}"""
"""The elements of a card that have the colour of gains; buttons have it in any card."""


def needs(page):
    return page.locator("section[aria-labelledby=needs]")


def entries(page) -> list[str]:
    """The entries that are not folded: the condor's name, in the order of the page."""
    return needs(page).locator(".needs-list").first.locator(":scope > li .need-name").all_inner_texts()


def name(condor: dict) -> str:
    return f"{condor['root']} " + "/".join(f"{leg['strike']:g}" for leg in condor["legs"])


class TestTheColourOfACard:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_card_that_needs_its_owner_never_uses_the_colour_of_gains(self, still, visit, scheme):
        page = visit(still.url, viewport={"width": 1280, "height": 4000}, color_scheme=scheme).open()
        has_cards(page)
        for look in ("tested", "breached"):
            article = page.locator(f"article[data-look={look}]")
            expect(article).to_have_count(1)
            assert article.evaluate(GAINS) == []
        tested = page.locator("article[data-look=tested]")
        assert tested.locator(".condor-pl b").inner_text().startswith("+"), "a gain, which would be in that colour"
        calm = page.locator("article:not([data-severity]) .condor-pl b[data-sign='1']").first
        assert calm.locator("xpath=ancestor::article").evaluate(GAINS) != []

    def test_a_card_looks_tested_or_breached_as_the_daemon_reports(self, still, visit):
        page = visit(still.url, viewport={"width": 1280, "height": 4000}).open()
        has_cards(page)
        for condor in still.condord.document()["condors"]:
            risk = condor["risk"]
            look = page.locator(f"article[data-condor='{condor['id']}']").get_attribute("data-look")
            assert (look == "breached") == bool(risk["breached"])
            assert (look == "tested") == (risk["tested"] in ("put", "call") and not risk["breached"])


class TestThreeEntries:
    @pytest.fixture
    def page(self, owner, visit):
        owner.need(*THREE)
        page = visit(owner.url, viewport={"width": 1280, "height": 900}).open()
        expect(needs(page).locator(".need")).to_have_count(3)
        return page

    def test_the_critical_entry_comes_first_then_the_nearest_expiration(self, owner, page):
        wanted = [name(owner.condor(beginning)) for beginning in ("INTC-", "SPY-", "AAPL-")]
        assert [entry.startswith(condor) for entry, condor in zip(entries(page), wanted, strict=True)] == [True] * 3
        expect(needs(page)).not_to_contain_text(NOTHING)
        expect(page.get_by_role("button", name="Alerts")).to_contain_text("3")

    def test_an_entry_leads_to_its_card(self, owner, page):
        needs(page).locator(".need-name").first.click()
        expect(page.locator(f"article[data-condor='{owner.condor('INTC-')['id']}']")).to_be_focused()

    def test_acknowledging_folds_the_entry_and_reaches_the_daemon(self, owner, page):
        first = name(owner.condor("INTC-"))
        assert owner.alerts()["grave"]["acknowledgedAt"] is None
        needs(page).get_by_role("button", name=f"Acknowledge: {first}").click()
        expect(needs(page).get_by_text("1 acknowledged", exact=True)).to_be_visible()
        expect(needs(page).locator(".need:visible")).to_have_count(2)
        assert first not in " ".join(entries(page))
        until(lambda: owner.alerts()["grave"]["acknowledgedAt"], "the daemon knows it")
        assert [owner.alerts()[rule]["acknowledgedAt"] for rule in ("soon", "late")] == [None, None]
        needs(page).locator(".needs-done > summary").click()
        expect(needs(page).locator(".needs-done .need")).to_contain_text(first)
        page.reload()
        expect(needs(page).get_by_text("1 acknowledged", exact=True)).to_be_visible()


class TestNothing:
    def test_a_calm_account_needs_nothing_and_nothing_is_stated_while_the_feed_is_lost(self, owner, visit):
        owner.need()
        page = visit(owner.url).open()
        expect(needs(page)).to_contain_text(NOTHING)
        owner.simulated.fault("upgrade-502", count=1000, seconds=600)
        owner.simulated.fault("reset")
        try:
            expect(needs(page)).to_contain_text("not known: prices are not current")
            expect(needs(page)).not_to_contain_text(NOTHING)
        finally:
            owner.simulated.clear()
        expect(needs(page)).to_contain_text(NOTHING)

    def test_nothing_is_stated_while_the_page_is_not_connected(self, owner, visit):
        owner.need()
        with closing(Forwarder(owner.url)) as proxy:
            page = visit(proxy.url, tolerates="Failed to load resource|net::ERR_").open()
            expect(needs(page)).to_contain_text(NOTHING)
            proxy.cut()
            expect(needs(page)).to_contain_text("not known: the page is not connected")
            expect(needs(page)).not_to_contain_text(NOTHING)


def test_a_broken_condor_keeps_its_id_and_its_card_names_the_missing_legs(owner, visit):
    owner.need()
    condor = owner.condor("AAPL-")
    leg = broken_leg(condor)
    page = visit(owner.url, viewport={"width": 1280, "height": 4000}).open()
    card = page.locator(f"article[data-condor='{condor['id']}']")
    expect(card.get_by_role("heading")).to_have_text("AAPL")
    owner.simulated.post("positions", positions=leg.gone)
    try:
        refresh(owner.condord)
        expect(card).to_have_attribute("data-look", "broken")
        expect(card.get_by_role("heading")).to_have_text(f"AAPL lost its {leg.words}")
        expect(needs(page).locator(".need")).to_have_attribute("data-severity", "critical")
        expect(needs(page)).to_contain_text("has lost its")
        assert card.locator(".condor-pl span").inner_text() == "of what is left"
    finally:
        owner.simulated.post("positions", positions=leg.back)
        refresh(owner.condord)
    expect(card.get_by_role("heading")).to_have_text("AAPL")


def test_a_partly_broken_condor_has_a_card_for_its_broken_units_and_one_for_the_others(owner, visit):
    owner.need()
    condor = next(each for each in owner.condord.document()["condors"] if each["quantity"] == 2)
    leg = broken_leg(condor)
    half = [{**leg.back[0], "qty": leg.back[0]["qty"] // 2}]
    page = visit(owner.url, viewport={"width": 1280, "height": 4000}).open()
    cards = page.locator(f"article[data-condor='{condor['id']}']")
    expect(cards).to_have_count(1)
    owner.simulated.post("positions", positions=half)
    try:
        refresh(owner.condord)
        expect(cards).to_have_count(2)
        broken = page.locator(f"article[data-key='{condor['id']}:broken']")
        expect(page.locator(".condors article").first).to_have_attribute("data-key", f"{condor['id']}:broken")
        expect(broken.get_by_role("heading")).to_have_text(f"{condor['root']} lost its {leg.words}")
        broken.get_by_role("button", name="Copy closing order").click()
        expect(cards.locator("[aria-expanded=true]")).to_have_count(1)
        needs(page).locator(".need-name").first.click()
        expect(broken).to_be_focused()
        page.get_by_label("Find").fill("broken")
        expect(cards).to_have_count(1)
        expect(broken).to_be_visible()
    finally:
        owner.simulated.post("positions", positions=leg.back)
        refresh(owner.condord)
    page.get_by_label("Find").fill("")
    expect(cards).to_have_count(1)
