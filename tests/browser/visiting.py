"""Visits of a browser to pages, with a record of what the pages did."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, expect

TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)

TEXT = "article[data-condor] .condor-pl b"
"""The profit or loss of each card."""

_LISTEN = """
    window.streams = []
    window.versions = []
    window.beginnings = []
    window.EventSource = class extends EventSource {
        constructor(...options) {
            super(...options)
            streams.push(this)
            const at = streams.length - 1
            for (const name of ['snapshot', 'delta', 'heartbeat']) this.addEventListener(name, () => (beginnings[at] ??= name))
            for (const name of ['snapshot', 'delta']) this.addEventListener(name, (event) => versions.push(event.lastEventId))
        }
    }
"""
"""Makes a page record its streams, the first event of each, and all versions that it received."""
_NUMBERS = """() => [...document.querySelectorAll('article[data-condor] :is(dl, .condor-pl)')].map((element) => element.textContent).join()"""


class Visit:
    """A browser context whose page can be opened several times; console messages that match `tolerates` are ignored."""

    def __init__(self, browser: Browser, url: str, tolerates: str | None = None, **options) -> None:
        self.url = url
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(TIMEOUT_MS)
        self.context.add_init_script(_LISTEN)
        self.requests: list[str] = []
        self.sent: list[Request] = []
        self.complaints: list[str] = []
        self._tolerates = tolerates
        self.also = ""
        """A second origin that the test visits."""
        self.context.on("request", self._note)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("console", self._note_message)

    def _note(self, request: Request) -> None:
        self.sent.append(request)
        self.requests.append(request.url)

    def _note_message(self, message) -> None:
        if message.type in ("error", "warning") and not (self._tolerates and re.search(self._tolerates, message.text)):
            self.complaints.append(f"{message.text} {message.location}")

    def open(self) -> Page:
        """Open another tab."""
        page = self.context.new_page()
        page.goto(self.url)
        return page

    @property
    def foreign(self) -> list[str]:
        """The requests to other origins."""
        homes = [urlsplit(url)[:2] for url in (self.url, self.also)]
        return [url for url in self.requests if not url.startswith("data:") and urlsplit(url)[:2] not in homes]

    def end(self) -> None:
        """Close the page, and check that it sent no foreign request and logged no error and no policy violation."""
        self.context.close()
        assert self.foreign == [], f"foreign requests: {self.foreign}"
        assert self.complaints == [], f"the browser logged: {self.complaints}"


@contextmanager
def closing_visit(visit: Visit) -> Iterator[Visit]:
    """Yield the visit and end it in any case."""
    try:
        yield visit
    finally:
        visit.end()


def ticks(*pages: Page) -> None:
    """Wait until a number of a card has changed on each page."""
    for page in pages:
        has_cards(page)
    before = [page.evaluate(_NUMBERS) for page in pages]
    for page, numbers in zip(pages, before, strict=True):
        page.wait_for_function(f"(before) => ({_NUMBERS})() !== before", arg=numbers)


def has_cards(page: Page) -> None:
    """Wait until cards are shown."""
    expect(page.locator(TEXT).first).to_be_visible()


def wait_for_look(page: Page, name: str) -> None:
    """Wait until all cards have the look `name`, or dimmed numbers under a look that comes before it."""
    page.wait_for_function(
        """(name) => {
            const cards = [...document.querySelectorAll('article[data-condor]')]
            const isDimmed = ({ dataset: { look, old } }) => ['broken', 'breached'].includes(look) && old !== undefined
            return cards.length > 0 && cards.every((card) => card.dataset.look === name || isDimmed(card))
        }""",
        arg=name,
    )
