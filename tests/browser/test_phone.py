"""What a phone shows first, and that nothing has to be scrolled sideways."""

import pytest
from playwright.sync_api import expect

from tests.browser.visiting import has_cards

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 700}
SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll('body *')].filter((each) => {
    const { overflowX } = getComputedStyle(each)
    const scrolls = each === document.documentElement || overflowX === 'auto' || overflowX === 'scroll'
    return scrolls && each.checkVisibility() && each.scrollWidth > each.clientWidth + 1 && each.tagName !== 'PRE'
}).map((each) => each.outerHTML.slice(0, 120))"""
"""What scrolls sideways; the text of an order to copy may."""

CUT = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"


def top(locator) -> float:
    return locator.first.bounding_box()["y"]


def test_the_first_card_is_in_sight_if_nothing_needs_its_owner(owner, visit):
    owner.need()
    page = visit(owner.url, viewport=PHONE).open()
    has_cards(page)
    expect(page.get_by_text("Nothing needs you")).to_be_visible()
    assert top(page.locator("article[data-condor]")) <= 300


def test_the_first_entry_is_in_sight_if_something_does(owner, visit):
    owner.need(("grave", "critical", "INTC-"), ("soon", "warning", "SPY-"))
    page = visit(owner.url, viewport=PHONE).open()
    has_cards(page)
    expect(page.locator(".need")).to_have_count(2)
    assert top(page.locator(".need")) <= 300


def test_search_and_groups_are_one_touch_away_and_stay_while_they_are_used(owner, visit):
    owner.need()
    page = visit(owner.url, viewport=PHONE).open()
    has_cards(page)
    find = page.locator(".find input")
    expect(find).to_be_hidden()
    page.get_by_role("button", name="Find", exact=True).click()
    find.fill("spy")
    expect(page.locator("article[data-condor]")).to_have_count(1)
    page.reload()
    expect(find).to_have_value("spy")
    expect(find).to_be_visible()


@pytest.mark.parametrize("view", ["cards", "table", "trades"])
def test_nothing_scrolls_sideways_at_320_px(owner, visit, view):
    owner.need(("grave", "critical", "INTC-"))
    page = visit(f"{owner.url}#view={view}", viewport=NARROW).open()
    if view == "trades":
        expect(page.get_by_role("link", name="Positions", exact=True)).to_be_visible()
        expect(page.locator("main table tbody tr").first).to_be_visible()
    else:
        expect(page.locator(".condors [data-condor]").first).to_be_visible()
    if view == "table":
        page.locator(".condors tr[data-condor] button").first.click()
        opened = page.locator("tr.opened article")
        opened.get_by_role("button", name="Legs").click()
        expect(opened.locator(".condor-legs")).to_be_visible()
    assert page.evaluate(SIDEWAYS) == []


@pytest.mark.parametrize("size", [PHONE, NARROW], ids=["390 px", "320 px"])
def test_the_table_cuts_neither_names_nor_the_profit_of_an_opened_card(owner, visit, size):
    owner.need()
    page = visit(f"{owner.url}#view=table", viewport=size).open()
    page.locator(".condors tr[data-condor] button").first.click()
    profit = page.locator("tr.opened .condor-pl")
    expect(profit).to_be_visible()
    assert page.locator(".condor-row th button, .condor-row .strikes").evaluate_all(CUT) == []
    assert profit.locator("b, span").evaluate_all(CUT) == []
    bottom = profit.bounding_box()["y"] + profit.bounding_box()["height"]
    for figure in profit.locator("b, span").all():
        assert figure.bounding_box()["y"] + figure.bounding_box()["height"] <= bottom + 1


def test_panels_and_history_do_not_scroll_sideways_at_320_px(owner, visit):
    owner.need(("grave", "critical", "INTC-"))
    page = visit(owner.url, viewport=NARROW).open()
    has_cards(page)
    for name in ("Alerts", "Settings"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog", name=name).locator("h2")).to_be_visible()
        assert page.evaluate(SIDEWAYS) == []
        page.keyboard.press("Escape")
    page.get_by_role("button", name="History").first.click()
    expect(page.get_by_role("dialog").get_by_role("button", name="1 month")).to_be_visible()
    assert page.evaluate(SIDEWAYS) == []
