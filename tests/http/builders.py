"""Build what most HTTP tests need: the guard's settings and addresses to listen on."""

from collections.abc import Iterable
from pathlib import Path

from condord.host.loopback import is_loopback
from condord.http.interfaces import GuardSettings
from condord.http.server import ListenAddress
from condord.http.tickets import Tickets
from tests.http.fake_daemon import NOW_AT

TOKEN = "a-token-of-some-length"


def guard_settings(
    *, token: str | None = None, origins: Iterable[str] = (), hosts: Iterable[str] = ("condord.example",)
) -> GuardSettings:
    """Settings of a guard that serves loopback names and `hosts`; without `token` none is needed."""
    return GuardSettings(
        knows_host=lambda name: name in hosts or is_loopback(name),
        origins=frozenset(origins),
        token=(lambda: token) if token else None,
        tickets=Tickets(token or "", now_at=lambda: NOW_AT),
    )


def tcp_address(host: str = "127.0.0.1", port: int = 0) -> ListenAddress:
    """A TCP address; port 0 is any free one."""
    return ListenAddress(host=host, port=port, uds="")


def unix_address(path: Path) -> ListenAddress:
    """The address of a Unix socket at `path`."""
    return ListenAddress(host="", port=0, uds=str(path))
