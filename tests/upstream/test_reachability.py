import asyncio
import socket

import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.host.network import Network
from condord.upstream import reachability
from condord.upstream.reachability import Endpoint
from tests.fakes import tls
from tests.fakes.alpaca import NETWORK


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls.certificate(tmp_path_factory.mktemp("certificate"))


def handshake_fault(scheme, context, **environ):
    """The fault of a handshake with a local server that uses the TLS context `context`."""

    async def main():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        try:
            return await reachability.handshake(Endpoint(scheme, "127.0.0.1", port), Network(environ))
        finally:
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0)

    return asyncio.run(main())


def test_the_default_urls_are_alpacas():
    paper, data = reachability.rest_urls(paper=True, trading_url="", data_url="")
    live, _ = reachability.rest_urls(paper=False, trading_url="", data_url="")
    assert "paper" in paper
    assert "paper" not in live
    assert len(reachability.endpoints((paper, live, data), NETWORK)) == 3
    assert reachability.rest_urls(paper=True, trading_url="http://a", data_url="http://b") == ("http://a", "http://b")


def test_endpoints_are_distinct_and_have_the_default_port_of_their_scheme():
    assert reachability.endpoints(["https://a/x", "https://a:443/y", "ws://[::1]:9/z", "http://b"], NETWORK) == (
        Endpoint("https", "a", 443),
        Endpoint("ws", "::1", 9),
        Endpoint("http", "b", 80),
    )


def test_an_invalid_url_is_a_value_error():
    with pytest.raises(ValueError):
        reachability.endpoints(["http://[1]"], NETWORK)


@pytest.mark.parametrize(
    ("environ", "direct"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, {"c", "d"}),
        ({"https_proxy": "p:1", "no_proxy": "a"}, {"a", "c", "d"}),
        ({"ALL_PROXY": "http://p:1", "HTTP_PROXY": "http://p:1"}, {"c", "d"}),
    ],
)
def test_hosts_behind_a_proxy_are_left_out(environ, direct):
    found = reachability.endpoints(["https://a", "wss://b", "http://c", "ws://d"], Network(environ))
    assert {endpoint.host for endpoint in found} == direct


def test_routes_are_described_with_the_proxy_but_without_its_password():
    network = Network({"HTTPS_PROXY": "user:hunter2@p:1", "NO_PROXY": "b", "SSL_CERT_FILE": "/x.pem"})
    description = reachability.describe_routes(["https://a/x", "https://a/y", "wss://b"], network)
    assert description.startswith("through p:1 (HTTPS_PROXY): a; without a proxy: b; ")
    assert description.endswith(", SSL_CERT_FILE (/x.pem)")


def test_a_known_name_resolves_and_an_invalid_one_is_a_fault():
    assert asyncio.run(reachability.resolve(Endpoint("https", "localhost", 443))) is None
    fault = asyncio.run(reachability.resolve(Endpoint("https", "a..b", 443)))
    assert fault.code == "unreachable"


def test_an_unknown_name_is_a_fault_with_a_remedy(monkeypatch):
    async def main():
        async def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        return await reachability.resolve(Endpoint("https", "nowhere.invalid", 443))

    fault = asyncio.run(main())
    assert "resolved" in fault.text
    assert "name server" in fault.remedy


def test_without_tls_there_is_no_handshake():
    assert asyncio.run(reachability.handshake(Endpoint("http", "127.0.0.1", 9), NETWORK)) is None


def test_a_closed_port_is_a_fault():
    fault = asyncio.run(reachability.handshake(Endpoint("https", "127.0.0.1", 9), NETWORK))
    assert fault.code == "unreachable"


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_an_untrusted_certificate_is_a_fault(certificate, scheme):
    fault = handshake_fault(scheme, tls.served(certificate))
    assert "certificate is not trusted" in fault.text
    assert "CA certificates" in fault.remedy


@pytest.mark.parametrize("scheme", ["https", "wss"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_named_certificate_is_trusted_for_rest_and_streams(certificate, scheme, variable):
    assert handshake_fault(scheme, tls.served(certificate), **{variable: f"{certificate}.cert"}) is None
