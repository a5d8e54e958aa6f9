import pytest

from condord.upstream import clients
from condord.upstream.interfaces import Login
from tests.fakes.alpaca import NETWORK
from tests.fakes.rest import Answer, RestServer

POSITIONS = "/v2/positions"
LATEST = "/v1beta1/options/quotes/latest"
ACTIONS = "/v1/corporate-actions"


@pytest.fixture
def server():
    with RestServer() as server:
        yield server


def logged_in(url, observed=lambda *_: None, *, paper=True):
    return clients.log_in(
        Login(lambda: "KEY", lambda: "SECRET"),
        paper=paper,
        trading_url=url,
        data_url=url,
        timeout_seconds=5.0,
        network=NETWORK,
        on_headers=observed,
    )


def test_each_client_sends_the_key_and_reports_the_headers_of_answers_by_host(server):
    server.script = {
        POSITIONS: [Answer([], headers={"X-Part": "trading"})],
        LATEST: [Answer({"quotes": {}}, headers={"X-Part": "market"})],
        ACTIONS: [Answer({"corporate_actions": {}}, headers={"X-Part": "actions"})],
    }
    observed = []
    three = logged_in(server.url, lambda host, headers: observed.append((host, headers["X-Part"])))
    try:
        three.trading.get("/positions")
        three.market.get("/options/quotes/latest", api_version="v1beta1")
        three.actions.get("/corporate-actions", api_version="v1")
    finally:
        three.close()
    assert observed == [("trading", "trading"), ("data", "market"), ("data", "actions")]


@pytest.mark.parametrize(
    ("paper", "url"), [(True, "https://paper-api.alpaca.markets"), (False, "https://api.alpaca.markets")]
)
def test_without_urls_they_are_alpacas_own(paper, url):
    three = logged_in("", paper=paper)
    assert three.trading._base_url == url
    assert three.market._base_url == three.actions._base_url == "https://data.alpaca.markets"
    three.close()
