"""What a page, a card and a printed page have room for."""

import datetime as dt
import json

import pytest
from playwright.sync_api import expect

from tests.browser.visiting import has_cards

pytestmark = pytest.mark.slow


def test_the_closed_trades_fit_at_every_width(still, visit):
    page = visit(still.url, viewport={"width": 1440, "height": 800}).open()
    page.goto(f"{still.url}#view=trades")
    expect(page.locator(".trades tbody tr").first).to_be_visible()
    for width in (1400, 1376, 1370, 1280, 1024, 1000, 992, 980, 800, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_the_buttons_of_a_card_stand_on_one_line(still, visit):
    page = visit(still.url, viewport={"width": 1440, "height": 2000}).open()
    has_cards(page)
    buttons = page.locator(".condor-buttons").first.locator("button")
    expect(buttons).to_have_count(3)
    tops = buttons.evaluate_all(
        "(all) => all.map((each) => { const range = new Range(); range.selectNodeContents(each); return range.getBoundingClientRect().top })"
    )
    assert max(tops) - min(tops) < 1.5, tops


def test_no_strike_is_broken_in_two(still, visit):
    """217.5 must not read as 21 and 7.5."""
    page = visit(still.url, viewport={"width": 320, "height": 16_000}).open()
    has_cards(page)
    broken = page.locator(".condor-title span").evaluate_all(
        """(titles) => titles.flatMap((title) => [...title.childNodes].filter((node) => {
            const range = new Range()
            range.selectNodeContents(node)
            return node.nodeType === Node.TEXT_NODE && range.getClientRects().length > 1
        }).map((node) => node.data))"""
    )
    assert broken == []
    assert page.locator(".condor-title span").first.locator("wbr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_no_card_is_split_between_printed_pages(still, visit):
    page = visit(still.url, viewport={"width": 1024, "height": 800}).open()
    has_cards(page)
    page.emulate_media(media="print")
    assert page.locator(".card-grid > li").first.evaluate("(item) => getComputedStyle(item).breakInside") == "avoid"


def test_sixty_expirations_take_no_more_than_three_lines_and_never_scroll_sideways(still, visit):
    document = still.condord.document()
    condor = next(each for each in document["condors"] if each["credit"] is not None)
    days = [dt.date(2030, 1, 4) + dt.timedelta(weeks=week) for week in range(60)]
    document["condors"] = [
        {**condor, "id": f"{condor['id']}-{day}", "expiration": f"{day}", "daysToExpiration": 900 + at}
        for at, day in enumerate(days)
    ]
    document["alerts"] = []
    event = f"retry: 600000\nid: {document['version']}\nevent: snapshot\ndata: {json.dumps(document)}\n\n"
    visitor = visit(still.url, viewport={"width": 1440, "height": 900})
    visitor.context.route("**/api/stream*", lambda route: route.fulfill(content_type="text/event-stream", body=event))
    page = visitor.open()
    strip = page.locator(".expirations")
    expect(strip.get_by_role("button", name="46 more")).to_be_visible()
    for width in (1440, 1280, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        assert strip.bounding_box()["height"] <= 110, width
    strip.get_by_role("button", name="46 more").click()
    expect(strip.locator("li")).to_have_count(61)
    for width in (1440, 700, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
