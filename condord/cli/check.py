"""`condord check`: whether a daemon would start here and work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from condord import checks
from condord.cli.find import configured_url
from condord.cli.screen import Screen, emit, plain, screen, tell
from condord.client import Daemon
from condord.errors import Unavailable
from condord.loading import Found, find

EXAMPLE = "condord check --online"

_STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}
_RESULT_WIDTH, _NAME_WIDTH = 6, 20


def check(
    *,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", readable=False, help="The configuration file.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Try Alpaca, both streams, the port and the daemon too, once each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check the configuration and the credentials; with --online whatever else a daemon needs.

    It exits with 0 if nothing failed; with 78 or 77 where a start would, with 77 if Alpaca refuses the key, or with 1.
    """
    found = find(config_file, os.environ, {})
    report = checks.Report(checks=_online(found) if online else checks.offline(found))
    shown = screen(os.environ)
    emit(report.json() + b"\n" if as_json else "".join(f"{line}\n" for line in lines(report, shown)))
    if report.failed:
        raise checks.ChecksFailed(report.failed)


def lines(report: checks.Report, screen: Screen) -> list[str]:
    """The results for people: a line each, faults and hints below."""
    indent = " " * (_RESULT_WIDTH + _NAME_WIDTH)
    told: list[str] = []
    for each in report.checks:
        first, *others = each.text.split("\n")
        result = screen.paint(each.result.ljust(_RESULT_WIDTH), _STYLES[each.result])
        told.append(f"{result}{each.name:<{_NAME_WIDTH}}{plain(first)}")
        told += [indent + plain(other) for other in others]
        if each.hint:
            told.append(indent + screen.paint(plain(each.hint), "faint"))
    return told


def _online(found: Found) -> tuple[checks.Check, ...]:
    from condord import probes  # 0.9 s: alpaca-py brings pandas

    return probes.run(
        found, daemon=_daemon(found), environ=os.environ, note=lambda name: tell(f"condord: trying {name} ...")
    )


def _daemon(found: Found) -> Daemon | None:
    """Where a daemon of this configuration would answer; None where only the daemon itself knows."""
    try:
        return Daemon(configured_url(found.loaded.config.server), found.token.reveal() if found.token else "")
    except (Unavailable, ValueError):  # port 0, or a host that no URL can name
        return None
