import socket

import pytest

from condord.config.schema import Server
from condord.daemon import web
from condord.host.secret import Secret
from condord.http.tickets import Tickets
from tests.http.fake_daemon import NOW_AT

TICKETS = Tickets("", now_at=lambda: NOW_AT)


class FakeListener:
    def __init__(self, family):
        self.family = family


def settings(section, *families, token=None):
    listeners = [FakeListener(family) for family in families]
    return web.guard_settings(section, token=token, tickets=TICKETS, takes_any_host=web.is_unix_only(listeners))


def test_the_address_comes_from_the_section():
    address = web.address(Server(host="::1", port=7, uds="/run/x"))
    assert (address.host, address.port, address.uds) == ("::1", 7, "/run/x")


@pytest.mark.parametrize(
    ("name", "is_known"), [("localhost", True), ("condord.example", True), ("evil.example", False)]
)
def test_loopback_names_and_the_named_hosts_are_served(name, is_known):
    found = settings(Server(allowed_hosts=("condord.example",)), socket.AF_INET)
    assert found.knows_host(name) is is_known


def test_if_all_sockets_are_unix_sockets_any_host_is_served():
    assert settings(Server(), socket.AF_UNIX).knows_host("evil.example")
    assert not settings(Server(), socket.AF_UNIX, socket.AF_INET).knows_host("evil.example")


def test_origins_and_token_come_from_the_section():
    found = settings(Server(allowed_origins=("https://Condord.example",)), socket.AF_INET, token=Secret("hush"))
    assert found.origins == {"https://condord.example"}
    assert found.token() == "hush"
    assert settings(Server(), socket.AF_INET).token is None
