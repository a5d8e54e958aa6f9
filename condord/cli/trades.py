"""`condord trades`: show the condors that were closed."""

from __future__ import annotations

import datetime as dt
import os

from condord.cli import options
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stdout
from condord.cli.progress import progress
from condord.cli.screen import folded, screen
from condord.cli.trades_table import trades_lines
from condord.client.http import decoded, require_read
from condord.live.never_read import why_trades_unread
from condord.live.wire_history import TradesJson

EXAMPLE = "condord trades --from 2026-11-01 --to 2026-11-30"


def trades(
    *,
    from_text: options.From = None,
    to_text: options.To = None,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    url: options.Url = None,
) -> None:
    """Show the condors that were closed, and their result.

    The newest is first. P/L is before fees. Dates are days at the exchange, and --from and --to apply to the closing.
    """
    options.require_one_form(as_csv=as_csv, as_json=as_json)
    parameters = options.range_parameters(from_text, to_text)
    daemon = find_daemon(url, os.environ)
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.trades(parameters)
    if as_json:
        write_stdout(body + b"\n")
    elif as_csv:
        from condord.live.csv_text import trades_csv  # 3 ms

        answer = decoded(body, TradesJson)
        require_read(why_trades_unread(answer))  # headings alone would look like the whole answer
        write_stdout("".join(trades_csv(answer, "\n")).encode())
    else:
        where = screen(os.environ)
        lines = folded(trades_lines(decoded(body, TradesJson), dt.datetime.now(dt.UTC), where), where.width)
        write_stdout("".join(f"{line}\n" for line in lines))
