"""`condord history`: show the recorded profit and loss of one condor or of all that are open."""

from __future__ import annotations

import datetime as dt
import os
from typing import Annotated

import typer

from condord.cli import completion, options
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stdout
from condord.cli.progress import progress
from condord.cli.recorded import recorded_lines
from condord.cli.screen import folded, screen
from condord.client.http import decoded
from condord.live.history_query import MAX_POINTS
from condord.live.wire_history import RecordedJson

EXAMPLE = "condord history --from 2026-11-16 --to 2026-11-20"


def history(
    condor_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A condor, held or closed; without it all open condors together.",
            show_default=False,
            autocompletion=completion.recorded_ids,
        ),
    ] = None,
    *,
    from_text: options.From = None,
    to_text: options.To = None,
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=options.whole_number(range(1, MAX_POINTS + 1)),
            help=f"The most points to show, 1 to {MAX_POINTS}.",
        ),
    ] = None,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    url: options.Url = None,
) -> None:
    """Show the recorded profit and loss.

    Without --from it begins with the first record, without --to it goes on to now. Dates are days at the exchange.
    """
    options.require_one_form(as_csv=as_csv, as_json=as_json)
    parameters = options.range_parameters(from_text, to_text)
    if condor_id == "":
        raise typer.BadParameter("it is empty", param_hint="'ID'")
    if condor_id is not None:
        parameters["condor"] = condor_id
    if points is not None:
        parameters["points"] = str(points)
    daemon = find_daemon(url, os.environ)
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.history(parameters)
    if as_json:
        write_stdout(body + b"\n")
    elif as_csv:
        from condord.live.csv_text import history_csv  # 3 ms

        write_stdout("".join(history_csv(decoded(body, RecordedJson), "\n")).encode())
    else:
        where = screen(os.environ)
        lines = folded(recorded_lines(decoded(body, RecordedJson), dt.datetime.now(dt.UTC), where), where.width)
        write_stdout("".join(f"{line}\n" for line in lines))
