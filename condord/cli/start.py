"""`condord start`: run the daemon in the foreground.

`condord.__main__` handles signals until the daemon has installed its own handlers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from condord.cli import completion, demo, options
from condord.cli.output import write_stderr
from condord.cli.progress import progress
from condord.config import sources, startup
from condord.host import stderr

EXAMPLE = "condord start --demo"

# Variables for programs of several processes: with them prometheus-client would keep the metrics in files.
_MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def start(
    *,
    with_demo: Annotated[
        bool, typer.Option("--demo", help="Use a simulated account at a simulated Alpaca, whose market is always open.")
    ] = False,
    config_file: options.ConfigFile = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="The address to listen on.")] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", parser=options.whole_number(), help="The port to listen on; 0 for any free one."),
    ] = None,
    uds: Annotated[
        str | None, typer.Option(metavar="PATH", help="A unix socket to listen on instead of a port.")
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            metavar="L",
            help="The least severe lines to log: debug, info, warning or error.",
            autocompletion=completion.log_levels,
        ),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="F", help="The format of the log: text or json.", autocompletion=completion.log_formats),
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
    from condord.cli import demo_past  # 50 ms, as it imports asyncio

    # Reports errors before the simulator is started.
    history = sources.load(config_file, os.environ, flags).config.history
    with demo.simulator() as ready:
        environ = ready.environ(os.environ)
        with demo_past.written(ready.trading_url, environ.get("STATE_DIRECTORY", ""), history) as wait:
            _serve(config_file, environ, {**flags, **ready.flags()}, before=wait)


def _serve(
    config_file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    before: Callable[[], object] = lambda: None,
) -> None:
    """Serve; `before` is called once everything is imported."""
    for name in _MULTIPROCESS_VARIABLES:
        os.environ.pop(name, None)
    found = startup.load(config_file, environ, flags)
    with progress("loading"):
        from condord.daemon import service  # 0.9 s, as alpaca-py imports pandas

        before()
    service.run(
        found,
        environ=environ,
        announce=write_stderr,
        reread=lambda: sources.load(config_file, environ, flags).config,
        log_dropped=stderr.dropped,
    )
