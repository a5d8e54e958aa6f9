"""`condord check`: whether a daemon would start here and work."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from condord.check import report
from condord.cli import options
from condord.cli.daemon_address import configured_url
from condord.cli.output import write_stderr, write_stdout
from condord.cli.screen import Screen, plain, screen
from condord.client.http import Daemon
from condord.config import relay_startup
from condord.config.sources import LoadedConfig
from condord.config.startup import StartupFindings, find
from condord.errors import Unavailable
from condord.host.secret import Secret

EXAMPLE = "condord check --online"

_STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}
_ANSWER_SECONDS = 4.0
"""The check of the address may send two requests within its ten seconds."""
_RESULT_WIDTH, _NAME_WIDTH = 6, 20


def check(
    *,
    config_file: options.ConfigFile = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also try Alpaca, its streams, the port and the daemon, once each.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check the configuration and the credentials.

    With --online, everything else that a daemon needs is tried too.

    The exit code is 0 if no check failed, 78 for the configuration, 77 for the credentials, and 1 for any other check.
    """
    found = find(config_file, os.environ, {})
    if found.loaded.config.cluster.role == "relay":
        results = report.Report(checks=_of_relay(relay_startup.find(config_file, os.environ, {}), online=online))
    else:
        results = report.Report(checks=_online(found) if online else report.offline(found))
    text = results.json() + b"\n" if as_json else "".join(f"{line}\n" for line in lines(results, screen(os.environ)))
    write_stdout(text)
    if results.failed:
        raise report.ChecksFailed(results.failed)


def lines(results: report.Report, screen: Screen) -> list[str]:
    """Return one line per check, with further faults and the hint below it."""
    indent = " " * (_RESULT_WIDTH + _NAME_WIDTH)
    shown: list[str] = []
    for check in results.checks:
        first, *others = check.text.split("\n")
        result = screen.paint(check.result.ljust(_RESULT_WIDTH), _STYLES[check.result])
        shown.append(f"{result}{check.name:<{_NAME_WIDTH}}{plain(first)}")
        shown += [indent + plain(other) for other in others]
        if check.hint:
            shown.append(indent + screen.paint(plain(check.hint), "faint"))
    return shown


def _online(found: StartupFindings) -> tuple[report.Check, ...]:
    from condord.check import probes  # 0.6 s, mostly for alpaca-py

    return probes.run(found, daemon=_daemon(found.loaded, found.token), environ=os.environ, note=_note)


def _of_relay(found: relay_startup.RelayFindings, *, online: bool) -> tuple[report.Check, ...]:
    if not online:
        return (report.config_valid(found.startup.loaded, found.config_error),)
    from condord.check import relay  # 0.2 s

    startup = found.startup
    return relay.run(found, daemon=_daemon(startup.loaded, startup.token), environ=os.environ, note=_note)


def _note(name: report.Name) -> None:
    write_stderr(f"condord: trying {name} ...")


def _daemon(loaded: LoadedConfig, token: Secret | None) -> Daemon | None:
    """Return the daemon that this configuration would start; None if its address cannot be known."""
    try:
        url = configured_url(loaded.config.server)
        return Daemon(url, token.reveal() if token else "", timeout_seconds=_ANSWER_SECONDS)
    except (Unavailable, ValueError):  # port 0, or a host that no URL can name
        return None
