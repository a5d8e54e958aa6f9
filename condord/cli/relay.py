"""`condord relay`: serve another condord's stream to more subscribers.

`condord.__main__` handles signals until the relay has installed its own handlers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from condord.cli import options, serving
from condord.cli.output import write_stderr
from condord.config import relay_startup, sources
from condord.config.sources import SetByCommand
from condord.host import stderr

EXAMPLE = "condord relay --source https://condord.example --host 0.0.0.0"


def relay(
    *,
    source: Annotated[
        str | None, typer.Option(metavar="URL", help="The condord to follow: http(s)://… or unix:///…")
    ] = None,
    config_file: options.ConfigFile = None,
    host: serving.Host = None,
    port: serving.Port = None,
    uds: serving.Uds = None,
    log_level: serving.LogLevel = None,
    log_format: serving.LogFormat = None,
) -> None:
    """Serve another condord's stream to more subscribers.

    It needs no Alpaca key, and runs until SIGINT or SIGTERM. The token of that condord is in the file
    cluster.source_token_file, or else in $CONDORD_TOKEN.
    """
    flags = {
        **serving.flags(host, port, uds, log_level, log_format),
        "cluster.role": SetByCommand("relay", "condord relay"),
        "cluster.source": source,
    }
    serve(config_file, os.environ, flags)


def serve(config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> None:
    """Serve as a relay."""
    serving.keep_metrics_in_memory(os.environ)
    found = relay_startup.load(config_file, environ, flags)
    from condord.daemon import relay_service  # 0.3 s

    relay_service.run(
        found,
        environ=environ,
        announce=write_stderr,
        reread=lambda: sources.load(config_file, environ, flags).config,
        log_dropped=stderr.dropped,
    )
