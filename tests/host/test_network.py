import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.errors import ConfigError
from condord.host.network import Network
from tests.fakes import tls

URLS = ("https://api.example/v2", "wss://stream.example/x")
PROXY = "http://p.example:3128"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls.certificate(tmp_path_factory.mktemp("certificate"))


def proxies(environ, urls=URLS):
    return [proxy and proxy.url for proxy in map(Network(environ).proxy, urls)]


class TestProxies:
    @pytest.mark.parametrize(
        ("environ", "url"),
        [
            ({}, None),
            ({"HTTPS_PROXY": PROXY}, PROXY),
            ({"https_proxy": PROXY}, PROXY),
            ({"ALL_PROXY": PROXY}, PROXY),
            ({"all_proxy": PROXY}, PROXY),
            ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other:1"}, PROXY),
            ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
            ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
            ({"HTTPS_PROXY": " ", "ALL_PROXY": PROXY}, PROXY),
            ({"HTTPS_PROXY": "p.example:3128"}, PROXY),
            ({"HTTPS_PROXY": "p.example:3128/"}, PROXY),
            ({"HTTPS_PROXY": "https://p.example"}, "https://p.example"),
            ({"HTTPS_PROXY": "me@p.example:3128"}, "http://me:@p.example:3128"),
            ({"HTTPS_PROXY": "me:pw@p.example:3128"}, "http://me:pw@p.example:3128"),
            ({"ALL_PROXY": "socks5h://[::1]:1080"}, "socks5h://[::1]:1080"),
            ({"HTTP_PROXY": PROXY, "WSS_PROXY": PROXY, "SOCKS_PROXY": PROXY}, None),
        ],
    )
    def test_rest_and_streams_use_the_same_proxy(self, environ, url):
        assert proxies(environ) == [url, url]

    def test_urls_without_tls_never_use_a_proxy(self):
        environ = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), PROXY)
        assert proxies(environ, ["http://127.0.0.1:1/v2", "ws://localhost/x"]) == [None, None]

    @pytest.mark.parametrize(
        "no_proxy",
        [
            "*", "api.example", ".api.example", "*.example", "example", "x, API.example", "x api.example",
            "api.example:443",
        ],
    )  # fmt: skip
    def test_a_host_in_no_proxy_is_connected_to_directly(self, no_proxy):
        for name in ("NO_PROXY", "no_proxy"):
            assert proxies({"ALL_PROXY": PROXY, name: no_proxy}, ["https://api.example/v2"]) == [None]

    @pytest.mark.parametrize(
        "no_proxy", ["", "pi.example", "api.example:80", "api", "x.api.example", "10.0.0.0/8", ",", "."]
    )
    def test_other_hosts_use_the_proxy(self, no_proxy):
        assert proxies({"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}, ["https://api.example/v2"]) == [PROXY]

    @pytest.mark.parametrize(
        ("no_proxy", "host", "is_direct"),
        [
            ("10.0.0.0/8", "10.1.2.3", True),
            ("10.0.0.0/8", "11.1.2.3", False),
            ("10.1.2.3", "10.1.2.3", True),
            ("10.1.2.3", "10.1.2.30", False),
            ("10.1.2.3:8443", "10.1.2.3:8443", True),
            ("10.1.2.3/8", "10.9.9.9", True),
            ("fd00::/8", "[fd00::1]", True),
            ("::1", "[::1]:8443", True),
            ("fd00::/8", "10.1.2.3", False),
            ("0.0.0.0/0", "api.example", False),
        ],
    )
    def test_a_network_in_no_proxy_covers_addresses_but_not_names(self, no_proxy, host, is_direct):
        used = proxies({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}, [f"https://{host}/", f"wss://{host}/"])
        assert used == ([None, None] if is_direct else [PROXY, PROXY])

    @pytest.mark.parametrize(
        "value",
        [
            "ftp://p:1", "http://", "http://p:0", "http://p:65536", "http://p:x", "http://[1]", "p:1/path", "p:1?q",
            "p:1#f", "p :1", "socks://p:1", "user:hunter2@", "ftp://user:/hunter2@p:1", "http://user:hunter2@p:1/x",
        ],
    )  # fmt: skip
    def test_an_invalid_proxy_is_an_error_with_the_variable_but_without_the_password(self, value):
        with pytest.raises(ConfigError) as caught:
            Network({"HTTPS_PROXY": value}).proxy("https://api.example")
        assert str(caught.value).startswith("environment HTTPS_PROXY = ")
        assert "must be http://host:port" in str(caught.value)
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"

    @given(st.text(), st.text())
    def test_any_text_in_the_environment_is_a_proxy_or_a_config_error(self, value, exempt):
        try:
            proxy = Network({"HTTPS_PROXY": value, "NO_PROXY": exempt}).proxy("https://api.example")
        except ConfigError:
            return
        assert proxy is None or "://" in proxy.url

    def test_the_address_of_a_proxy_contains_no_password(self):
        assert Network({"HTTPS_PROXY": "me:hunter2@p:1"}).proxy(URLS[0]).address == "p:1"


class TestCertificates:
    def test_named_certificates_are_trusted_in_addition_to_those_of_the_system(self, certificate):
        plain, more = Network({}), Network({"SSL_CERT_FILE": f"{certificate}.cert"})
        assert more.context.cert_store_stats()["x509"] == plain.context.cert_store_stats()["x509"] + 1
        assert more.certificate_sources == f"{plain.certificate_sources}, SSL_CERT_FILE ({certificate}.cert)"

    def test_each_variable_adds_its_certificates_but_curl_ca_bundle_only_if_requests_ca_bundle_is_unset(
        self, certificate, tmp_path
    ):
        other = tls.certificate(tmp_path)
        environ = {"REQUESTS_CA_BUNDLE": f"{certificate}.cert", "SSL_CERT_FILE": f"{other}.cert"}
        base = Network({}).context.cert_store_stats()["x509"]
        assert Network(environ).context.cert_store_stats()["x509"] == base + 2
        first = {"REQUESTS_CA_BUNDLE": f"{certificate}.cert", "CURL_CA_BUNDLE": "/nonexistent"}
        assert Network(first).context.cert_store_stats()["x509"] == base + 1

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_each_variable_may_name_a_directory(self, certificate, tmp_path, variable):
        (tmp_path / "one.pem").write_text((certificate.parent / "both.pem.cert").read_text())
        subprocess.run(["openssl", "rehash", tmp_path], check=True, capture_output=True)
        assert Network({variable: str(tmp_path)}).context is not None

    @pytest.mark.parametrize(
        ("variable", "content", "reason"),
        [
            ("REQUESTS_CA_BUNDLE", None, "No such file or directory"),
            ("CURL_CA_BUNDLE", "no certificate", "it contains no certificates"),
            ("SSL_CERT_FILE", "", "it contains no certificates"),
            ("SSL_CERT_DIR", None, "it is not a directory"),
            ("SSL_CERT_DIR", "a file", "it is not a directory"),
        ],
    )
    def test_unusable_certificates_are_an_error_with_the_variable_the_file_and_the_reason(
        self, tmp_path, variable, content, reason
    ):
        path = tmp_path / "store.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError) as caught:
            Network({variable: str(path)}).check(["https://api.example"])
        assert caught.value.faults[0].startswith(f"environment {variable} = ")
        assert caught.value.faults[0].endswith(reason)
        assert "unset the variable" in caught.value.hint

    def test_all_faults_are_reported_together(self):
        with pytest.raises(ConfigError) as caught:
            Network({"SSL_CERT_FILE": "/nonexistent", "ALL_PROXY": "ftp://p"}).check(URLS)
        assert [fault.split()[1] for fault in caught.value.faults] == ["SSL_CERT_FILE", "ALL_PROXY"]

    def test_without_tls_the_settings_are_not_read(self):
        Network({"SSL_CERT_FILE": "/nonexistent", "ALL_PROXY": "ftp://p"}).check(["http://127.0.0.1:1", "ws://[::1]"])

    def test_a_machine_without_certificates_uses_the_ones_of_requests(self, monkeypatch):
        nothing = ("", "", "", "/nonexistent/cert.pem", "", "/nonexistent/certs")
        monkeypatch.setattr("ssl.get_default_verify_paths", lambda: __import__("ssl").DefaultVerifyPaths(*nothing))
        network = Network({})
        assert "certifi" in network.certificate_sources
        assert network.context.cert_store_stats()["x509"] > 50
