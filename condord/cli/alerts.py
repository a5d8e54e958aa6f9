"""`condord alerts`: show the alerts, acknowledge one, or test a channel."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from condord.cli import completion, options
from condord.cli.alert_lines import alerts_lines, counted
from condord.cli.daemon_address import find_daemon
from condord.cli.output import write_stderr, write_stdout
from condord.cli.progress import progress
from condord.cli.screen import plain, screen
from condord.client.http import Daemon, decoded
from condord.errors import EXIT_FAILED, CondordError
from condord.live import wire
from condord.live.channel_remedies import DISABLED_REMEDY, channel_remedy
from condord.live.never_read import why_positions_unread
from condord.live.wire_alerts import AlertsJson, ChannelTestJson

EXAMPLE = "condord alerts acknowledge half:SPY-261218-560-570-630-640"

alerts = typer.Typer(invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]...")


class CriticalAlerts(CondordError):
    """At least one critical alert is firing, acknowledged or not."""

    code = "critical-alerts"
    exit_code = EXIT_FAILED
    hint = "`condord alerts acknowledge ID` ends the repeats of one; it keeps firing until it resolves."

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} critical alert{' is' if count == 1 else 's are'} firing")


class NotDelivered(CondordError):
    """A channel did not accept a test message."""

    code = "not-delivered"
    exit_code = EXIT_FAILED

    def __init__(self, channel: str, hint: str) -> None:
        self.hint = hint
        super().__init__(f"the channel {channel} did not accept the test message")


class ChannelDisabled(CondordError):
    """A channel accepted the test message, but gets no alerts, as it has answered 410 before."""

    code = "channel-disabled"
    exit_code = EXIT_FAILED
    hint = f"It has answered 410 before. {DISABLED_REMEDY}"

    def __init__(self, channel: str) -> None:
        super().__init__(f"the channel {channel} is disabled, so no alert is sent to it")


@alerts.callback()
def show(
    context: typer.Context,
    *,
    with_all: Annotated[
        bool, typer.Option("--all", help="Also show what is resolved or ended, the rules in force, and the channels.")
    ] = False,
    as_json: options.AsJson = False,
    url: options.Url = None,
) -> None:
    """Show the alerts that fire, the most severe first.

    It can also acknowledge one, or test a channel.

    The exit code is 1 while a critical alert is firing, acknowledged or not.
    """
    if context.invoked_subcommand is not None:
        given = [name for name, is_given in (("--all", with_all), ("--json", as_json)) if is_given]
        if given:
            raise typer.BadParameter(
                f"it cannot be combined with {context.invoked_subcommand}", param_hint=f"'{given[0]}'"
            )
        return
    daemon = find_daemon(url, os.environ)
    with progress(f"waiting for {daemon.address.url}"):
        body = daemon.alerts()
        document = _document(daemon)
    answer, gap = decoded(body, AlertsJson), _gap(document)
    if as_json:
        write_stdout(body + b"\n")
        if gap:
            write_stderr(f"condord: {plain(gap)}")
    else:
        lines = alerts_lines(answer, answer.as_of, screen(os.environ), with_all=with_all, document=document, gap=gap)
        write_stdout("".join(f"{line}\n" for line in lines))
    if critical := counted(answer.alerts).critical:
        raise CriticalAlerts(critical)


def condors_of(daemon: Daemon, answer: AlertsJson) -> wire.Document | None:
    """Return the document if an alert is about a condor; None if it cannot be read, as alerts were asked for."""
    return _document(daemon) if any(alert.condor_id for alert in answer.alerts) else None


def _gap(document: wire.Document | None) -> str:
    """Return why more rules may hold than those whose alerts fire, as a sentence; empty if everything is watched."""
    if document is None:
        reason = "the positions cannot be read"
    elif unread := why_positions_unread(document):
        reason = unread
    elif document.status.state not in ("live", "closed"):
        reason = f"prices are not live, {document.status.reason or f'the option stream is {document.status.state}'}"
    else:
        return ""
    return f"whether anything else fires is not known: {reason}"


def _document(daemon: Daemon) -> wire.Document | None:
    try:
        return decoded(daemon.positions(), wire.Document)
    except CondordError:
        return None


@alerts.command()
def acknowledge(
    context: typer.Context,
    alert_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The alert, as `condord alerts` shows it.", autocompletion=completion.alert_ids
        ),
    ],
    *,
    url: options.Url = None,
) -> None:
    """Acknowledge an alert, which ends its repeats.

    It keeps firing until it resolves.
    """
    daemon = find_daemon(url or options.parent_url(context), os.environ)
    with progress(f"waiting for {daemon.address.url}"):
        daemon.acknowledge(alert_id)
    write_stdout(f"acknowledged {plain(alert_id)}\n")


@alerts.command("test")
def send_test(
    context: typer.Context,
    channel: Annotated[
        str,
        typer.Argument(metavar="CHANNEL", help="The name of a [[notify]].", autocompletion=completion.channels),
    ],
    *,
    url: options.Url = None,
) -> None:
    """Send one test message to a channel.

    It shows how the channel answered. The exit code is 1 if it did not accept the message, or is disabled.
    """
    daemon = find_daemon(url or options.parent_url(context), os.environ)
    with progress(f"waiting for {plain(channel)} to answer"):
        answer = decoded(daemon.test_channel(channel), ChannelTestJson)
        channels = decoded(daemon.alerts(), AlertsJson).channels if answer.ok else []
    status = "" if answer.status is None else f" ({answer.status})"
    write_stdout(f"{plain(channel)}: {'accepted' if answer.ok else 'not accepted'}{status}: {plain(answer.text)}\n")
    if not answer.ok:
        raise NotDelivered(plain(channel), channel_remedy(answer.status))
    if any(each.name == channel and each.disabled for each in channels):
        raise ChannelDisabled(plain(channel))
