"""`condord start`: the daemon in the foreground. What a signal does before it serves is in `condord.__main__`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from condord import config, loading
from condord.cli import complete, demo
from condord.cli.progress import progress
from condord.cli.screen import tell

EXAMPLE = "condord start --demo"


def start(
    *,
    with_demo: Annotated[
        bool, typer.Option("--demo", help="No account needed: talk to a local Alpaca, its market always open.")
    ] = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", readable=False, help="The configuration file.")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="The port; 0 for any free one.")] = None,
    uds: Annotated[str | None, typer.Option(metavar="PATH", help="A unix socket to listen on instead.")] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="L", help="debug, info, warning or error.", autocompletion=complete.log_levels),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="F", help="text or json.", autocompletion=complete.log_formats)
    ] = None,
) -> None:
    """Run the daemon in the foreground until SIGINT or SIGTERM."""
    flags: dict[str, object] = {
        "server.host": host,
        "server.port": port,
        "server.uds": uds,
        "log.level": log_level,
        "log.format": log_format,
    }
    if not with_demo:
        _serve(config_file, os.environ, flags)
        return
    config.load(config_file, os.environ, flags)  # its faults first, before anything is started
    with demo.simulator() as ready:
        _serve(config_file, {**os.environ, **demo.CREDENTIALS}, {**flags, **ready.flags()})


def _serve(config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> None:
    first = loading.load(config_file, environ, flags).loaded.config
    with progress("loading"):
        from condord import service  # 0.9 s: alpaca-py brings pandas

    service.run(first, environ=environ, announce=tell, reread=lambda: config.load(config_file, environ, flags).config)
