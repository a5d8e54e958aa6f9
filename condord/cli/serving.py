"""Shared by the commands that serve: their options, and the variables that they remove from the environment."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Annotated

import typer

from condord.cli import completion, options

Host = Annotated[str | None, typer.Option(metavar="H", help="The address to listen on.")]
Port = Annotated[
    int | None,
    typer.Option(metavar="N", parser=options.whole_number(), help="The port to listen on; 0 for any free one."),
]
Uds = Annotated[str | None, typer.Option(metavar="PATH", help="A unix socket to listen on instead of a port.")]
LogLevel = Annotated[
    str | None,
    typer.Option(
        metavar="L",
        help="The least severe lines to log: debug, info, warning or error.",
        autocompletion=completion.log_levels,
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option(metavar="F", help="The format of the log: text or json.", autocompletion=completion.log_formats),
]

_MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def flags(
    host: str | None, port: int | None, uds: str | None, log_level: str | None, log_format: str | None
) -> dict[str, object]:
    """Return the options by the configuration keys that they set.

    Raises:
        typer.BadParameter: a socket is given together with a host or a port.
    """
    for other, given in (("--host", host), ("--port", port)):
        if uds and given is not None:
            raise typer.BadParameter(f"it cannot be combined with {other}", param_hint="'--uds'")
    return {
        "server.host": host,
        "server.port": port,
        "server.uds": uds,
        "log.level": log_level,
        "log.format": log_format,
    }


def keep_metrics_in_memory(environ: MutableMapping[str, str]) -> None:
    """Remove the variables for programs of several processes: with them prometheus-client would use files."""
    for name in _MULTIPROCESS_VARIABLES:
        environ.pop(name, None)
