import pytest

from condord.client.address import parse_url


@pytest.mark.parametrize(
    ("url", "host", "port", "uds", "base"),
    [
        ("http://127.0.0.1:8420", "127.0.0.1", 8420, "", ""),
        ("http://[::1]:8420/", "::1", 8420, "", ""),
        ("http://condord.lan", "condord.lan", 80, "", ""),
        ("http://proxy:80/condord/", "proxy", 80, "", "/condord"),
        ("unix:///run/condord/socket", "localhost", 0, "/run/condord/socket", ""),
    ],
)
def test_a_url_is_parsed_into_an_address(url, host, port, uds, base):
    address = parse_url(url)
    assert (address.host, address.port, address.uds, address.base) == (host, port, uds, base)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8420", "https://x", "ftp://x", "http://", "http://x:99999", "http://x:a", "http://[::1", "unix://run",
     "unix://", "http://u:secret@x", "http://x/?token=secret", "http://x y", "http://x/\n"],
)  # fmt: skip
def test_an_invalid_url_is_an_error_that_repeats_no_secret(url):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("localhost:8420", "http://localhost:8420"),
        ("127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("[::1]:8420", "http://[::1]:8420"),
        ("https://localhost:8420", "http://localhost:8420"),
        ("https://condord.lan", "http://condord.lan:8420"),
        ("https://condord.lan/desk/", "http://condord.lan:8420/desk"),
        ("http:/localhost:8420", "http://localhost:8420"),
        ("http:localhost", "http://localhost:8420"),
        ("/run/condord/socket", "unix:///run/condord/socket"),
    ],
)
def test_the_error_about_a_url_has_the_one_that_was_meant(url, meant):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert str(caught.value).endswith(f"; did you mean {meant}?")
    assert parse_url(meant)


@pytest.mark.parametrize("url", ["ftp://x", "x", "", "://x:1", "x y:1", "http://"])
def test_nothing_is_suggested_for_what_names_no_address(url):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "mean" not in str(caught.value)


def test_the_error_about_a_port_names_the_url():
    with pytest.raises(ValueError, match=r"'http://127\.0\.0\.1:99999' has no port from 1 to 65535"):
        parse_url("http://127.0.0.1:99999")


def test_a_source_may_be_https_if_that_is_allowed():
    address = parse_url("https://a.example/desk/", allows_tls=True)
    assert (address.host, address.port, address.base, address.is_tls) == ("a.example", 443, "/desk", True)
    assert parse_url("https://a.example:8443", allows_tls=True).port == 8443
    assert not parse_url("http://a.example", allows_tls=True).is_tls
    with pytest.raises(ValueError, match="is not http://host:port or unix:///path"):
        parse_url("https://a.example")
    with pytest.raises(ValueError, match="is not http://host:port, https://host or unix:///path"):
        parse_url("ftp://a.example", allows_tls=True)
