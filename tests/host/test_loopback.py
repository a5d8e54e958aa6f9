import pytest

from condord.host.loopback import is_clear, is_loopback, refusal


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1"])
def test_only_this_machine_reaches_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "::", "10.0.0.1", "128.0.0.1", "localhost.example", "example", "[::1]", "::ffff:10.0.0.1"]
)
def test_any_other_host_is_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://paper.example",
        "wss://stream.example/v2",
        "http://127.0.0.1:8421",
        "http://localhost",
        "ws://[::1]:8421/stream",
    ],
)
def test_a_key_may_be_sent_over_tls_or_to_this_machine(url):
    assert refusal(url) == ""


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://paper.example", "use https://"),
        ("ws://stream.example/v2", "use wss://"),
        ("http://10.0.0.1:8421", "use https://"),
        ("http://user@paper.example", "use https://"),
    ],
)
def test_a_key_may_not_cross_the_network_unencrypted(url, remedy):
    assert "unencrypted" in refusal(url)
    assert remedy in refusal(url)


def test_an_address_with_brackets_that_do_not_close_is_refused():
    assert "IPv6" in refusal("http://[::1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", False),
        ("unix:///x", False),
        ("https://a.example", False),
        ("http://[::1]", False),
        ("http://a.example", True),
    ],
)
def test_a_url_that_crosses_a_network_without_tls_is_unencrypted(url, expected):
    assert is_clear(url) is expected
