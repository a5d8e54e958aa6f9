"""`condord positions`: what the daemon holds, once or kept up to date."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from condord.cli import complete
from condord.cli.find import find
from condord.cli.progress import progress
from condord.cli.screen import emit, screen
from condord.cli.table import text

EXAMPLE = "condord positions --watch"


def positions(
    condor_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="One condor, as named in the table.",
            show_default=False,
            autocompletion=complete.condor_ids,
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The daemon's own JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it up to date until Ctrl-C.")] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="http://host:port or unix:///path.")] = None,
) -> None:
    """Show the condors and what they are worth now.

    CREDIT, MARK and CLOSE are per share: MARK is the price to close at the middle of the market, CLOSE at bid and ask.
    """
    daemon = find(url, os.environ)
    if watch:
        from condord.cli.watch import keep_watching  # 5 ms

        keep_watching(daemon, condor_id, as_json=as_json)
        return
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.positions() if condor_id is None else daemon.condor(condor_id)
    emit(body + b"\n" if as_json else text(body, condor_id, screen(os.environ)))
