"""Nothing moves from under the pointer, and the list sorts itself once it is free."""

import pytest
from playwright.sync_api import expect

from tests.browser.visiting import has_cards
from tests.e2e.running import until

pytestmark = pytest.mark.slow

TALL = {"width": 1280, "height": 4000}
PERIODS_MS = 7000
"""More than two of the list's pauses of three seconds."""
PLACES = """() => [...document.querySelectorAll('.condors [data-condor]')].map((each) => {
    const { left, top, height } = each.getBoundingClientRect()
    return [each.dataset.condor, Math.round(left), Math.round(top), Math.round(height)].join(' ')
})"""
WATCH = f"""(ms) => new Promise((done) => {{
    const places = {PLACES}
    const first = places().join('\\n')
    const moved = new Set()
    const until = performance.now() + ms
    function look() {{
        const now = places().join('\\n')
        if (now !== first) moved.add(now)
        if (performance.now() < until) requestAnimationFrame(look)
        else done([first, ...moved])
    }}
    look()
}})"""
"""All different places of the cards or rows, looked at in each frame; the first is where they were."""
IDS = "() => [...document.querySelectorAll('.condors [data-condor]')].map((each) => each.dataset.condor)"
TIME_OF_ORDER = f"""(wanted) => new Promise((done) => {{
    document.querySelector('.condors > div:has([data-condor])').addEventListener('pointerleave', () => {{
        const left = performance.now()
        function look() {{
            if (({IDS})().join() === wanted.join()) done(performance.now() - left)
            else requestAnimationFrame(look)
        }}
        look()
    }}, {{ once: true }})
}})"""


@pytest.mark.parametrize("view", ["cards", "table"])
def test_nothing_moves_under_the_pointer_in_a_moving_market(moving, visit, view):
    page = visit(f"{moving.url}#view={view}&sort=pl", viewport=TALL).open()
    entry = page.locator(".condors [data-condor]").nth(1)
    entry.hover()
    is_complete(page)
    before = page.locator(".condors").inner_text()
    assert len(page.evaluate(WATCH, PERIODS_MS)) == 1
    assert page.locator(".condors").inner_text() != before


def is_complete(page) -> None:
    """Wait until the parts of cards that are loaded later have their places."""

    def is_still() -> bool:
        before = page.evaluate(PLACES)
        page.wait_for_timeout(1000)
        return page.evaluate(PLACES) == before

    until(is_still, "all parts are loaded")


def test_no_card_changes_its_height_under_the_pointer_with_extreme_quotes(owner, visit):
    owner.need()
    page = visit(owner.url, viewport={"width": 1440, "height": 900}).open()
    card = page.locator("article[data-condor]").first
    legs = owner.condor(card.get_attribute("data-condor"))["legs"]
    card.hover()
    before = page.evaluate(PLACES)
    shown = set()
    for bid, ask in [(2e5, 2e5 + 0.05), (0, 0), (0.01, 2e5), (7, 3), (0.5, 0.52)]:
        quotes = [{"symbol": leg["symbol"], "bp": bid * (at + 1), "ap": ask * (at + 1)} for at, leg in enumerate(legs)]
        words = card.inner_text()
        owner.simulated.post("quotes", quotes=quotes, pin=True)
        page.wait_for_function("([card, words]) => card.innerText !== words", arg=[card.element_handle(), words])
        page.wait_for_timeout(500)
        shown.add(card.inner_text())
        assert page.evaluate(PLACES) == before
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(shown) == 5


def test_a_click_unfolds_text_that_the_height_of_a_card_hides(owner, visit):
    page = visit(owner.url, viewport=TALL).open()
    card = page.locator("article[data-condor]").first
    card.hover()
    height = card.bounding_box()["height"]
    card.get_by_role("button", name="Legs").click()
    expect(card.locator(".condor-legs tbody tr")).to_have_count(4)
    assert card.bounding_box()["height"] > height + 80
    assert card.evaluate("(card) => card.scrollHeight <= card.clientHeight")


@pytest.mark.parametrize("view", ["cards", "table"])
def test_an_order_that_changes_waits_for_the_pointer_and_is_there_within_5_s_after_it_left(owner, visit, view):
    page = visit(f"{owner.url}#view={view}&sort=pl", viewport=TALL).open()
    entry = page.locator(".condors [data-condor]").nth(1)
    entry.hover()
    shown = page.evaluate(IDS)
    wanted = make_last_lose_most(owner, shown)
    expect(page.get_by_role("button", name="sort again")).to_contain_text("The order has changed")
    places = page.evaluate(WATCH, PERIODS_MS)
    assert {tuple(line.split()[0] for line in each.splitlines()) for each in places} == {tuple(shown)}
    page.evaluate(f"() => {{ window.sorted = ({TIME_OF_ORDER})({wanted}) }}")
    page.mouse.move(5, 5)
    page.wait_for_function(f"(wanted) => ({IDS})().join() === wanted.join()", arg=wanted)
    assert page.evaluate("sorted") < 5000
    expect(page.get_by_role("button", name="sort again")).to_have_count(0)


def test_the_button_sorts_while_the_pointer_stays(owner, visit):
    page = visit(f"{owner.url}#sort=pl", viewport=TALL).open()
    has_cards(page)
    page.locator("article[data-condor]").nth(1).hover()
    wanted = make_last_lose_most(owner, page.evaluate(IDS))
    page.get_by_role("button", name="sort again").click()
    assert page.evaluate(IDS) == wanted


def make_last_lose_most(owner, shown: list[str]) -> list[str]:
    """Let the last of the condors lose the most, by quotes of a market that stays so; returns the order that follows."""
    profits = profits_of(owner)
    last = next(condor for condor in owner.condord.document()["condors"] if condor["id"] == shown[-1])
    price = 200 + round(abs(min(profits.values())) / 150)  # two short legs lose more than that times 200
    losing = {"long": {"bp": 0.01, "ap": 0.02}, "short": {"bp": price, "ap": price + 0.02}}
    owner.simulated.post(
        "quotes", quotes=[{"symbol": leg["symbol"], **losing[leg["side"]]} for leg in last["legs"]], pin=True
    )
    until(lambda: profits_of(owner)[last["id"]] < min(profits.values()), "it has lost the most")
    after = profits_of(owner)
    wanted = sorted(shown, key=after.__getitem__)
    assert wanted != shown
    return wanted


def profits_of(owner) -> dict[str, float]:
    return {condor["id"]: condor["valuation"]["unrealizedPl"] for condor in owner.condord.document()["condors"]}
