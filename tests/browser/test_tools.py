"""What a user does with the page: the table, the settings, history, trades and the closing order."""

import datetime as dt
import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CALM
from tests.browser.visiting import has_cards
from tests.e2e.running import Condord, Simulated, closing_program, until

pytestmark = pytest.mark.slow

WIDE = {"width": 1440, "height": 900}
ROWS = "tr[data-condor]"
IDS = "() => [...document.querySelectorAll('tr[data-condor]')].map((row) => row.dataset.condor)"


def test_rows_are_at_most_32_px_and_headers_sort_them(still, visit):
    page = visit(f"{still.url}#view=table", viewport=WIDE).open()
    expect(page.locator(ROWS)).to_have_count(len(still.condord.document()["condors"]))
    assert max(page.locator(ROWS).evaluate_all("(rows) => rows.map((row) => row.offsetHeight)")) <= 32
    page.locator("thead .of-pl button").click()
    expect(page).to_have_url(re.compile("#view=table&sort=pl$"))
    profits = {each["id"]: each["valuation"]["unrealizedPl"] for each in still.condord.document()["condors"]}
    known = [profits[each] for each in page.evaluate(IDS) if profits[each] is not None]
    assert known == sorted(known)
    expect(page.locator("thead .of-pl")).to_have_attribute("aria-sort", "ascending")
    page.locator("thead .of-pl button").click()
    expect(page.locator("thead .of-pl")).to_have_attribute("aria-sort", "descending")
    page.reload()
    expect(page.locator("thead .of-pl")).to_have_attribute("aria-sort", "descending")


@pytest.fixture
def sixty():
    """A daemon with sixty condors."""
    days = [dt.date(2032, 1, 2) + dt.timedelta(weeks=week) for week in range(60)]
    legs = (("P", 560, 1), ("P", 570, -1), ("C", 630, -1), ("C", 640, 1))
    with closing_program(Simulated("--scenario", "empty")) as simulated:
        held = [
            {"symbol": f"SPY{day:%y%m%d}{right}{strike:05d}000", "qty": sign, "avg_entry_price": "2"}
            for day in days
            for right, strike, sign in legs
        ]
        simulated.post("positions", positions=held)
        with closing_program(Condord(simulated, **CALM)) as condord:
            until(lambda: len(condord.document()["condors"]) == 60, "sixty condors are read")
            yield f"{condord.url}/"


def test_a_table_of_sixty_condors_is_within_2000_px(sixty, visit):
    page = visit(f"{sixty}#view=table", viewport=WIDE).open()
    expect(page.locator(ROWS)).to_have_count(60)
    box = page.locator(".condor-table").bounding_box()
    assert box["height"] <= 2000


def test_keys_find_and_move_and_rows_open_to_the_card(still, visit):
    page = visit(f"{still.url}#view=table", viewport=WIDE).open()
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("iwm")
    expect(page.locator(ROWS)).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    focused = page.locator(f"{ROWS}:has(:focus)")
    ids = page.evaluate(IDS)
    for key, at in (("j", 0), ("j", 1), ("k", 0)):
        page.keyboard.press(key)
        expect(focused).to_have_attribute("data-condor", ids[at])
    page.keyboard.press("Enter")
    expect(page.locator("tr.opened article")).to_have_attribute("data-condor", ids[0])


def test_theme_and_columns_are_kept_over_a_reload(still, visit):
    page = visit(f"{still.url}#view=table", viewport=WIDE, color_scheme="light").open()
    expect(page.locator(ROWS).first).to_be_visible()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Settings").click()
    theme = page.get_by_label("Theme")
    expect(theme.locator("option")).to_have_text(["System", "Light", "Dark"])
    theme.select_option(label="Dark")
    page.wait_for_function(f"(light) => {ground} !== light", arg=light)
    page.keyboard.press("Escape")
    page.locator("summary", has_text="Columns").click()
    page.locator(".choices").get_by_label("Theta", exact=False).first.uncheck()
    expect(page.locator("thead .of-theta")).to_have_count(0)
    page.reload()
    expect(page.locator(ROWS).first).to_be_visible()
    assert page.evaluate(ground) != light
    expect(page.locator("thead .of-theta")).to_have_count(0)


def test_history_has_ranges_and_its_csv_downloads(owner, visit):
    page = visit(owner.url, viewport=WIDE).open()
    has_cards(page)
    page.get_by_role("button", name="History").first.click()
    ranges = page.get_by_role("group", name="Range").get_by_role("button")
    expect(ranges).to_have_count(4)
    assert [each.strip() for each in ranges.all_inner_texts()] == ["Session", "1 week", "1 month", "All"]
    ranges.last.click()
    expect(ranges.last).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.suggested_filename == "condord-history-account.csv"


def test_trades_have_totals_and_csv_files(owner, visit):
    page = visit(f"{owner.url}#view=trades", viewport=WIDE).open()
    expect(page.get_by_text("Win rate", exact=True)).to_be_visible()
    expect(page.locator("main table tbody tr")).to_have_count(len(owner.condord.get("/api/trades")[1]["trades"]))
    for link in page.locator("main a[download]").all():
        with page.expect_download() as download:
            link.click()
        assert download.value.suggested_filename == link.get_attribute("download")
        assert "," in download.value.path().read_text()


def test_the_closing_order_is_copied_as_text_and_as_the_order_of_alpaca(still, visit):
    page = visit(still.url, viewport=WIDE, permissions=["clipboard-read", "clipboard-write"]).open()
    card = page.locator('article[data-condor^="SPY-"]')
    card.get_by_role("button", name="Copy closing order").click()
    for kind in ("text", "JSON for Alpaca"):
        card.get_by_role("button", name=f"Copy {kind}").click()
        expect(card.get_by_role("status")).to_contain_text("Copied")
        page.wait_for_function("async () => await navigator.clipboard.readText() !== ''")
        copied = page.evaluate("navigator.clipboard.readText()")
        if kind == "text":
            assert copied.strip() == card.locator("pre").inner_text().strip()
            page.evaluate("navigator.clipboard.writeText('')")
    order = json.loads(copied)
    assert (order["order_class"], order["type"], len(order["legs"])) == ("mleg", "limit", 4)
    assert {leg["position_intent"] for leg in order["legs"]} == {"buy_to_close", "sell_to_close"}
