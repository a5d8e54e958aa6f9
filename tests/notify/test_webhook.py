import datetime as dt
import errno
import json
import os
import socket
import ssl
import threading

import pytest
import requests
import urllib3
from standardwebhooks import Webhook

from condord.errors import ConfigError
from condord.host.bounded_http import TooLarge
from condord.host.secret import Secret
from condord.notify import webhook
from condord.notify.messages import WebhookRequest
from condord.notify.webhook import post
from tests.fakes import tls
from tests.notify.builders import SECRET, Receiver, channel

POSTING = WebhookRequest(id="msg_1", body=b'{"type":"condord.alert.firing"}')


class Direct:
    """The network without a proxy."""

    context = ssl.create_default_context()
    asked = ()

    def proxy(self, url):
        self.asked = (*self.asked, url)


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def posted(url, network=None, **settings):
    return post(network or Direct(), channel(url=url, **settings), POSTING, dt.datetime.now(dt.UTC))


def test_a_signed_webhook_is_verified_by_the_reference_library(receiver):
    outcome = posted(f"{receiver.url}\n", signing_key=Secret(SECRET))
    ((path, headers, body),) = receiver.got
    assert (outcome.ok, outcome.status, outcome.text) == (True, 204, "HTTP 204 No Content")
    assert path == "/path-secret"
    assert headers["Content-Type"] == "application/json"
    assert Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()}) == json.loads(body)
    assert body == POSTING.body


def test_a_webhook_without_a_key_is_not_signed(receiver):
    assert posted(receiver.url).ok
    ((_, headers, _),) = receiver.got
    assert headers["webhook-id"] == "msg_1"
    assert int(headers["webhook-timestamp"]) > 1_700_000_000
    assert "webhook-signature" not in headers


def test_410_is_explained_by_how_the_daemon_reacts(receiver):
    receiver.statuses = [410]
    text = "HTTP 410 Gone: a daemon that gets this answer disables the channel until it restarts or the channel changes"
    assert posted(receiver.url).text == text


@pytest.mark.parametrize(
    ("status", "is_gone", "is_down"),
    [
        (400, False, False),
        (404, False, True),
        (410, True, True),
        (429, False, True),
        (500, False, True),
        (599, False, True),
    ],
)
def test_anything_but_success_is_a_failure(receiver, status, is_gone, is_down):
    receiver.statuses = [status]
    outcome = posted(receiver.url)
    assert (outcome.ok, outcome.status, outcome.is_gone, outcome.is_down) == (False, status, is_gone, is_down)
    assert outcome.text.startswith(f"HTTP {status}")


def test_a_redirect_is_not_followed(receiver):
    with Receiver() as other:
        receiver.statuses, receiver.headers = [307], {"Location": other.url, "Content-Length": "1000000"}
        outcome = posted(receiver.url)
        assert other.got == []
    assert (outcome.ok, outcome.status) == (False, 307)
    assert "redirects" in outcome.text


@pytest.mark.parametrize(
    "url", ["http://hooks.example/x", "ftp://127.0.0.1/x", "https://", "http://[::1", "", "file:///etc/passwd"]
)
def test_a_url_without_tls_is_only_used_on_this_machine(url):
    network = Direct()
    outcome = posted(url, network)
    assert not outcome.ok
    assert network.asked == ()


def test_with_an_invalid_key_nothing_is_sent(receiver):
    assert "signing secret" in posted(receiver.url, signing_key=Secret("whsec_abc")).text
    assert receiver.got == []


def test_a_missing_receiver_is_reported_as_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = posted(f"http://127.0.0.1:{port}/path-secret")
    assert (outcome.ok, outcome.is_down) == (False, True)
    assert outcome.text == "It cannot be reached: Connection refused."


def test_a_host_without_a_route_is_reported_with_the_systems_reason(monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))

    monkeypatch.setattr(urllib3.util.connection, "create_connection", fail)
    assert posted("https://127.0.0.1:1/path-secret").text == "It cannot be reached: No route to host."


@pytest.mark.parametrize("drips", [False, True])
def test_an_answer_that_arrives_too_slowly_is_abandoned(monkeypatch, drips):
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 10.0 if drips else 0.05)
    monkeypatch.setattr(webhook, "ATTEMPT_SECONDS", 0.1 if drips else 10.0)
    ending = threading.Event()

    def serve(server):
        connection, _ = server.accept()
        with connection:
            while not ending.wait(0.01):
                if drips:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: y\r\n"[:1])

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        outcome = posted(f"http://127.0.0.1:{server.getsockname()[1]}/x")
        ending.set()
        thread.join()
    assert (outcome.ok, outcome.text) == (False, "It did not answer in time.")


def test_a_certificate_is_trusted_only_if_the_trust_store_has_it(tmp_path):
    path = tls.certificate(tmp_path)
    with Receiver() as receiver:
        receiver._server.socket = tls.served(path).wrap_socket(receiver._server.socket, server_side=True)
        url = receiver.url.replace("http:", "https:")
        trusting = Direct()
        trusting.context = ssl.create_default_context(cafile=f"{path}.cert")
        assert posted(url, trusting).ok
        assert trusting.asked == (url,)
        outcome = posted(url)
        assert (outcome.ok, outcome.text) == (False, "Its TLS certificate is not trusted, or TLS failed.")
        assert len(receiver.got) == 1


def test_an_unreachable_or_invalid_proxy_is_named_as_the_cause():
    class Proxied(Direct):
        def proxy(self, url):
            return Direct.proxied

    with socket.create_server(("127.0.0.1", 0)) as server:
        Direct.proxied = type("Proxy", (), {"url": f"http://user:password@127.0.0.1:{server.getsockname()[1]}"})
    outcome = posted("https://hooks.example/x", Proxied())
    assert outcome.text == "The proxy cannot be reached, or refuses the connection."

    class InvalidProxy(Direct):
        def proxy(self, url):
            raise ConfigError(["HTTPS_PROXY"])

    assert "environment" in posted("https://hooks.example/x", InvalidProxy()).text


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (requests.ReadTimeout("https://hooks.example/path-secret"), "It did not answer"),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", TimeoutError())), "It did not answer"),
        (requests.exceptions.SSLError("x"), "Its TLS certificate"),
        (TooLarge("65536 bytes in its head"), "The head"),
        (requests.exceptions.InvalidURL("https://hooks.example/path-secret"), "Its URL"),
        (requests.ConnectionError("https://hooks.example/path-secret"), "It closed the connection"),
        (urllib3.exceptions.HTTPError("https://hooks.example/path-secret"), "The request failed."),
    ],
)
def test_each_error_has_a_sentence_without_the_url(error, start):
    text = webhook._text_of(error)
    assert text.startswith(start)
    assert "hooks.example" not in text
