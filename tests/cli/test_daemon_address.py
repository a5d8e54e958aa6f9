import msgspec
import pytest
import typer

from condord.cli.daemon_address import configured_url, find_daemon
from condord.config import schema
from condord.errors import AccessDenied, ConfigError, Unavailable


@pytest.fixture
def token_file(tmp_path):
    (tmp_path / "token").write_text("the-token-of-the-file\n")
    (tmp_path / "token").chmod(0o600)
    return str(tmp_path / "token")


def server(**values):
    return msgspec.structs.replace(schema.Server(), **values)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://127.0.0.1:8420"),
        ({"host": "0.0.0.0", "port": 9000}, "http://127.0.0.1:9000"),  # noqa: S104 - nothing is bound
        ({"host": "::"}, "http://[::1]:8420"),
        ({"host": "::1"}, "http://[::1]:8420"),
        ({"host": "192.168.1.5"}, "http://192.168.1.5:8420"),
        ({"host": "localhost"}, "http://localhost:8420"),
        ({"uds": "/run/condord/socket", "port": 0}, "unix:///run/condord/socket"),
    ],
)
def test_the_configured_url_can_be_reached_from_this_machine(values, url):
    assert configured_url(server(**values)) == url


def test_a_configured_port_of_0_is_unavailable():
    with pytest.raises(Unavailable) as caught:
        configured_url(server(port=0))
    assert "--url" in caught.value.hint


def test_the_flag_wins_over_the_environment_which_wins_over_the_configuration():
    environ = {"CONDORD_SERVER_PORT": "9000"}
    assert find_daemon(None, environ).address.url == "http://127.0.0.1:9000"
    environ["CONDORD_URL"] = "http://b:2"
    assert find_daemon(None, environ).address.url == "http://b:2"
    assert find_daemon("http://c:3", environ).address.url == "http://c:3"


def test_with_an_address_and_a_token_the_configuration_is_not_read():
    environ = {"CONDORD_URL": "http://127.0.0.1:2", "CONDORD_TOKEN": "t", "CONDORD_SERVER_PORT": "broken"}
    assert find_daemon(None, environ).address.url == "http://127.0.0.1:2"


def test_an_invalid_configuration_hints_at_url():
    with pytest.raises(ConfigError) as caught:
        find_daemon(None, {"CONDORD_LOG_LEVEL": "broken"})
    assert "To use a daemon without it, pass --url or set $CONDORD_URL." in caught.value.hint


def test_a_given_address_works_with_an_invalid_configuration(tmp_path):
    (tmp_path / "broken.toml").write_text("[server\n")
    environ = {"CONDORD_CONFIG": str(tmp_path / "broken.toml"), "CONDORD_SERVER_PORT": "x"}
    assert find_daemon("http://c:3", environ).address.url == "http://c:3"
    assert find_daemon(None, environ | {"CONDORD_URL": "http://b:2"}).address.url == "http://b:2"


def test_the_token_of_the_environment_wins_over_the_one_in_the_file(fake, token_file):
    environ = {"CONDORD_SERVER_PORT": fake.url.rpartition(":")[2], "CONDORD_SERVER_TOKEN_FILE": token_file}
    find_daemon(None, environ).positions()
    find_daemon(None, environ | {"CONDORD_TOKEN": "the-token-of-the-environment\n"}).positions()
    sent = [headers["Authorization"] for _, headers in fake.requests]
    assert sent == ["Bearer the-token-of-the-file", "Bearer the-token-of-the-environment"]


def bearer(daemon):
    return daemon._headers.get("Authorization", "")


@pytest.mark.parametrize("way", ["flag", "environment"])
@pytest.mark.parametrize(
    ("configured", "named"),
    [
        ({}, "http://127.0.0.1:8421"),
        ({}, "http://127.0.0.2:8420"),
        ({}, "http://[::1]:8420"),
        ({}, "http://other.example:8420"),
        ({}, "unix:///tmp/other.sock"),
        ({"UDS": "/run/own.sock"}, "http://127.0.0.1:8420"),
        ({"UDS": "/run/own.sock"}, "unix:///tmp/other.sock"),
        ({"PORT": "0"}, "http://other.example:1"),
        ({"HOST": "a:b"}, "http://127.0.0.1:8420"),
    ],
)
def test_the_token_of_the_file_is_not_sent_to_another_address(token_file, way, configured, named):
    environ = {f"CONDORD_SERVER_{name}": value for name, value in configured.items()}
    environ["CONDORD_SERVER_TOKEN_FILE"] = token_file
    daemon = find_daemon(named, environ) if way == "flag" else find_daemon(None, environ | {"CONDORD_URL": named})
    assert (daemon.address.url, bearer(daemon)) == (named, "")


@pytest.mark.parametrize(
    ("configured", "named", "url"),
    [
        ({}, "http://127.0.0.1:8420", "http://127.0.0.1:8420"),
        ({}, "http://127.0.0.1:8420/condord", "http://127.0.0.1:8420/condord"),
        ({}, "http://localhost:8420", "http://127.0.0.1:8420"),
        ({"HOST": "::1"}, "http://LOCALHOST:8420/x", "http://[::1]:8420/x"),
        ({"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000", "http://127.0.0.1:9000"),  # noqa: S104
        ({"PORT": "0"}, "http://127.0.0.1:4711", "http://127.0.0.1:4711"),
        ({"UDS": "/run/own.sock"}, "unix:///run/own.sock", "unix:///run/own.sock"),
    ],
)
def test_the_token_of_the_file_is_sent_to_the_configured_address_given_by_url(token_file, configured, named, url):
    environ = {f"CONDORD_SERVER_{name}": value for name, value in configured.items()}
    daemon = find_daemon(named, environ | {"CONDORD_SERVER_TOKEN_FILE": token_file})
    assert (daemon.address.url, bearer(daemon)) == (url, "Bearer the-token-of-the-file")


@pytest.mark.parametrize("url", ["http://b:2", "http://192.168.1.2:8420", "http://localhost.example/condord"])
def test_a_token_over_plain_http_to_another_machine_is_a_usage_error(url):
    for named, environ in ((url, {}), (None, {"CONDORD_URL": url})):
        with pytest.raises(typer.BadParameter) as caught:
            find_daemon(named, environ | {"CONDORD_TOKEN": "hush-hush-hush-hush"})
        assert "TLS proxy or a tunnel" in str(caught.value)
        assert "hush" not in str(caught.value)
        assert caught.value.exit_code == 2


def test_a_configured_address_in_the_network_gets_the_token_only_if_it_is_not_given_by_url(token_file):
    environ = {"CONDORD_SERVER_HOST": "192.168.1.5", "CONDORD_SERVER_TOKEN_FILE": token_file}
    assert bearer(find_daemon(None, environ)) == "Bearer the-token-of-the-file"
    with pytest.raises(typer.BadParameter, match="TLS proxy"):
        find_daemon("http://192.168.1.5:8420", environ)


def test_without_a_token_any_machine_can_be_asked():
    assert find_daemon("http://b:2", {}).address.host == "b"


def test_the_token_of_the_environment_is_sent_to_any_address_of_this_machine(token_file):
    environ = {"CONDORD_TOKEN": "the-token-of-the-environment", "CONDORD_SERVER_TOKEN_FILE": token_file}
    for url in ("http://127.0.0.1:4711", "http://[::1]:4711", "http://localhost:4711", "unix:///tmp/other.sock"):
        assert bearer(find_daemon(url, environ)) == "Bearer the-token-of-the-environment"


def test_an_invalid_token_is_refused_without_being_shown():
    with pytest.raises(AccessDenied) as caught:
        find_daemon("http://x", {"CONDORD_TOKEN": "secret\nX-Other: 1"})
    assert "secret" not in str(caught.value)


def test_an_invalid_url_is_a_usage_error_in_the_flag_and_a_configuration_error_in_the_environment():
    with pytest.raises(typer.BadParameter):
        find_daemon("nonsense", {})
    with pytest.raises(ConfigError, match=r"\$CONDORD_URL"):
        find_daemon(None, {"CONDORD_URL": "nonsense"})


def test_a_host_that_makes_no_url_is_a_configuration_error(token_file):
    environ = {"CONDORD_SERVER_HOST": "a:b", "CONDORD_SERVER_TOKEN_FILE": token_file}
    with pytest.raises(ConfigError, match=r"server\.host") as caught:
        find_daemon(None, environ)
    assert "$CONDORD_URL: " not in str(caught.value)
    assert caught.value.hint.startswith("Correct server.host. To use a daemon without it, pass --url or")
