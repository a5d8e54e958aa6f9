"""Mark requests with the guard's findings: authorized or anonymous.

The connection and the routes behind the guard read these marks.
"""

from __future__ import annotations

from starlette.types import Scope

from condord.http.connection import EXTENSION, HttpConnection

PROBES = frozenset({"/livez", "/readyz", "/healthz"})
"""Paths that orchestrators probe by any address and without a token. Such a probe gets only a status code."""

_ANONYMOUS = "condord.anonymous"


def is_probe(scope: Scope) -> bool:
    """Whether the request only reads the state of the process."""
    return scope["path"] in PROBES and scope["method"] in ("GET", "HEAD")


def admitted(scope: Scope) -> Scope:
    """The scope of an authorized request. Its connection keeps its slot until the request is answered."""
    connection: HttpConnection | None = scope.get("extensions", {}).get(EXTENSION)
    if connection is not None:
        connection.admit()
    return scope


def anonymous(scope: Scope) -> Scope:
    """The scope of an unauthorized request. Its answer must not contain anything about the account."""
    return {**scope, _ANONYMOUS: True}


def is_anonymous(scope: Scope) -> bool:
    """Whether the guard has marked the request as unauthorized."""
    return bool(scope.get(_ANONYMOUS, False))
