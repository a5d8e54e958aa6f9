import asyncio
import os
import shutil
import socket
import ssl
import subprocess

import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.upstream import reachable
from condord.upstream.reachable import Endpoint


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """No proxy and no certificates of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of ours for 127.0.0.1, and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=us -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", path, "-out", f"{path}.cert"], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("both.pem.cert").read_text())
    return path


def greeting(scheme, context):
    """What is said of a server on this machine that speaks TLS as `context` says."""

    async def whole():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        try:
            return await reachable.greet(Endpoint(scheme, "127.0.0.1", port))
        finally:
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0)

    return asyncio.run(whole())


def served(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_where_no_url_is_named_they_are_alpacas():
    paper, data = reachable.rest_urls(paper=True, trading_url="", data_url="")
    live, _ = reachable.rest_urls(paper=False, trading_url="", data_url="")
    assert "paper" in paper
    assert "paper" not in live
    assert len(reachable.endpoints((paper, live, data))) == 3
    assert reachable.rest_urls(paper=True, trading_url="http://a", data_url="http://b") == ("http://a", "http://b")


def test_each_endpoint_is_there_once_with_the_port_of_its_scheme():
    assert reachable.endpoints(["https://a/x", "https://a:443/y", "ws://[::1]:9/z", "http://b"]) == (
        Endpoint("https", "a", 443),
        Endpoint("ws", "::1", 9),
        Endpoint("http", "b", 80),
    )


def test_a_url_that_leads_nowhere_is_a_value_error():
    with pytest.raises(ValueError):
        reachable.endpoints(["http://[1]"])


@pytest.mark.parametrize(
    ("environ", "left"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, {"c", "d"}),
        ({"https_proxy": "http://p:1", "no_proxy": "a"}, {"a", "c", "d"}),
        ({"ALL_PROXY": "http://p:1"}, set()),
        ({"wss_proxy": "http://p:1"}, {"a", "c", "d"}),
    ],
)
def test_what_goes_through_a_proxy_is_left_out(monkeypatch, environ, left):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = reachable.endpoints(["https://a", "wss://b", "http://c", "ws://d"])
    assert {each.host for each in found} == left


def test_a_name_that_is_known_has_no_fault_and_another_has():
    assert asyncio.run(reachable.look_up(Endpoint("https", "localhost", 443))) is None
    fault = asyncio.run(reachable.look_up(Endpoint("https", "a..b", 443)))
    assert fault.code == "unreachable"


def test_a_name_server_that_knows_nothing_is_a_fault_with_a_remedy(monkeypatch):
    async def whole():
        async def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        return await reachable.look_up(Endpoint("https", "nowhere.invalid", 443))

    fault = asyncio.run(whole())
    assert "looked up" in fault.text
    assert "name server" in fault.remedy


def test_where_no_tls_is_spoken_nothing_is_asked():
    assert asyncio.run(reachable.greet(Endpoint("http", "127.0.0.1", 9))) is None


def test_nobody_at_the_port_is_a_fault():
    fault = asyncio.run(reachable.greet(Endpoint("https", "127.0.0.1", 9)))
    assert fault.code == "unreachable"


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_a_certificate_that_nobody_trusts_is_a_fault(certificate, scheme):
    fault = greeting(scheme, served(certificate))
    assert "certificate is not trusted" in fault.text
    assert "CA certificates" in fault.remedy


@pytest.mark.parametrize(("scheme", "variable"), [("https", "REQUESTS_CA_BUNDLE"), ("wss", "SSL_CERT_FILE")])
def test_a_certificate_is_trusted_by_what_the_parts_trust_that_go_there(monkeypatch, certificate, scheme, variable):
    monkeypatch.setenv(variable, f"{certificate}.cert")
    assert greeting(scheme, served(certificate)) is None


def test_certificates_in_a_folder_and_those_of_a_missing_file_are_looked_at_too(monkeypatch, certificate, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert "not trusted" in greeting("https", served(certificate)).text
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    assert "No such file" in greeting("https", served(certificate)).text
