"""`condord start`: run the daemon in the foreground.

`condord.__main__` handles signals until the daemon has installed its own handlers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from condord.cli import demo, options, serving
from condord.cli.output import write_stderr
from condord.cli.progress import progress
from condord.config import sources, startup
from condord.host import stderr

EXAMPLE = "condord start --demo"


def start(
    *,
    with_demo: Annotated[
        bool, typer.Option("--demo", help="Use a simulated account at a simulated Alpaca, whose market is always open.")
    ] = False,
    config_file: options.ConfigFile = None,
    host: serving.Host = None,
    port: serving.Port = None,
    uds: serving.Uds = None,
    log_level: serving.LogLevel = None,
    log_format: serving.LogFormat = None,
) -> None:
    """Run the daemon in the foreground until SIGINT or SIGTERM."""
    flags = serving.flags(host, port, uds, log_level, log_format)
    if not with_demo:
        _serve(config_file, os.environ, flags)
        return
    from condord.cli import demo_past  # 50 ms, as it imports asyncio

    # Reports errors before the simulator is started.
    loaded = sources.load(config_file, os.environ, flags)
    with demo.simulator() as ready:
        settings = demo.settings(ready)
        if ignored := demo.ignored(loaded, settings):
            write_stderr(f"condord: --demo has an account and a daemon of its own, and ignores {', '.join(ignored)}")
        environ = ready.environ(os.environ)
        with demo_past.write_past(ready.trading_url, environ.get("STATE_DIRECTORY", ""), loaded.config.history) as wait:
            _serve(config_file, environ, {**flags, **settings}, before=wait)


def _serve(
    config_file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    before: Callable[[], object] = lambda: None,
) -> None:
    """Serve; `before` is called once everything is imported."""
    serving.keep_metrics_in_memory(os.environ)
    cluster = sources.read(config_file, environ, flags).loaded.config.cluster
    if cluster.is_elected:
        _serve_elected(config_file, environ, flags)
        return
    if cluster.role == "relay":
        from condord.cli import relay

        relay.serve(config_file, environ, flags)
        return
    found = startup.load(config_file, environ, flags)
    with progress("loading"):
        from condord.daemon import service  # 0.6 s, mostly for alpaca-py

        before()
    service.run(
        found,
        environ=environ,
        announce=write_stderr,
        reread=lambda: sources.load(config_file, environ, flags).config,
        log_dropped=stderr.dropped,
    )


def _serve_elected(config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> None:
    """Serve as one of several ingesters on a bus."""
    found = startup.load(config_file, environ, flags)
    from condord.daemon import front_service  # 0.4 s

    front_service.run(
        found,
        config_file=config_file,
        flags=flags,
        environ=environ,
        announce=write_stderr,
        reread=lambda: sources.load(config_file, environ, flags).config,
        log_dropped=stderr.dropped,
    )
