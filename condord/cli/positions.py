"""`condord positions`: show the condors, once or kept up to date."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from condord.cli import completion, options
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stdout
from condord.cli.progress import progress
from condord.cli.screen import screen
from condord.cli.table import render
from condord.client.http import decoded
from condord.live import wire

EXAMPLE = "condord positions --watch"


def positions(
    condor_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="Show one condor in detail, by its id in the table.",
            show_default=False,
            autocompletion=completion.condor_ids,
        ),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; with --watch one for each change.")
    ] = False,
    as_csv: options.AsCsv = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date until Ctrl-C.")] = False,
    url: options.Url = None,
) -> None:
    """Show the condors and what they are worth now.

    CREDIT, MARK and CLOSE are per share. MARK is the price to close at the middle of the market, CLOSE at bid
    and ask.
    """
    options.require_one_form(as_csv=as_csv, as_json=as_json)
    if as_csv and watch:
        raise typer.BadParameter("it cannot be combined with --watch", param_hint="'--csv'")
    daemon = find_daemon(url, os.environ)
    if watch:
        from condord.cli.watch import keep_watching  # 5 ms

        keep_watching(daemon, condor_id, as_json=as_json)
        return
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.positions() if condor_id is None else daemon.condor(condor_id)
    if as_csv:
        write_stdout(_csv(body, condor_id))
    else:
        write_stdout(body + b"\n" if as_json else render(body, condor_id, screen(os.environ)))


def _csv(body: bytes, condor_id: str | None) -> bytes:
    from condord.live import csv_text  # 3 ms

    if condor_id is None:
        lines = csv_text.positions_csv(decoded(body, wire.Document), "\n")
    else:
        lines = csv_text.condor_csv(decoded(body, wire.OneCondor), "\n")
    return "".join(lines).encode()
