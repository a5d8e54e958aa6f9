"""`condord positions`: show the condors, once or kept up to date."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from condord.cli import completion, options
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stdout
from condord.cli.progress import progress
from condord.cli.screen import screen
from condord.cli.table import render, render_one
from condord.cli.view import DEFAULT, SHOWS, SORTS, TableView, parse_show, parse_sort
from condord.client.http import decoded, require_read
from condord.live import wire
from condord.live.never_read import why_positions_unread

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
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the table up to date: arrows scroll, / finds, q quits.")
    ] = False,
    sort: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help=f"The order: {', '.join(SORTS)}; with a minus before it, reversed.",
            autocompletion=completion.sorts,
        ),
    ] = DEFAULT.sort,
    show: Annotated[
        str | None,
        typer.Option(
            metavar="FILTER",
            help=f"Only some condors: {', '.join(SHOWS)} or a symbol.",
            autocompletion=completion.shows,
        ),
    ] = None,
    url: options.Url = None,
) -> None:
    """Show the condors and what they are worth now.

    ENTRY, MARK and CLOSE are per share. MARK is the price to close at the middle of the market, CLOSE at bid
    and ask.
    """
    options.require_one_form(as_csv=as_csv, as_json=as_json)
    if as_csv and watch:
        raise typer.BadParameter("it cannot be combined with --watch", param_hint="'--csv'")
    name, is_reversed = parse_sort(sort)
    view = TableView(sort=name, is_reversed=is_reversed)
    others = {"ID": condor_id is not None, "--json": as_json, "--csv": as_csv}
    _require_table(others, {"--sort": view != DEFAULT, "--show": show is not None})
    daemon = find_daemon(url, os.environ)
    if watch:
        from condord.cli.watch import keep_watching  # 5 ms

        keep_watching(daemon, condor_id, as_json=as_json, view=view, show=show)
        return
    if condor_id is not None and not (as_csv or as_json):
        with progress(f"waiting for {daemon.address.url}"):
            document = daemon.whole_or_broken(condor_id)
        write_stdout(render_one(document, condor_id, screen(os.environ)))
        return
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.positions() if condor_id is None else daemon.condor(condor_id)
    if as_csv:
        write_stdout(_csv(body, condor_id))
    elif as_json:
        write_stdout(body + b"\n")
    else:
        if show is not None:
            view = TableView(sort=name, is_reversed=is_reversed, show=parse_show(show, decoded(body, wire.Document)))
        write_stdout(render(body, screen(os.environ), view=view))


def _require_table(others: Mapping[str, bool], chosen: Mapping[str, bool]) -> None:
    """Refuse a choice for JSON and CSV, which are the daemon's own answers.

    Raises:
        typer.BadParameter: one of `chosen` is given together with one of `others`.
    """
    for option, is_chosen in chosen.items():
        for other, is_given in others.items():
            if is_chosen and is_given:
                raise typer.BadParameter(f"it cannot be combined with {other}", param_hint=f"'{option}'")


def _csv(body: bytes, condor_id: str | None) -> bytes:
    from condord.live import csv_text  # 3 ms

    if condor_id is None:
        document = decoded(body, wire.Document)
        require_read(why_positions_unread(document))  # headings alone would look like the whole answer
        lines = csv_text.positions_csv(document, "\n")
    else:
        lines = csv_text.condor_csv(decoded(body, wire.OneCondor), "\n")
    return "".join(lines).encode()
