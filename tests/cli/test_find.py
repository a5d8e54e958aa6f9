import msgspec
import pytest
import typer

from condord import config
from condord.cli.find import configured_url, find
from condord.errors import ConfigError, Refused, Unavailable


def server(**values):
    return msgspec.structs.replace(config.Server(), **values)


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
def test_the_configured_address_is_the_one_that_can_be_reached(values, url):
    assert configured_url(server(**values)) == url


def test_any_free_port_cannot_be_guessed():
    with pytest.raises(Unavailable) as caught:
        configured_url(server(port=0))
    assert "--url" in caught.value.hint


def test_the_flag_comes_before_the_environment_and_that_before_the_configuration():
    environ = {"CONDORD_SERVER_PORT": "9000"}
    assert find(None, environ).address.url == "http://127.0.0.1:9000"
    environ["CONDORD_URL"] = "http://b:2"
    assert find(None, environ).address.url == "http://b:2"
    assert find("http://c:3", environ).address.url == "http://c:3"


def test_a_configuration_that_is_not_needed_is_not_read():
    environ = {"CONDORD_URL": "http://b:2", "CONDORD_TOKEN": "t", "CONDORD_SERVER_PORT": "broken"}
    assert find(None, environ).address.url == "http://b:2"


def test_a_broken_configuration_is_told_with_the_way_round_it():
    with pytest.raises(ConfigError) as caught:
        find(None, {"CONDORD_LOG_LEVEL": "broken"})
    assert "--url or $CONDORD_URL asks a daemon without it" in caught.value.hint


def test_a_daemon_that_is_named_is_asked_whatever_is_wrong_with_the_configuration(tmp_path):
    (tmp_path / "broken.toml").write_text("[server\n")
    environ = {"CONDORD_CONFIG": str(tmp_path / "broken.toml"), "CONDORD_SERVER_PORT": "x"}
    assert find("http://c:3", environ).address.url == "http://c:3"
    assert find(None, environ | {"CONDORD_URL": "http://b:2"}).address.url == "http://b:2"


def test_the_token_is_that_of_the_environment_before_that_of_the_file(fake, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("the-token-of-the-file\n")
    token_file.chmod(0o600)
    environ = {"CONDORD_URL": fake.url, "CONDORD_SERVER_TOKEN_FILE": str(token_file)}
    find(None, environ).positions()
    find(None, environ | {"CONDORD_TOKEN": "the-token-of-the-environment\n"}).positions()
    sent = [headers["Authorization"] for _, headers in fake.requests]
    assert sent == ["Bearer the-token-of-the-file", "Bearer the-token-of-the-environment"]


def test_a_token_that_cannot_be_one_is_refused_without_being_shown():
    with pytest.raises(Refused) as caught:
        find("http://x", {"CONDORD_TOKEN": "secret\nX-Other: 1"})
    assert "secret" not in str(caught.value)


def test_a_bad_address_is_misuse_in_the_flag_and_configuration_in_the_environment():
    with pytest.raises(typer.BadParameter):
        find("nonsense", {})
    with pytest.raises(ConfigError, match=r"\$CONDORD_URL"):
        find(None, {"CONDORD_URL": "nonsense"})


def test_a_host_that_no_address_can_name_is_blamed_on_the_configuration(tmp_path):
    (tmp_path / "token").write_text("the-token-of-the-file\n")
    (tmp_path / "token").chmod(0o600)
    environ = {"CONDORD_SERVER_HOST": "a:b", "CONDORD_SERVER_TOKEN_FILE": str(tmp_path / "token")}
    with pytest.raises(ConfigError, match=r"server\.host") as caught:
        find(None, environ)
    assert "$CONDORD_URL: " not in str(caught.value)
    assert caught.value.hint.startswith("Correct server.host; --url or")
