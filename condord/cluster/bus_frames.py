"""The names of subjects, headers and keys on the bus, which all versions of condord on one bus share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FENCE, KIND, VERSION, BASE, LEADER, FAULT, ANSWER = "Fence", "Kind", "Version", "Base", "Leader", "Fault", "Answer"
NOT_EXECUTED = "Undone"
"""Added to a fault: the request was certainly not carried out."""

STATE_BUCKET = "condord"
"""The bucket with the state for the next leader; its keys begin with the account."""
SNAPSHOTS = "condord-snapshots"
"""The bucket of what a relay may read, too, as the permissions of NATS are by bucket: a snapshot of each account."""


class FrameHead(NamedTuple):
    """The headers of a frame.

    `fence` and `leader` are the fence and the name of the leader that sent it, `kind` is the name of its event.
    `version` is the id of its event; an event without one has the newest id. `base` is the number of the event before
    it, None for the first.
    """

    fence: int
    kind: str
    version: str = ""
    base: int | None = None
    leader: str = ""

    @property
    def epoch(self) -> str:
        """The epoch of its version."""
        return self.version.rpartition("-")[0]

    @property
    def number(self) -> int:
        """The number of its version; -1 without one."""
        number = self.version.rpartition("-")[2]
        return int(number) if _is_number(number) else -1

    def headers(self) -> dict[str, str]:
        """The headers to send."""
        found = {FENCE: str(self.fence), KIND: self.kind}
        optional = {VERSION: self.version, BASE: "" if self.base is None else str(self.base), LEADER: self.leader}
        return found | {name: value for name, value in optional.items() if value}


def head_of(headers: Mapping[str, str]) -> FrameHead | None:
    """Return the headers of a frame; None if the message is not a frame."""
    fence, kind, base = headers.get(FENCE, ""), headers.get(KIND, ""), headers.get(BASE, "")
    if not (_is_number(fence) and kind and (not base or _is_number(base))):
        return None
    return FrameHead(int(fence), kind, headers.get(VERSION, ""), int(base) if base else None, headers.get(LEADER, ""))


def fence_of(headers: Mapping[str, str]) -> int | None:
    """Return the fence of an answer; None without one."""
    fence = headers.get(FENCE, "")
    return int(fence) if _is_number(fence) else None


def frames_subject(account: str) -> str:
    """The subject that the leader publishes to."""
    return f"condord.{account}.frames"


def resume_subject(account: str) -> str:
    """The subject for requests to the leader for the events after a version."""
    return f"condord.{account}.resume"


def ask_subject(account: str) -> str:
    """The subject for requests that only the leader can answer."""
    return f"condord.{account}.ask"


def state_key(account: str, kind: str) -> str:
    """The key under which the leader keeps one kind of its state."""
    return f"{account}.state.{kind}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
