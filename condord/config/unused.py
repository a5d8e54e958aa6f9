"""Find keys that are set and have no effect, because of the role or of another key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from condord.config.schema import TABLES, Cluster, Config, Server

_CLUSTER: Mapping[str, str] = {
    "source_token_file": 'set cluster.role to "relay" and cluster.source to a URL',
    "credentials_file": "set cluster.bus",
    "lease_seconds": 'set cluster.role to "ingest" and cluster.bus',
    "account": "set cluster.bus",
}
"""Keys of [cluster] and the keys they require. `cluster.source` and `cluster.bus` without their role are faults."""
_OF_ACCOUNT = ("alpaca", "rest", "stream", "model", "dividend", "expiry", "history", "cache", "alert", "notify")
"""The sections that only a condord that reads the account uses."""


def sentences(config: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each key that is set in vain; `origins` as in `LoadedConfig`."""
    cluster, default = config.cluster, Cluster()
    for key, needed in _CLUSTER.items():
        if getattr(cluster, key) != getattr(default, key) and key not in _used(cluster):
            name = f"cluster.{key}"
            yield f"{name} ({origins[name]}) has no effect {_role(cluster)}: leave it out, or {needed}"
    if cluster.role == "ingest" and not cluster.bus:
        yield (
            f"cluster.role ({origins['cluster.role']}) has no effect without cluster.bus, so this condord is the "
            'only one of the account: set cluster.bus, or cluster.role to "all"'
        )
    if cluster.role == "relay" and (unused := _sections(config)):
        yield f"a relay does not use {', '.join(unused)}: set these where the account is read"
    for key in ("host", "port"):
        if config.server.uds and getattr(config.server, key) != getattr(Server(), key):
            name, uds = f"server.{key}", f"server.uds ({origins['server.uds']})"
            yield f"{name} ({origins[name]}) has no effect, as {uds} is set: leave one of the two out"


def _used(cluster: Cluster) -> frozenset[str]:
    """The keys of `_CLUSTER` that have an effect."""
    of_bus = {"credentials_file", "account"} if cluster.bus else set()
    of_lease = {"lease_seconds"} if cluster.is_elected else set()
    of_source = {"source_token_file"} if cluster.role == "relay" and cluster.source else set()
    return frozenset(of_bus | of_lease | of_source)


def _role(cluster: Cluster) -> str:
    if cluster.role != "relay":
        return f'with cluster.role = "{cluster.role}"' + ("" if cluster.bus else " and without cluster.bus")
    return "on a relay of a bus" if cluster.bus else "on a relay of a source"


def _sections(config: Config) -> list[str]:
    """The sections and tables of the account that are not empty, as the file has them."""
    default = Config()
    set_here = [name for name in _OF_ACCOUNT if getattr(config, name) != getattr(default, name)]
    return [f"[[{name}]]" if name in TABLES else f"[{name}]" for name in set_here]
