import pytest

from condord.config import relay_startup, sources
from condord.errors import ConfigError

OWN, SOURCES = "own-token-1234567", "source-token-1234"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file; no other one is read."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(sources, "SYSTEM_PATH", tmp_path / "etc.toml")

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def load(path=None, source="https://a.example", **environ):
    flags = {"cluster.role": sources.SetByCommand("relay", "condord relay"), "cluster.source": source}
    return relay_startup.load(path, environ, flags)


def faults(path=None, source="https://a.example", **environ):
    with pytest.raises(ConfigError) as caught:
        load(path, source, **environ)
    assert caught.value.exit_code == 78
    return caught.value


def test_a_relay_needs_a_source_and_no_key(write):
    found = load()
    assert found.loaded.config.cluster.role == "relay"
    assert found.loaded.config.cluster.source == "https://a.example"
    assert (found.source_token, found.token) == (None, None)
    assert "a relay needs the URL of another condord" in str(faults(source=None))


def test_the_two_tokens_are_read_from_their_files(write):
    own, of_source = write("own", OWN), write("source", SOURCES)
    path = write(
        "c.toml", f"[server]\ntoken_file = '{own}'\n[cluster]\nrole = 'relay'\nsource_token_file = '{of_source}'\n"
    )
    found = load(path, CONDORD_TOKEN="another-token-123")
    assert (found.token.reveal(), found.source_token.reveal()) == (OWN, SOURCES)


def test_without_a_file_the_token_of_the_source_is_in_the_environment(write):
    assert load(CONDORD_TOKEN=f" {SOURCES}\n").source_token.reveal() == SOURCES
    assert load(source="unix:///run/x", CONDORD_TOKEN=SOURCES).source_token is not None
    assert load(source="http://127.0.0.1:8420", CONDORD_TOKEN=SOURCES).source_token is not None


def test_a_token_may_not_cross_the_network_unencrypted(write):
    error = faults(source="http://a.example", CONDORD_TOKEN=SOURCES)
    [fault] = error.faults
    assert fault == (
        "cluster.source = http://a.example with $CONDORD_TOKEN: the token would cross the network unencrypted; "
        "use https://, or a TLS proxy or a tunnel (ssh -L) on this machine"
    )
    assert "TLS proxy" in error.hint
    assert SOURCES not in str(error)
    of_source = write("source", SOURCES)
    path = write("c.toml", f"[cluster]\nsource_token_file = '{of_source}'\n")
    assert "unencrypted" in str(faults(path, source="http://a.example"))
    assert load(source="http://a.example").source_token is None


def test_a_relay_of_a_bus_has_its_credentials_instead_of_a_token(write):
    path = write(
        "c.toml", f"[cluster]\nbus = 'tls://a.example'\ncredentials_file = '{write('bus', 'kramers:secret')}'\n"
    )
    found = load(path, source=None, CONDORD_TOKEN="two words")
    assert (found.bus_credentials.kind, found.source_token) == ("password", None)
    assert load(write("d.toml", "[cluster]\nbus = 'nats://localhost'\n"), source=None).bus_credentials is None
    path = write("e.toml", "[cluster]\nbus = 'tls://a.example'\ncredentials_file = '/nonexistent'\n")
    assert "cluster.credentials_file" in faults(path, source=None).faults[0]


@pytest.mark.parametrize("token", ["two words", "t\u00f6ken", "a\x01b"])
def test_a_variable_that_holds_no_token_is_a_fault(write, token):
    assert faults(CONDORD_TOKEN=token).faults == ("$CONDORD_TOKEN contains characters that no token has",)


def test_all_faults_are_reported_together(write):
    short = write("short", "short")
    path = write(
        "c.toml",
        f"[server]\nport = -1\ntoken_file = '{short}'\n[cluster]\nsource_token_file = '/nonexistent/token'\n",
    )
    found = faults(path).faults
    assert [fault.partition(":")[0].rpartition("/")[2] for fault in found] == [
        "c.toml", "short", "token (cluster.source_token_file) cannot be read",
    ]  # fmt: skip


def test_a_relay_does_not_read_the_files_of_channels(write):
    path = write("c.toml", "[[notify]]\nname = 'phone'\ntype = 'webhook'\nurl_file = '/nonexistent'\n")
    assert load(path).loaded.config.notify


@pytest.mark.parametrize(
    "source", ["ftp://a.example", "http://a.example?x=1", "http://u:p@a.example", "unix://x", "http://a.example:99999"]
)
def test_a_text_that_is_not_the_url_of_a_condord_is_a_fault(write, source):
    assert "cluster.source" in faults(source=source).faults[0]


def test_brackets_without_an_address_are_a_fault(write):
    assert "only an IPv6 address may be in brackets" in str(faults(source="http://[1:2]:80"))
