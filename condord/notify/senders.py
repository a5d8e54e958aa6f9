"""The senders that the daemon uses: webhooks by HTTP, and Apprise in child processes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from condord.notify import webhook
from condord.notify.apprise_process import AppriseProcesses
from condord.notify.channel import Channel
from condord.notify.messages import Note, WebhookRequest
from condord.notify.outcome import Outcome


class RealSenders:
    """Send for real. `machine_at` is the machine's clock, which goes into the time of a webhook."""

    def __init__(
        self, network: webhook.WebhookNetwork, environ: Mapping[str, str], *, machine_at: Callable[[], dt.datetime]
    ) -> None:
        self._network = network
        self._machine_at = machine_at
        self._processes = AppriseProcesses(environ)

    def webhook(self, channel: Channel, request: WebhookRequest) -> Outcome:
        """Send a webhook; this blocks."""
        return webhook.post(self._network, channel, request, self._machine_at())

    def apprise(self, channel: Channel, note: Note) -> Outcome:
        """Send an Apprise message; this blocks."""
        return self._processes.send(channel, note)

    def stop(self) -> None:
        """Kill the child processes, and start no others."""
        self._processes.stop()
