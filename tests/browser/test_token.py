"""Only the page knows the token: it is in no cookie and no address, and no other program on the host learns it."""

import re
import socket
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CALM
from tests.browser.forwarder import Forwarder
from tests.browser.visiting import has_cards, ticks
from tests.e2e.running import Condord, Simulated, closing_program, fetch, token_environ

pytestmark = pytest.mark.slow

TOKEN = "a-token/for+a browser".replace(" ", "-")
ESCAPED = "a-token%2Ffor%2Ba-browser"
FAILED_LOADS = r"Failed to load resource|net::ERR_"
GAP = re.compile(r"Connected again\.")
ASKS = "condord requires a token"
REFUSES = "condord does not accept the token"


def token_file(folder, token: str) -> dict[str, str]:
    return {**token_environ(folder, token), **CALM}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A daemon that requires a token."""
    settings = token_file(tmp_path_factory.mktemp("guarded"), TOKEN)
    with closing_program(Simulated()) as simulated, closing_program(Condord(simulated, **settings)) as condord:
        yield SimpleNamespace(condord=condord, url=f"{condord.url}/")


@contextmanager
def another_program():
    """Another program on the same host, which serves an empty page and records the headers of all requests."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(str(self.headers))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>another</title>")

        def log_message(self, *_arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/", received=received)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def field(page):
    return page.get_by_role("textbox", name="Token")


def give(page, token: str) -> None:
    field(page).fill(token)
    page.get_by_role("button", name="Connect").click()


def requests_of(visitor) -> list[str]:
    """The URLs and headers of all requests, without the header for the token."""
    return [
        f"{request.method} {request.url} {name}: {value}"
        for request in visitor.sent
        for name, value in request.all_headers().items()
        if name != "authorization"
    ]


def test_the_page_asks_for_the_token_once_and_never_reveals_it(guarded, visit):
    visitor = visit(guarded.url, tolerates=FAILED_LOADS)
    page = visitor.context.new_page()
    assert page.goto(guarded.url).status == 200
    expect(page.get_by_role("heading", name=ASKS)).to_be_visible()
    assert page.locator("article").count() == 0
    give(page, "a-wrong-token-for-a-browser")
    expect(page.get_by_role("heading", name=REFUSES)).to_be_visible()
    give(page, f" {TOKEN} ")
    ticks(page)
    page.reload()
    ticks(page)
    assert visitor.context.cookies() == []
    assert TOKEN not in page.url + page.content() + page.evaluate("document.cookie")
    bearing = [request for request in visitor.sent if "authorization" in request.all_headers()]
    assert {request.url for request in bearing} == {f"{guarded.url}api/tickets"}
    assert [line for line in requests_of(visitor) if TOKEN in line or ESCAPED in line] == []


def test_the_page_takes_the_token_from_the_fragment_of_its_address_and_removes_it(guarded, visit):
    visitor = visit(f"{guarded.url}#token={ESCAPED}&sort=worst", tolerates=FAILED_LOADS)
    page = visitor.open()
    ticks(page)
    assert page.url == f"{guarded.url}#sort=worst"
    page.reload()
    ticks(page)
    assert [line for line in requests_of(visitor) if "token=" in line] == []


def test_a_page_on_another_port_of_the_same_host_learns_nothing(guarded, visit):
    with another_program() as other:
        visitor = visit(f"{guarded.url}#token={ESCAPED}", tolerates=rf"{FAILED_LOADS}|CORS policy")
        visitor.also = other.url
        ticks(visitor.open())
        foreign = visitor.context.new_page()
        foreign.goto(other.url)
        assert foreign.evaluate("[document.cookie, localStorage.length]") == ["", 0]
        reads = "(url) => fetch(url, {credentials: 'include'}).then((answer) => answer.text(), (error) => error.name)"
        for path in ("", "api/positions", "api/status"):
            assert foreign.evaluate(reads, f"{guarded.url}{path}") == "TypeError"
        takes = "(url) => fetch(url, {method: 'POST', credentials: 'include'}).then((answer) => answer.text(), (error) => error.name)"
        assert foreign.evaluate(takes, f"{guarded.url}api/tickets") == "TypeError"
        follows = "(url) => new Promise((resolve) => Object.assign(new EventSource(url, {withCredentials: true}), {onerror: () => resolve('refused'), onopen: () => resolve('open')}))"
        assert foreign.evaluate(follows, f"{guarded.url}api/stream") == "refused"
        foreign.evaluate("(url) => fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(() => {})", other.url)
        assert other.received
        assert not [headers for headers in other.received if "cookie" in headers.lower() or TOKEN in headers]


def test_a_ticket_opens_only_one_stream(guarded, visit):
    visitor = visit(f"{guarded.url}#token={ESCAPED}", tolerates=FAILED_LOADS)
    page = visitor.open()
    ticks(page)
    _, _, ticket = fetch(f"{guarded.url}api/tickets", method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
    opens = """(ticket) => new Promise((resolve) => {
        const stream = new EventSource(`./api/stream?ticket=${ticket}`)
        stream.onerror = () => resolve(`error ${stream.readyState}`)
        stream.addEventListener('snapshot', () => resolve('snapshot'))
    })"""
    assert [page.evaluate(opens, ticket["ticket"]) for _ in range(2)] == ["snapshot", "error 2"]


def test_an_app_of_an_allowed_origin_opens_a_stream_with_a_ticket(tmp_path, visit):
    follows = """async ([url, token]) => {
        const init = { method: 'POST', headers: { Authorization: `Bearer ${token}` }, cache: 'no-store' }
        const { ticket } = await (await fetch(`${url}/api/tickets`, init)).json()
        const stream = new EventSource(`${url}/api/stream?ticket=${ticket}`)
        return new Promise((resolve) => {
            stream.onerror = () => resolve('error')
            stream.addEventListener('snapshot', () => resolve('snapshot'))
        })
    }"""
    with another_program() as app, closing_program(Simulated()) as simulated:
        settings = {**token_file(tmp_path, TOKEN), "CONDORD_SERVER_ALLOWED_ORIGINS": app.url.rstrip("/")}
        with closing_program(Condord(simulated, **settings)) as condord:
            visitor = visit(app.url, tolerates=FAILED_LOADS)
            visitor.also = condord.url
            assert visitor.open().evaluate(follows, [condord.url, TOKEN]) == "snapshot"


def test_a_reconnect_fetches_another_ticket_and_resumes_without_a_snapshot(guarded, visit):
    with closing(Forwarder(guarded.url)) as proxy:
        visitor = visit(f"{proxy.url}#token={ESCAPED}", tolerates=FAILED_LOADS)
        page = visitor.open()
        ticks(page)
        proxy.cut()
        expect(page.get_by_role("status")).to_contain_text("No connection to condord")
        proxy.mend()
        expect(page.get_by_role("status")).to_contain_text(GAP)
        ticks(page)
        assert page.evaluate("streams.map((stream) => stream.readyState)") == [2, 1]
        assert page.evaluate("beginnings") == ["snapshot", "delta"]
        first, second = page.evaluate("streams.map(({url}) => new URL(url).searchParams.get('ticket'))")
        assert first != second
        assert "lastEventId=" in page.evaluate("streams[1].url")
        assert [line for line in requests_of(visitor) if TOKEN in line or ESCAPED in line] == []


def test_a_forgotten_token_is_forgotten_in_every_tab(guarded, visit):
    visitor = visit(f"{guarded.url}#token={ESCAPED}", tolerates=FAILED_LOADS)
    tabs = [visitor.open() for _ in range(3)]
    ticks(*tabs)
    tabs[1].get_by_role("button", name="Settings").click()
    tabs[1].get_by_role("button", name="Forget the token").click()
    for tab in tabs:
        expect(tab.get_by_role("heading", name=ASKS)).to_be_visible()
        assert (tab.locator("article").count(), tab.title()) == (0, "condord")
    give(tabs[2], TOKEN)
    ticks(*tabs)


def test_the_page_asks_for_a_new_token_if_the_old_one_is_refused_and_keeps_its_cards(tmp_path, visit):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with closing_program(Simulated()) as simulated:
        with closing_program(Condord(simulated, "--port", port, **token_file(tmp_path, TOKEN))) as condord:
            visitor = visit(f"{condord.url}/#token={ESCAPED}", tolerates=FAILED_LOADS)
            page = visitor.open()
            ticks(page)
            assert condord.stop() == 0
            expect(page.get_by_role("status")).to_contain_text("reconnects by itself")
        with closing_program(Condord(simulated, "--port", port, **token_file(tmp_path, f"{TOKEN}-2"))):
            expect(page.get_by_role("heading", name=REFUSES)).to_be_visible(timeout=120_000)
            expect(page.get_by_role("status")).not_to_contain_text("reconnects by itself")
            has_cards(page)
            give(page, f"{TOKEN}-2")
            ticks(page)
            expect(page.get_by_role("heading", name=REFUSES)).to_have_count(0)


def test_the_token_form_is_accessible(guarded, visit, axe):
    page = visit(guarded.url, tolerates=FAILED_LOADS, viewport={"width": 320, "height": 800}).open()
    expect(field(page)).to_be_focused()
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(
            "async () => (await axe.run({ preload: false })).violations.map(({ id, nodes }) => id + nodes[0].html)"
        )
        assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
