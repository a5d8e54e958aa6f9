"""A browser's visits to pages, and what the pages did meanwhile."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)

TEXT = "article[data-condor] .condor-pl b"
"""The profit or loss of each card."""

_LISTEN = """
    window.streams = []
    window.versions = []
    window.EventSource = class extends EventSource {
        constructor(...told) {
            super(...told)
            streams.push(this)
            for (const name of ['snapshot', 'delta']) this.addEventListener(name, (event) => versions.push(event.lastEventId))
        }
    }
"""
"""Makes a page remember its streams and the versions that it was told, whatever it does with them."""
_NUMBERS = """() => [...document.querySelectorAll('article[data-condor] :is(dl, .condor-pl)')].map((each) => each.textContent).join()"""


class Visit:
    """A context of the browser with one page, of which more can be opened; who `tolerates` a complaint gives its pattern."""

    def __init__(self, browser: Browser, url: str, tolerates: str | None = None, **options) -> None:
        self.url = url
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_LISTEN)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._tolerates = tolerates
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("console", self._hear)

    def _hear(self, message) -> None:
        if message.type in ("error", "warning") and not (self._tolerates and re.search(self._tolerates, message.text)):
            self.complaints.append(f"{message.text} {message.location}")

    def open(self) -> Page:
        """One more page."""
        page = self.context.new_page()
        page.goto(self.url)
        return page

    @property
    def foreign(self) -> list[str]:
        """The requests that went elsewhere than to the place visited."""
        home = urlsplit(self.url)[:2]
        return [url for url in self.requests if not url.startswith("data:") and urlsplit(url)[:2] != home]

    def end(self) -> None:
        """Nothing went elsewhere, and the browser had nothing to complain of: no error, no violation of the policy."""
        self.context.close()
        assert self.foreign == [], f"asked elsewhere: {self.foreign}"
        assert self.complaints == [], f"the browser complains: {self.complaints}"


def ticks(*pages: Page) -> None:
    """On each of the pages a number of a card changes by itself."""
    for page in pages:
        has_cards(page)
    before = [page.evaluate(_NUMBERS) for page in pages]
    for page, numbers in zip(pages, before, strict=True):
        page.wait_for_function(f"(before) => ({_NUMBERS})() !== before", arg=numbers)


def has_cards(page: Page) -> None:
    """Cards are shown."""
    expect(page.locator(TEXT).first).to_be_visible()


def look(page: Page, name: str) -> None:
    """All cards look like that."""
    page.wait_for_function(
        """(name) => {
            const cards = [...document.querySelectorAll('article[data-condor]')]
            return cards.length > 0 && cards.every((card) => card.dataset.look === name)
        }""",
        arg=name,
    )
