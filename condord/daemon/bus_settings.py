"""The servers of the bus and the credentials for them, from the configuration and the credentials file."""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Mapping

from condord.cluster.bus import BusSettings
from condord.cluster.nats_client import BusLogin
from condord.config.bus_credentials import BusCredentials
from condord.config.schema import Cluster
from condord.errors import ConfigError
from condord.host.network import Network


def bus_settings(cluster: Cluster, credentials: BusCredentials | None, environ: Mapping[str, str]) -> BusSettings:
    """Return the settings of a bus.

    Raises:
        ConfigError: the certificates that the environment or the credentials name cannot be used.
    """
    network = Network(environ)  # a separate one, as the client certificate is only for the bus

    @functools.cache
    def context() -> ssl.SSLContext:
        tls = network.context
        if credentials is not None and credentials.kind == "certificate":
            try:
                tls.load_cert_chain(credentials.path, password="")
            except (OSError, ValueError) as error:  # the file was replaced after it was read
                raise ConfigError([f"{credentials.path} cannot be used as a client certificate: {error}"]) from error
        return tls

    login = None
    if credentials is not None and credentials.kind != "certificate":
        login = BusLogin(kind=credentials.kind, secret=credentials.secret)
    if any(url.startswith("tls:") for url in cluster.bus_urls):
        context()
    inbox = "_INBOX.relay" if cluster.role == "relay" else "_INBOX.ingester"
    return BusSettings(urls=cluster.bus_urls, login=login, context=context, inbox=inbox)


def own_name() -> str:
    """Return the name of this process, `host:process`, for people who look at the bus."""
    return f"{socket.gethostname()}:{os.getpid()}"
