"""Put the web server together: the application behind its guard and metrics, on a server with limits."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import msgspec

from condord.config import schema
from condord.host import loopback
from condord.host.secret import Secret
from condord.http import server
from condord.http.app import Application
from condord.http.guard import Guard
from condord.http.host_names import host_name, known_hosts, origin_name
from condord.http.interfaces import Gate, GuardSettings
from condord.http.metrics import Metrics, MetricsMiddleware
from condord.http.tickets import Tickets


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """The server and its guard, whose settings can be replaced."""

    server: server.HttpServer
    guard: Guard


def build(
    application: Application,
    settings: GuardSettings,
    *,
    metrics: Metrics,
    max_subscribers: Callable[[], int],
    gate: Gate = lambda app: app,
    around: Gate = lambda app: app,
) -> Web:
    """The server of `application`, with its `gate` behind the guard and `around` outside of it.

    `max_subscribers` returns how many streams are allowed.
    """
    guard = Guard(gate(application), settings)
    return Web(
        guard=guard,
        server=server.HttpServer(
            MetricsMiddleware(around(guard), application.routes, metrics),
            subscribers=max_subscribers,
            note_refusal=metrics.count_refusal,
        ),
    )


def address(section: schema.Server) -> server.ListenAddress:
    """The address to listen on unless systemd hands over sockets."""
    return server.ListenAddress(host=section.host, port=section.port, uds=section.uds)


def is_unix_only(listeners: Sequence[socket.socket]) -> bool:
    """Whether all sockets are unix sockets, which no browser can reach."""
    return all(listener.family == socket.AF_UNIX for listener in listeners)


def guard_settings(
    section: schema.Server, *, token: Secret | None, tickets: Tickets, takes_any_host: bool
) -> GuardSettings:
    """The settings of the guard. `takes_any_host` is for a server that no browser can reach."""
    names = (section.host, *section.allowed_hosts)
    is_known = known_hosts(host_name(name) or name.lower() for name in names)
    return GuardSettings(
        knows_host=lambda name: takes_any_host or is_known(name) or loopback.is_loopback(name),
        origins=frozenset(map(origin_name, section.allowed_origins)),
        token=token.reveal if token else None,
        tickets=tickets,
    )
