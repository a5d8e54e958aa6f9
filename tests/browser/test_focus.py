"""The focus ring is seen, by its pixels."""

import base64

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.visiting import has_cards

pytestmark = pytest.mark.slow

EDGE = 8
"""Pixels around an element and inside of it in which its ring may be."""
SIDES = """async ([before, after, edge]) => {
    const pixels = async (png) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob())
        const context = new OffscreenCanvas(image.width, image.height).getContext('2d')
        context.drawImage(image, 0, 0)
        return context.getImageData(0, 0, image.width, image.height)
    }
    const [was, is] = [await pixels(before), await pixels(after)]
    const { width, height } = is
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    const luminance = ({ data }, x, y) => {
        const at = 4 * (y * width + x)
        return 0.2126 * channel(data[at]) + 0.7152 * channel(data[at + 1]) + 0.0722 * channel(data[at + 2])
    }
    const changed = (x, y) => {
        const [one, other] = [luminance(was, x, y), luminance(is, x, y)]
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) >= 3
    }
    const line = (length, at) => {
        const inner = length - 2 * edge
        return Array.from({ length: inner }, (_, along) => at(along + edge)).filter(Boolean).length / inner
    }
    // How many lines of a side have changed along most of their length.
    const thick = (length, at) => Array.from({ length: 2 * edge }, (_, depth) => line(length, (along) => at(along, depth))).filter((share) => share > 0.8).length
    return [
        thick(width, (along, depth) => changed(along, depth)),
        thick(width, (along, depth) => changed(along, height - 1 - depth)),
        thick(height, (along, depth) => changed(depth, along)),
        thick(height, (along, depth) => changed(width - 1 - depth, along)),
    ]
}"""
"""How many pixels thick the change is at the top, the bottom, the left and the right; one counts with a contrast of 3:1."""


def picture(page: Page, element: Locator) -> str:
    box = element.bounding_box()
    clip = {
        "x": box["x"] - EDGE,
        "y": box["y"] - EDGE,
        "width": box["width"] + 2 * EDGE,
        "height": box["height"] + 2 * EDGE,
    }
    return base64.b64encode(page.screenshot(clip=clip, animations="disabled")).decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["cards", "table"])
def test_an_entry_that_has_the_focus_has_a_ring_on_every_side(owner, visit, view, scheme):
    owner.need()
    visitor = visit(f"{owner.url}#view={view}", viewport={"width": 1280, "height": 2400}, color_scheme=scheme)
    page = visitor.open()
    entry = page.locator(".condors [data-condor]").nth(1)
    expect(entry).to_be_visible()
    if view == "cards":
        has_cards(page)
    before = picture(page, entry)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".condors [data-condor]:focus, .condors [data-condor]:has(:focus)")).to_have_attribute(
        "data-condor", entry.get_attribute("data-condor")
    )
    after = picture(page, entry)
    # Not on the page itself, whose policy forbids it.
    judge = visitor.context.new_page()
    assert min(judge.evaluate(SIDES, [before, after, EDGE])) >= 2
