import pytest

from condord.config import credentials, sources, startup
from condord.errors import ConfigError, CredentialsMissing

KEYS = {"APCA_API_KEY_ID": "PKENV", "APCA_API_SECRET_KEY": "env-hush"}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file; no other one is read."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(sources, "SYSTEM_PATH", tmp_path / "etc.toml")

    def write(name, text, mode=0o600):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def errors_of(found):
    """All errors, with their exit codes."""
    return [(str(error), error.exit_code) for error in found.errors]


def test_without_faults_there_is_a_configuration_with_a_key_and_no_token(write):
    path = write("c.toml", "[server]\nport = 7\n")
    loaded = startup.load(path, KEYS, {})
    assert (loaded.loaded.config.server.port, loaded.key.origin, loaded.token) == (7, "environment", None)
    assert errors_of(startup.find(path, KEYS, {})) == []


def test_the_token_is_read(write):
    token = write("token", "0123456789abcdef\n")
    found = startup.load(write("c.toml", f"[server]\ntoken_file = '{token}'\n"), KEYS, {})
    assert found.token.reveal() == "0123456789abcdef"


def test_faults_of_values_token_and_key_are_reported_together(write):
    token, key = write("token", "short\n"), write("key", "PKFILE\n", 0o644)
    path = write(
        "c.toml",
        f"[server]\nport = -1\ntoken_file = '{token}'\n[alpaca]\nkey_id_file = '{key}'\nsecret_key_file = '{key}'\n",
    )
    with pytest.raises(ConfigError) as caught:
        startup.load(path, {}, {})
    is_open = "may be read or written by others"
    assert caught.value.faults == (
        f"{path}:2: server.port = -1: must be an integer from 0 to 65535",
        f"{token}: a token has at least 16 characters",
        f"no Alpaca API key was found: {key} (alpaca.key_id_file) {is_open}; {key} (alpaca.secret_key_file) {is_open}",
    )
    assert caught.value.hint.startswith("Correct the values named above. Write a longer one: ")
    assert caught.value.hint.endswith(f"`chmod 600 {key}`.")
    assert caught.value.exit_code == 78


def test_an_unusable_token_is_reported_as_credentials_reports_it(write):
    path = write("c.toml", "[server]\ntoken_file = '/none/token'\n")
    with pytest.raises(ConfigError) as caught:
        startup.load(path, KEYS, {})
    with pytest.raises(ConfigError) as alone:
        credentials.read_token("/none/token")
    assert (caught.value.faults, caught.value.hint) == (alone.value.faults, alone.value.hint)


def test_a_missing_key_is_reported_as_credentials_reports_it(write):
    with pytest.raises(CredentialsMissing) as caught:
        startup.load(write("c.toml", ""), {}, {})
    assert str(caught.value) == str(CredentialsMissing())


def test_a_key_is_not_reported_missing_if_a_fault_may_be_the_reason(write):
    broken = startup.find(write("c.toml", "[alpaca\n"), {}, {})
    assert (len(broken.errors), broken.is_key_unknown) == (1, True)
    mistaken = startup.find(write("d.toml", "[alpaca]\nkey_id_file = 1\n"), {}, {})
    assert (len(mistaken.errors), mistaken.is_key_unknown) == (1, True)
    elsewhere = startup.find(write("e.toml", "[log]\nlevel = 1\n"), {}, {})
    assert [code for _, code in errors_of(elsewhere)] == [78, 77]


@pytest.mark.parametrize("cluster", ["role = 'rely'", "bus = 'nats://127.0.0.1'"])
def test_a_key_is_not_reported_missing_if_a_relay_may_be_meant(write, cluster):
    found = startup.find(write("c.toml", f"[cluster]\n{cluster}\n"), {}, {})
    assert ([code for _, code in errors_of(found)], found.is_key_unknown) == ([78], True)
    with pytest.raises(ConfigError) as caught:
        startup.load(write("d.toml", f"[cluster]\n{cluster}\n"), {}, {})
    assert (len(caught.value.faults), "APCA" in caught.value.hint) == (1, False)


def test_half_a_key_is_reported_even_if_the_file_is_broken(write):
    found = startup.find(write("c.toml", "[alpaca\n"), {"APCA_API_KEY_ID": "PK"}, {})
    assert [code for _, code in errors_of(found)] == [78, 77]
    assert not found.is_key_unknown


def test_a_key_in_the_environment_is_found_even_if_the_file_is_broken(write):
    found = startup.find(write("c.toml", "[alpaca\n"), KEYS, {})
    assert found.key.key_id.reveal() == "PKENV"


def test_a_faulty_path_of_the_token_is_not_read(write):
    found = startup.find(write("c.toml", "[server]\ntoken_file = 1\n"), KEYS, {})
    assert len(found.config_error.faults) == 1


def test_the_files_of_channels_are_checked_with_their_places(write):
    url = write("url", "https://hush.example/x\n", 0o644)
    path = write("c.toml", f"[server]\nport = -1\n[[notify]]\nname = 'hook'\ntype = 'webhook'\nurl_file = '{url}'\n")
    found = startup.find(path, KEYS, {})
    assert found.config_error.faults == (
        f"{path}:2: server.port = -1: must be an integer from 0 to 65535",
        f"{path}:6: {url} (notify[0].url_file) may be read or written by others",
    )
    assert found.config_error.hint == f"Correct the values named above. `chmod 600 {url}`."
    url.chmod(0o600)
    path.write_text(path.read_text().replace("port = -1", "port = 1"))
    assert startup.find(path, KEYS, {}).config_error is None


def test_while_a_channel_is_faulty_no_file_is_read(write):
    path = write("c.toml", "[[notify]]\nname = 'hook'\ntype = 'sms'\nurl_file = '/none/url'\n")
    assert len(startup.find(path, KEYS, {}).config_error.faults) == 1
