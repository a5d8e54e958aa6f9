import contextlib
import inspect
import socket
import threading
import time

import pytest
import requests
import urllib3
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests import Session

from condord.host.network import Network
from condord.upstream import transport
from condord.upstream.bodies import TooLarge, UnexpectedStatus
from condord.upstream.without_pandas import TradingClient
from tests.fakes import tls
from tests.fakes.alpaca import NETWORK
from tests.fakes.proxy import ConnectProxy
from tests.fakes.rest import Answer, ChunkDrip, Drip, Drop, Halt, HeadDrip, Raw, RestServer

PATH = "/v2/positions"


@pytest.fixture
def server():
    with RestServer() as server:
        yield server


@pytest.fixture
def seen_headers():
    return []


@pytest.fixture
def client(server, seen_headers):
    client = TradingClient("k", "s", paper=True, raw_data=True, url_override=server.url)
    transport.harden(client, 1.0, seen_headers.append, NETWORK)
    yield client
    transport.close(client)


class TestPrivateSurface:
    """Each of these fails when alpaca-py moves a private part that is used here."""

    def test_the_client_still_uses_a_session_of_the_library_requests(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert isinstance(client._session, Session)
        assert "self._session.request(method, url, **opts)" in inspect.getsource(RESTClient._one_request)

    def test_the_client_still_counts_its_retries_in_one_place(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert client._retry == 3
        assert "retry = self._retry" in inspect.getsource(RESTClient._request)

    def test_the_retries_of_alpaca_py_are_off(self, server, client):
        server.script = {PATH: [Answer({}, 429)]}
        with pytest.raises(APIError):
            client.get_all_positions()
        assert len(server.asked) == 1


class TestBodies:
    def test_the_headers_of_every_answer_are_passed_on(self, server, client, seen_headers):
        server.script = {PATH: [Answer([], headers={"X-RateLimit-Remaining": "7"})]}
        assert list(client.get_all_positions()) == []
        assert [headers["X-RateLimit-Remaining"] for headers in seen_headers] == ["7"]

    def test_a_body_is_read_as_utf_8_whatever_its_declared_charset(self, server, client):
        body = '["é"]'.encode()
        server.script = {PATH: [Answer(body, headers={"Content-Type": "text/html; charset=koi8-r"}), Answer(body)]}
        assert list(client.get_all_positions()) == ["é"]
        assert list(client.get_all_positions()) == ["é"]


class TestAnswers:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("has_body", [True, False], ids=["with its body", "without an end"])
    def test_a_redirect_is_not_followed_and_its_body_not_waited_for(self, server, client, status, has_body):
        with RestServer() as other:
            headers = {"Location": f"{other.url}{PATH}"}
            answer = Answer(b"[]", status, headers) if has_body else Halt(status, headers)
            server.script, other.script = {PATH: [answer]}, {PATH: [Answer([])]}
            with pytest.raises(UnexpectedStatus) as caught:
                client.get_all_positions()
            assert caught.value.target == f"{other.url}{PATH}"
            assert (len(server.asked), other.asked) == (1, [])

    @pytest.mark.parametrize("status", [203, 204, 206])
    def test_a_status_other_than_200_is_not_a_success(self, server, client, status):
        server.script = {PATH: [Answer(b"" if status == 204 else b"[]", status), Answer([])]}
        with pytest.raises(UnexpectedStatus):
            client.get_all_positions()
        assert list(client.get_all_positions()) == []

    def test_a_cookie_is_neither_kept_nor_sent(self, server, client):
        headers = "".join(f"Set-Cookie: c{number}={'x' * 400}; Path=/\r\n" for number in range(90))
        server.script = {
            PATH: [
                Raw(f"HTTP/1.1 200 OK\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\n[]".encode()),
                Answer([]),
            ]
        }
        for _ in range(2):
            assert list(client.get_all_positions()) == []
        assert all("Cookie" not in headers for _, _, headers in server.asked)
        assert len(client._session.cookies) == 0

    def test_the_machines_proxies_and_passwords_are_not_used(self, server, client, monkeypatch, tmp_path):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login us password hunter2\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server.script = {PATH: [Answer([])]}
        assert list(client.get_all_positions()) == []
        assert "Authorization" not in server.asked[0][2]


class TestHeads:
    def test_a_head_beyond_its_limit_is_not_read(self, server, client):
        big = b"X-Big: " + b"x" * 8000 + b"\r\n"
        server.script = {PATH: [Raw(b"HTTP/1.1 200 OK\r\n" + 9 * big + b"\r\n"), Answer([])]}
        with pytest.raises(TooLarge, match="in its head"):
            client.get_all_positions()
        assert list(client.get_all_positions()) == []

    def test_a_head_within_its_limit_is_read(self, server, client):
        big = b"X-Big: " + b"x" * 6000 + b"\r\n"
        server.script = {PATH: [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + 8 * big + b"\r\n[]")]}
        assert list(client.get_all_positions()) == []

    def test_endless_interim_answers_end_at_the_same_limit(self, server, client):
        server.script = {PATH: [Raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)]}
        with pytest.raises(TooLarge):
            client.get_all_positions()

    @pytest.mark.slow
    @pytest.mark.parametrize("way", [HeadDrip(), Drip(), ChunkDrip()])
    def test_a_dripping_answer_ends_at_the_deadline_and_frees_its_thread(self, server, way):
        client = TradingClient("k", "s", paper=True, raw_data=True, url_override=server.url)
        transport.harden(client, 0.15, lambda headers: None, NETWORK)
        server.script = {PATH: [way]}
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            client.get_all_positions()
        assert time.monotonic() - began < 30  # of as long as the server drips
        transport.close(client)


class TestTls:
    @pytest.fixture
    def secured(self, tmp_path):
        certificate = tls.certificate(tmp_path)
        with RestServer() as server:
            server.socket = tls.served(certificate).wrap_socket(server.socket, server_side=True)
            server.script = {PATH: [Answer([])]}
            yield server, f"{certificate}.cert"

    def asking(self, url, environ):
        client = TradingClient("thekey", "thesecret", paper=True, raw_data=True, url_override=url)
        transport.harden(client, 2.0, lambda headers: None, Network(environ))
        try:
            return list(client.get_all_positions())
        finally:
            transport.close(client)

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    def test_rest_trusts_the_certificates_of_either_variable(self, secured, variable):
        server, store = secured
        assert self.asking(server.url.replace("http", "https"), {variable: store}) == []

    def test_rest_trusts_no_certificate_without_them(self, secured):
        server, _ = secured
        with pytest.raises(requests.exceptions.SSLError):
            self.asking(server.url.replace("http", "https"), {})

    def test_rest_goes_through_the_proxy_by_a_tunnel_that_sees_no_key(self, secured):
        server, store = secured
        with ConnectProxy(server.server_address[1]) as proxy:
            environ = {"ALL_PROXY": f"us:pw@{proxy.address}", "SSL_CERT_FILE": store, "NO_PROXY": "10.0.0.0/8"}
            assert self.asking("https://broker.example", environ) == []
        (head,) = proxy.asked
        assert head.startswith(b"CONNECT broker.example:443 ")
        assert b"Proxy-Authorization: Basic dXM6cHc=" in head
        assert b"thekey" not in head
        assert b"thesecret" not in head
        assert server.asked[0][2]["APCA-API-KEY-ID"] == "thekey"

    def test_a_proxy_that_drips_its_answer_times_out(self, secured):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ending = threading.Event()

            def drip():
                client, _ = listener.accept()
                with client, contextlib.suppress(OSError):
                    client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    while not ending.wait(0.02):
                        client.sendall(b"x")

            threading.Thread(target=drip, daemon=True).start()
            client = TradingClient("k", "s", paper=True, raw_data=True, url_override="https://broker.example")
            network = Network({"HTTPS_PROXY": f"127.0.0.1:{listener.getsockname()[1]}"})
            transport.harden(client, 0.15, lambda headers: None, network)
            try:
                with pytest.raises(requests.RequestException):
                    client.get_all_positions()
            finally:
                ending.set()
                transport.close(client)


class TestDrops:
    @pytest.mark.parametrize("way", [Drop(), Raw(b"\x00\x01 no HTTP\r\n\r\n")])
    def test_a_connection_closed_instead_of_an_answer_was_dropped(self, server, client, way):
        server.script = {PATH: [way]}
        with pytest.raises(requests.ConnectionError) as caught:
            client.get_all_positions()
        assert transport.was_dropped(caught.value)

    def test_a_connection_cut_in_the_body_was_not_dropped(self, server, client):
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
    def test_no_other_failure_is_a_dropped_connection(self, error):
        assert not transport.was_dropped(error)
