"""Check the notification channels: each gets one test message, as `condord alerts test` sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from condord.check.report import Check, Name, fail, ok
from condord.check.schedule import Probe
from condord.errors import ConfigError
from condord.live.channel_remedies import channel_remedy
from condord.live.wire_alerts import ChannelTestJson
from condord.notify.channel import Channel

_NAME: Name = "channels"


class Tester(Protocol):
    """Sends test messages, with the delivery that the daemon uses."""

    async def test(self, name: str) -> ChannelTestJson | None:
        """Send a test message to a channel, and return how it was answered; None for an unknown channel."""
        ...


class ChannelProbes:
    """The probe of the channels.

    `read` returns them and raises ConfigError; it is called in the probe, as it may fail like `config-valid`. `tester`
    opens what sends to these channels.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[Channel]],
        tester: Callable[[Sequence[Channel]], AbstractContextManager[Tester]],
    ) -> None:
        self._read = read
        self._tester = tester

    @property
    def probes(self) -> dict[Name, Probe]:
        """The probe of each check."""
        return {_NAME: self._channels}

    async def _channels(self) -> Check:
        try:
            channels = self._read()
        except ConfigError as error:
            return fail(_NAME, str(error), error.hint, error.exit_code)
        if not channels:
            return ok(_NAME, "no channel is configured, so alerts are not sent")
        names = [channel.name for channel in channels]
        with self._tester(channels) as tester:
            answers = await asyncio.gather(*map(tester.test, names))
        failed = [
            (name, answer) for name, answer in zip(names, answers, strict=True) if answer is None or not answer.ok
        ]
        if not failed:
            return ok(_NAME, f"a test message was accepted by {', '.join(names)}")
        return fail(
            _NAME,
            "\n".join(f"{name}: {answer.text if answer else 'it is not known'}" for name, answer in failed),
            _advice([(name, channel_remedy(answer.status if answer else None)) for name, answer in failed]),
        )


def _advice(remedies: Sequence[tuple[str, str]]) -> str:
    """Return the remedies, with the names of the channels if they differ."""
    names_of: dict[str, list[str]] = {}
    for name, remedy in remedies:
        names_of.setdefault(remedy, []).append(name)
    if len(names_of) == 1:
        return next(iter(names_of))
    return " ".join(f"{', '.join(names)}: {remedy}" for remedy, names in names_of.items())
