import inspect

import pytest
import requests
import urllib3
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.trading.client import TradingClient
from requests import Session

from condord.upstream import transport
from tests.fakes.rest import Answer, Drip, Drop, Raw, RestServer

PATH = "/v2/positions"


@pytest.fixture
def server():
    with RestServer() as server:
        yield server


@pytest.fixture
def heard():
    return []


@pytest.fixture
def client(server, heard):
    client = TradingClient("k", "s", paper=True, raw_data=True, url_override=server.url)
    transport.tame(client, 1.0, heard.append)
    yield client
    transport.close(client)


class TestPrivateSurface:
    """Each of these fails when alpaca-py moves what is touched here."""

    def test_the_client_still_asks_through_a_session_of_requests(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert isinstance(client._session, Session)
        assert "self._session.request(method, url, **opts)" in inspect.getsource(RESTClient._one_request)

    def test_the_client_still_counts_its_retries_in_one_place(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert client._retry == 3
        assert "retry = self._retry" in inspect.getsource(RESTClient._request)

    def test_its_own_retries_are_off(self, server, client):
        server.script = {PATH: [Answer({}, 429)]}
        with pytest.raises(APIError):
            client.get_all_positions()
        assert len(server.asked) == 1


class TestBodies:
    def test_the_headers_of_every_answer_are_heard(self, server, client, heard):
        server.script = {PATH: [Answer([], headers={"X-RateLimit-Remaining": "7"})]}
        assert client.get_all_positions() == []
        assert [headers["X-RateLimit-Remaining"] for headers in heard] == ["7"]

    def test_a_body_of_more_than_is_reasonable_is_not_read(self, server, client, monkeypatch):
        monkeypatch.setattr(transport, "MOST_BYTES", 100_000)
        server.script = {PATH: [Answer(b"[" + b" " * 99_998 + b"]"), Answer(b"[" + b" " * 200_000 + b"]")]}
        assert client.get_all_positions() == []
        with pytest.raises(ValueError, match="too large"):
            client.get_all_positions()

    def test_a_body_is_read_as_utf_8_whatever_it_is_called(self, server, client):
        body = '["é"]'.encode()
        server.script = {PATH: [Answer(body, headers={"Content-Type": "text/html; charset=koi8-r"}), Answer(body)]}
        assert client.get_all_positions() == ["é"]
        assert client.get_all_positions() == ["é"]

    @pytest.mark.slow
    def test_a_body_that_drips_is_left_in_time(self, server):
        client = TradingClient("k", "s", paper=True, raw_data=True, url_override=server.url)
        transport.tame(client, 0.15, lambda headers: None)
        server.script = {PATH: [Drip()]}
        with pytest.raises(requests.ReadTimeout):
            client.get_all_positions()
        transport.close(client)


class TestDrops:
    @pytest.mark.parametrize("way", [Drop(), Raw(b"\x00\x01 no HTTP\r\n\r\n")])
    def test_a_connection_closed_instead_of_an_answer_was_dropped(self, server, client, way):
        server.script = {PATH: [way]}
        with pytest.raises(requests.ConnectionError) as caught:
            client.get_all_positions()
        assert transport.was_dropped(caught.value)

    def test_one_cut_in_the_body_was_not(self, server, client):
        server.script = {PATH: [Answer(b"[", length=100)]}
        with pytest.raises(requests.RequestException) as caught:
            client.get_all_positions()
        assert not transport.was_dropped(caught.value)

    @pytest.mark.parametrize(
        "error",
        [
            None,
            requests.ConnectionError(),
            requests.ConnectionError(urllib3.exceptions.HTTPError()),
            requests.Timeout(urllib3.exceptions.ProtocolError()),
        ],
    )
    def test_nothing_else_was(self, error):
        assert not transport.was_dropped(error)
