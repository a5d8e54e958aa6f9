import asyncio
import urllib.request
from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from condord.host.loopback import is_loopback
from condord.http import host_names
from condord.simulator import serve
from condord.simulator.origin_check import host_name, origin_refusal

HOST = ("Host", "127.0.0.1:8421")


def status(*headers, method="GET"):
    refusal = origin_refusal([HOST, *headers] if "Host" not in dict(headers) else headers, is_loopback, method=method)
    return refusal and refusal[0]


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.9.9.9:80", "[::1]:80"]
    )
    @pytest.mark.parametrize("method", ["GET", "POST", ""])
    def test_a_loopback_name_is_served(self, host, method):
        assert status(("Host", host), method=method) is None

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8421", "localhost.evil.example", "10.0.0.1", "128.0.0.1", ""]
    )
    @pytest.mark.parametrize("method", ["GET", "POST", ""])
    def test_another_host_is_misdirected(self, host, method):
        assert status(("Host", host), method=method) == 421

    @pytest.mark.parametrize("hosts", [["[::1"], ["a b"], ["\xe9"], ["localhost", "localhost"], ["http://localhost"]])
    def test_an_invalid_host_is_malformed(self, hosts):
        assert origin_refusal([("Host", host) for host in hosts], is_loopback, method="GET")[0] == 400

    @given(st.text(alphabet="ab.:[]-_1 \xe9%", max_size=12))
    def test_the_daemon_parses_the_same_name(self, host):
        ours, theirs = host_name(host), host_names.host_name(host)
        assert ours == theirs or is_loopback(ours or "") == is_loopback(theirs or "")


class TestOrigins:
    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", ""])
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:8421", "http://127.0.0.1:9"])
    def test_a_page_of_another_origin_may_neither_change_anything_nor_open_a_stream(self, method, origin):
        assert status(("Origin", origin), method=method) == 403
        assert status(("Origin", f"http://{HOST[1]}"), ("Origin", origin), method=method) == 403

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", ""])
    @pytest.mark.parametrize(
        "headers",
        [[], [("Origin", f"http://{HOST[1]}")], [("Sec-Fetch-Site", "same-origin")], [("Sec-Fetch-Site", "none")]],
    )
    def test_a_program_and_a_page_of_the_same_origin_may_do_both(self, method, headers):
        assert status(*headers, method=method) is None

    @pytest.mark.parametrize("method", ["GET", "POST", ""])
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
    def test_a_cross_site_request_is_refused(self, method, site):
        assert (
            status(("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"), method=method)
            == 403
        )

    def test_a_link_may_be_followed(self):
        headers = ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")
        assert status(*headers) is None
        assert status(*headers, method="POST") == 403


@pytest.mark.slow
def test_every_route_and_stream_checks_host_and_origin():
    rebound, foreign = {"Host": "evil.example"}, {"Origin": "https://evil.example"}

    def request_status(url, method, headers):
        request = urllib.request.Request(url, method=method, data=b"{}" if method == "POST" else None, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except HTTPError as error:
            with error:
                return error.code if error.headers["Connection"] == "close" else None

    async def main():
        async with serve(scenario="frozen") as simulator:
            for path in ("/simulator/state", "/simulator/faults", "/v2/positions", "/nothing"):
                assert await asyncio.to_thread(request_status, simulator.url + path, "GET", rebound) == 421
            for method in ("POST", "DELETE"):
                assert (
                    await asyncio.to_thread(request_status, f"{simulator.url}/simulator/faults", method, foreign) == 403
                )
            assert await asyncio.to_thread(request_status, f"{simulator.url}/simulator/state", "GET", {}) == 200
            for url in (simulator.option_stream_url, simulator.stock_stream_url, simulator.trading_stream_url):
                with pytest.raises(InvalidStatus, match="403"):
                    await connect(url, additional_headers=foreign, proxy=None)
                with pytest.raises(InvalidStatus, match="421"):
                    await connect(url.replace("127.0.0.1", "evil.example"), host="127.0.0.1", proxy=None)
                async with connect(url, origin=simulator.url):
                    pass
            assert simulator.streams.state()["option"]["accepted"] == 1

    asyncio.run(main())
