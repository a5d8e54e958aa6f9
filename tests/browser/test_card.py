"""The card keeps its look in a page that styles every element."""

import pytest

from tests.browser.visiting import has_cards

pytestmark = pytest.mark.slow

HOST = """
    h2, p, dl, ul, li, dd, dt, b, small, div { font: 700 40px/2 serif; color: hotpink; letter-spacing: 4px; text-transform: uppercase }
    .condor-card h2, #page h2 { color: lime; font-size: 60px }
    table, td, th { border: 8px solid red; padding: 20px; background: yellow }
    button { background: lime; padding: 30px; font-size: 40px }
    svg { width: 20px; height: 20px; display: inline } svg text { fill: red; font-size: 40px } path { stroke: red }
    article { padding: 80px; color: red; text-transform: uppercase; letter-spacing: 5px; font: 40px serif; border: 9px solid red }
    header { position: sticky; background: orange; display: block }
"""
STYLES = """() => [...document.querySelectorAll('article[data-condor], article[data-condor] *')].map((element) => {
    const style = getComputedStyle(element)
    const names = ['fontSize', 'fontFamily', 'fontWeight', 'lineHeight', 'color', 'padding', 'border', 'display', 'letterSpacing', 'textTransform', 'backgroundColor', 'stroke', 'position']
    return [element.tagName, ...names.map((name) => style[name])].join(' | ')
})"""


def test_global_rules_of_a_host_do_not_reach_into_a_card(still, visit):
    page = visit(still.url, bypass_csp=True, viewport={"width": 1280, "height": 4000}).open()
    has_cards(page)
    page.locator("article[data-condor]").first.get_by_role("button", name="Legs").click()
    page.locator("article[data-condor] table").first.wait_for()
    rules = page.add_style_tag(content=HOST)
    # Both at one moment, as the card may change between two.
    alone, hosted = rules.evaluate(
        f"""(rules) => [true, false].map((disabled) => {{
            rules.sheet.disabled = disabled
            return [getComputedStyle(document.querySelector('#page h2')).color, ({STYLES})()]
        }})"""
    )
    assert alone[0] != hosted[0] == "rgb(0, 255, 0)"
    assert hosted[1] == alone[1]


def test_the_focus_ring_is_inside_the_card(still, visit):
    page = visit(still.url).open()
    has_cards(page)
    page.locator("article[data-condor]").first.focus()
    page.keyboard.press("ArrowRight")
    ring = page.evaluate(
        "(() => { const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(document.activeElement); return [outlineStyle, outlineWidth, outlineOffset] })()"
    )
    assert ring == ["solid", "3px", "-3px"]
