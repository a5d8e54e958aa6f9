import importlib.util
import shutil
import subprocess

import pytest

from condord.config import bus_credentials, sources
from condord.errors import ConfigError
from tests.needs import without

CREDS = """-----BEGIN NATS USER JWT-----
eyJ0eXAi.payload.signature
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
SUAAVWRZG6M5FA5VRRGWSCIHKTOJC7EWNIT4JV3FTOIPO4OBFR5WA7X5TE
------END USER NKEY SEED------
"""
SEED = "SUAAVWRZG6M5FA5VRRGWSCIHKTOJC7EWNIT4JV3FTOIPO4OBFR5WA7X5TE"


@pytest.fixture
def write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "bus"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture
def certificate(tmp_path):
    """Makes a certificate and its key, and returns their texts."""

    def make(name, *encrypted):
        key, crt = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=x",
             "-days", "30", "-keyout", key, "-out", crt, *(encrypted or ["-nodes"])],
            check=True, capture_output=True,
        )  # fmt: skip
        return crt.read_text(), key.read_text()

    return make


def fault(path):
    with pytest.raises(ConfigError) as caught:
        bus_credentials.read(path, {})
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (CREDS, "creds"),
        (f"{SEED}\n", "seed"),
        ("kramers:s3cret:x\n", "password"),
        ("one-token", "token"),
        (":x", "token"),
    ],
)
def test_the_kind_of_credentials_is_recognized_by_the_text(write, text, kind):
    found = bus_credentials.read(write(text), {})
    assert found.kind == kind
    assert found.secret.reveal().strip() == text.strip()
    assert text.strip() not in repr(found)


@without("openssl", shutil.which("openssl") is None)
def test_a_client_certificate_has_its_key(write, certificate):
    crt, key = certificate("one")
    path = write(key + crt)
    found = bus_credentials.read(path, {})
    assert (found.kind, str(found.path)) == ("certificate", path)
    assert "cannot be used as a client certificate" in fault(write(crt + certificate("two")[1]))
    encrypted, locked = certificate("three", "-passout", "pass:hushhush")
    assert "the key is encrypted" in fault(write(encrypted + locked))
    assert "is neither a complete .creds file" in fault(write(crt))


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("", 0o600, "is empty"),
        ("two words", 0o600, "holds blanks"),
        (CREDS.partition("***")[0], 0o600, "is neither a complete .creds file"),
        ("token", 0o644, "may be read or written by others"),
        ("x" * 70_000, 0o600, "cannot be read"),
    ],
)
def test_any_other_file_is_a_fault_that_does_not_repeat_its_content(write, text, mode, why):
    found = fault(write(text, mode))
    assert why in found
    assert "cluster.credentials_file" in found
    assert "words" not in found
    assert "eyJ0eXAi" not in found


def test_only_a_bus_needs_the_package(monkeypatch, write):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nkeys" else real(name))
    flags = {"cluster.role": "relay", "cluster.source": "https://a.example"}
    assert bus_credentials.find(sources.read(None, {}, flags), {}) is None
    with pytest.raises(ConfigError) as caught:
        bus_credentials.find(sources.read(None, {}, {"cluster.role": "ingest", "cluster.bus": "tls://a.example"}), {})
    assert "not installed" in str(caught.value)
    assert caught.value.hint.endswith("pip install 'condord[nats]'")


def test_the_file_is_not_read_if_a_key_is_faulty(write):
    flags = {"cluster.role": "ingest", "cluster.bus": "tls://a.example"}
    parsed = sources.read(None, {}, flags | {"cluster.credentials_file": "a\nb"})
    assert bus_credentials.find(parsed, {}) is None
    parsed = sources.read(None, {}, flags | {"cluster.credentials_file": write("a-token")})
    assert bus_credentials.find(parsed, {}).kind == "token"


def test_the_log_masks_what_is_secret_and_nothing_else(write):
    def masked(text):
        return [secret.reveal() for secret in bus_credentials.secrets_of(bus_credentials.read(write(text), {}))]

    assert bus_credentials.secrets_of(None) == []
    assert masked("kramers:s3cret:x\n") == ["s3cret:x"]
    assert masked(SEED) == [SEED]
    assert SEED in masked(CREDS)
    assert not [line for line in masked(CREDS) if "BEGIN" in line]
