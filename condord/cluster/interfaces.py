"""The interface between a source of events and what takes them, and the answers of a source."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from condord.live.replica import LostCode, SourceEvent


class EventSink(Protocol):
    """Takes the events of a source, in the running loop."""

    @property
    def resume_version(self) -> str | None:
        """The id of the last event that was taken, to resume after; None if a snapshot is needed."""

    @property
    def needs_snapshot(self) -> bool:
        """Whether there is a gap, after which only a snapshot is taken."""

    @property
    def is_lost(self) -> bool:
        """Whether `lose` was called, and no event with a status has been taken since."""

    def begin(self) -> None:
        """Note that a connection begins, whose events follow `resume_version`."""

    def take(self, event: SourceEvent) -> None:
        """Take the next event.

        Raises:
            UnreadableEvent: it cannot be decoded.
        """

    def lose(self, reason: str, code: LostCode = "sourceLost") -> None:
        """Note that the source is lost, until an event brings its status. A second call replaces both arguments."""


class Answer(NamedTuple):
    """An answer of the source, to be passed back unchanged. The names of its `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
