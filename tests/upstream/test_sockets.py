"""Every socket of a stream connects only to the configured host, and does not buffer without limit."""

import asyncio
import ssl

import pytest

from condord.host.network import Network
from condord.upstream import sockets, stream_trial
from condord.upstream.option_stream import OptionStream
from condord.upstream.sockets import dial
from tests.fakes import tls
from tests.fakes.alpaca import KEY_ID, LOGIN, NETWORK, SECRET_KEY, wall
from tests.fakes.proxy import ConnectProxy
from tests.fakes.streams import OptionServer, TradingServer
from tests.upstream.stream_harnesses import OptionHarness, TradingHarness
from tests.virtualtime import run, until

REDIRECTS = [300, 301, 302, 303, 304, 307, 308]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls.certificate(tmp_path_factory.mktemp("certificate"))


class TestRedirects:
    @pytest.mark.parametrize("status", REDIRECTS)
    @pytest.mark.parametrize("is_elsewhere", [False, True], ids=["same origin", "another origin"])
    @pytest.mark.parametrize(
        ("served", "harness_class"), [(OptionServer, OptionHarness), (TradingServer, TradingHarness)]
    )
    def test_a_redirect_of_the_upgrade_is_not_followed_and_its_target_is_reported(
        self, served, harness_class, is_elsewhere, status
    ):
        async def scenario():
            async with served() as server, served() as other:
                target = f"{(other if is_elsewhere else server).url}/elsewhere"
                server.upgrade, server.headers = status, [("Location", target)]
                harness = harness_class(server)
                line = harness.stream if harness_class is OptionHarness else harness.updates
                async with harness.at_work():
                    await until(lambda: harness.state == "backingOff")
                    assert (line.link.fault.code, target in line.link.fault.text) == ("malformed", True)
                    assert "not followed" in line.link.fault.text
                assert (len(server.all_peers), other.all_peers, server.logins, other.logins) == (1, [], [], [])

        run(scenario())

    def test_trial_connections_follow_no_redirects_either(self):
        async def scenario():
            async with OptionServer() as server, OptionServer() as other:
                server.upgrade, server.headers = 302, [("Location", other.url)]
                quotes, _ = await stream_trial.quote_stream(
                    OptionStream, server.url, LOGIN, (), network=NETWORK, symbol_limit=1, now_at=wall
                )
                trades = await stream_trial.trading_stream(server.url, LOGIN, network=NETWORK)
                assert (other.url in quotes.text, other.url in trades.text, other.all_peers) == (True, True, [])

        run(scenario())


def test_cookies_of_one_connection_are_not_sent_with_the_next():
    async def scenario():
        async with OptionServer() as server:
            server.headers = [("Set-Cookie", f"c{number}=x; Path=/") for number in range(90)]
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.peer.reset()
                await until(lambda: harness.state == "live" and len(server.all_peers) == 2)
                assert all("Cookie" not in peer.request.headers for peer in server.all_peers)

    run(scenario())


@pytest.mark.slow
def test_a_server_that_sends_many_pings_and_does_not_read_is_cut_off():
    most = 0

    async def scenario():
        nonlocal most
        async with OptionServer() as server:
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.peer.flood()
                await until(lambda: harness.stream.link.fault is not None)
                assert harness.stream.link.fault.code == "malformed"
                assert "pings faster" in harness.stream.link.fault.text
                await until(lambda: harness.state == "live")
                assert len(server.all_peers) == 2

    with pytest.MonkeyPatch.context() as patch:
        received = sockets.Socket.data_received

        def measured(self, data):
            nonlocal most
            received(self, data)
            most = max(most, self.transport.get_write_buffer_size())

        patch.setattr(sockets.Socket, "data_received", measured)
        run(scenario())
    assert most < 4 * sockets.MAX_UNSENT_BYTES


class TestTls:
    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    def test_a_stream_uses_a_tunnel_through_the_proxy_which_sees_no_key(self, certificate, variable):
        async def scenario():
            loop = asyncio.get_running_loop()
            async with OptionServer() as server:
                peers = await loop.create_server(
                    server._server._protocol_factory, "127.0.0.1", 0, ssl=tls.served(certificate)
                )
                with ConnectProxy(peers.sockets[0].getsockname()[1]) as proxy:
                    network = Network({"HTTPS_PROXY": proxy.address, variable: f"{certificate}.cert"})
                    fault, granted = await stream_trial.quote_stream(
                        OptionStream,
                        "wss://broker.example/x",
                        LOGIN,
                        ("A",),
                        network=network,
                        symbol_limit=1,
                        now_at=wall,
                    )
                assert (fault, granted, server.logins) == (None, 1, [(KEY_ID, SECRET_KEY)])
                (head,) = proxy.asked
                assert head.startswith(b"CONNECT broker.example:443 HTTP/1.1\r\n")
                assert KEY_ID.encode() not in head
                peers.close()

        asyncio.run(scenario())

    def test_an_untrusted_certificate_ends_the_attempt(self, certificate):
        async def scenario():
            async def serve(_reader, writer):
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls.served(certificate))
            async with server:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await dial(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, NETWORK)

        asyncio.run(scenario())
