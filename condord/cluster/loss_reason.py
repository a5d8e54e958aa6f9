"""Give the reason for which nothing comes from the leader on the bus, for one loss at a time. No I/O, no clock."""

from __future__ import annotations

from nats.errors import NoRespondersError

NO_OTHER_LEADER = "this ingester does not lead any longer, and nothing has come from another leader"
"""The reason if this ingester was the last leader."""


class LossReason:
    """The reason for the current loss, or for the last one.

    `finding` is the result of the last attempt to reach the leader; None if it found nothing, or got no answer.
    `has_followed` is whether any leader was followed, or this process has led. A `leader` is the name of the newest
    leader, empty before its first frame.
    """

    def __init__(self) -> None:
        self.finding: str | None = None
        self.has_followed = False
        self._own_name = ""
        self._lost_leader = ""

    def begin(self, leader: str) -> None:
        """Note that a loss begins: nothing that was found before is its reason."""
        self.finding, self._lost_leader = None, leader

    def lose(self, leader: str) -> None:
        """Note the leader that is lost; the finding of the last attempt remains."""
        self._lost_leader = leader

    def find(self, finding: str | None) -> None:
        """Note what an attempt to reach the leader has found; None if what was found before does not count now."""
        self.finding = finding

    def note_followed(self) -> None:
        """Note that a leader is followed."""
        self.has_followed = True

    def note_own_term(self, name: str) -> None:
        """Note that this process leads, as `name`."""
        self._own_name, self.has_followed = name, True

    def note_failure(self, error: Exception) -> None:
        """Note why an attempt has failed. A missing answer adds nothing to the fact that no events come."""
        cause = error.__cause__
        is_silent = isinstance(cause, TimeoutError) or (self.has_followed and isinstance(cause, NoRespondersError))
        self.finding = None if is_silent else str(error)

    def text(self, leader: str) -> str:
        """Return the reason as a clause."""
        if self.finding is not None:
            return self.finding
        if not self.has_followed:
            return "the leader has not answered yet"
        if leader and leader != self._lost_leader:
            return f"{leader} leads now, and has not answered yet"
        if leader and leader == self._own_name:
            return NO_OTHER_LEADER
        return f"{self._lost_leader or 'the leader'} sends no events"
