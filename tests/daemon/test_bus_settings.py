import os
import ssl

import pytest

from condord.config.bus_credentials import BusCredentials
from condord.config.schema import Cluster
from condord.daemon.bus_settings import bus_settings, own_name
from condord.errors import ConfigError
from condord.host.secret import Secret

PLAIN = Cluster(role="relay", bus="nats://127.0.0.1,nats://[::1]:4223")
SECURE = Cluster(role="relay", bus="tls://a.example")


def credentials(kind, path):
    return BusCredentials(kind=kind, secret=Secret("a secret"), path=path)


def test_the_servers_and_the_login_come_from_the_configuration(tmp_path):
    settings = bus_settings(PLAIN, credentials("seed", tmp_path), {})
    assert settings.urls == ("nats://127.0.0.1", "nats://[::1]:4223")
    assert (settings.login.kind, settings.login.secret.reveal()) == ("seed", "a secret")
    assert bus_settings(PLAIN, None, {}).login is None


def test_answers_to_a_relay_use_other_subjects_than_those_to_an_ingester():
    assert bus_settings(PLAIN, None, {}).inbox == "_INBOX.relay"
    assert bus_settings(Cluster(role="ingest", bus="nats://127.0.0.1"), None, {}).inbox == "_INBOX.ingester"


def test_certificates_are_only_read_for_tls(tmp_path):
    environ = {"SSL_CERT_FILE": str(tmp_path / "none")}
    bus_settings(PLAIN, None, environ)
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        bus_settings(SECURE, None, environ)
    assert isinstance(bus_settings(SECURE, None, {}).context(), ssl.SSLContext)


def test_a_client_certificate_replaces_a_login_and_must_exist(tmp_path):
    with pytest.raises(ConfigError, match="cannot be used as a client certificate"):
        bus_settings(SECURE, credentials("certificate", tmp_path / "none"), {})
    assert bus_settings(PLAIN, credentials("certificate", tmp_path / "none"), {}).login is None


def test_our_own_name_ends_with_the_process_id():
    assert own_name().endswith(f":{os.getpid()}")
