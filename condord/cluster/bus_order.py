"""Order the frames of the bus: pass on those that follow, drop stale ones, and notice gaps. No I/O, no clock.

The bus may lose a frame, deliver it twice, or deliver one from a former leader late. So each frame names the leader's
fence and the event before it. A frame with a lower fence is dropped, and so is one that is not newer than the last. A
frame that does not follow the last is held, with all after it, until the leader has sent what is missing.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

from condord.cluster.bus_frames import FrameHead
from condord.live.replica import LostCode, SourceEvent

LOST_SECONDS = 2.0
"""The leader or the bus counts as lost after this long without a frame that could be passed on."""
MAX_HELD = 4096
MAX_HELD_BYTES = 32 * 1024 * 1024

_KNOWN = frozenset({"snapshot", "delta", "alert", "heartbeat"})


class BusOrder:
    """The order of the frames of one account, from any leader.

    `fence` belongs to the newest leader and `leader` is its name, empty before its first frame. `version` is the id of
    the last event that was passed on, empty before the first. `is_behind`: something is missing, so frames are held.
    `gaps` counts how often frames were missing, and how often a snapshot had to replace what was missed in an outage.
    `dropped` counts frames that were late or came twice.
    """

    def __init__(self, now: float) -> None:
        self.fence = 0
        self.leader = ""
        self.version = ""
        self.is_behind = True
        self.gaps = 0
        self.dropped = 0
        self._epoch = ""
        self._number = -1
        self._has_gap = False
        self._fresh_at = now
        self._last_frame_at = now
        self._silent_until = now  # until then, the bus counts as lost although it is connected
        self._late_until = now  # until then, only an answer of the leader shows its state: frames may have waited
        self._held: collections.deque[tuple[FrameHead, SourceEvent]] = collections.deque()
        self._held_bytes = 0

    def restart(self, now: float, *, is_lost: bool = False) -> None:
        """Follow the bus again after a time in which it was not followed. The fence stays.

        `is_lost`: the bus is lost now, so nothing can be expected from it. If it is connected all the same, it does not
        answer, which ends the connection within `LOST_SECONDS`.
        """
        self.begin(now)
        self._fresh_at = now - LOST_SECONDS if is_lost else now
        self._silent_until = now + LOST_SECONDS if is_lost else now

    def begin(self, now: float) -> None:
        """Note that a connection begins; earlier frames may be missing."""
        self._last_frame_at = self._silent_until = now
        self.miss()

    def note_suspension(self, now: float, seconds: float) -> bool:
        """Note that this process did not run for `seconds`. True if the leader counts as lost until it has answered.

        A snapshot among the next frames is not an answer, as they have waited in the connection.
        """
        if max(seconds, now - self._fresh_at) < LOST_SECONDS:
            return False
        self._fresh_at = now - LOST_SECONDS
        self._last_frame_at, self._late_until = now, now + LOST_SECONDS
        self.miss()
        return True

    def miss(self) -> None:
        """Note that something is missing."""
        self.is_behind = True
        self._forget_held()

    def take(self, head: FrameHead, event: SourceEvent, now: float) -> list[SourceEvent]:
        """Take the next frame, and return the events to pass on; unknown kinds are ignored."""
        if head.fence < self.fence:
            self.dropped += 1
            return []
        if head.fence > self.fence:
            self._lead(head.fence)
        self.leader = head.leader or self.leader
        self._last_frame_at = now
        is_late = self.is_behind and now < self._late_until
        passed = self._take(head, event, is_late=is_late) or [] if head.kind in _KNOWN else []
        if not self.is_behind:
            self._fresh_at = now
        return passed

    def catch_up(self, fence: int, events: Sequence[SourceEvent], now: float) -> list[SourceEvent] | None:
        """Take the missing events after `version`, and return them with the held frames that follow it.

        None if the caller has to ask again: the answer is empty or comes from a former leader, or no frame has come for
        `LOST_SECONDS`. In that case nothing would follow the answer, and the leader would be lost again.
        """
        if fence < self.fence or not events or now - self._last_frame_at >= LOST_SECONDS:
            return None
        if fence > self.fence:
            self._lead(fence)
        is_restarted = events[0].resync is not None and (events[0].id or "").startswith(f"{self._epoch}-")
        self.gaps += is_restarted and not self._has_gap  # else the gap was counted when it was found
        self.is_behind = self._has_gap = False
        self._fresh_at = self._late_until = now
        passed = list(events)
        for event in events:
            self._advance(event)
        return passed + self._take_held()

    def show_stored(self, fence: int, event: SourceEvent) -> list[SourceEvent]:
        """Take a stored snapshot, to be shown until the leader answers; return it if it is newer than the shown one."""
        if fence < self.fence:
            return []
        if fence > self.fence:
            self._lead(fence)
        head = FrameHead(fence, "snapshot", event.id or "")
        if head.number < 0 or self._is_old(head):
            return []
        self._advance(event)
        return [event]

    def expect(self, fence: int, leader: str) -> None:
        """Drop frames with a lower fence than this one, under which `leader` leads."""
        if fence >= self.fence:
            self.fence, self.leader = fence, leader

    def start_over(self, fence: int) -> None:
        """Accept a lower fence: the bus has lost its state, and a new leader holds the lease on it."""
        self._lead(fence)

    def lost(self, now: float, *, is_connected: bool) -> LostCode | None:
        """Return the code of the loss, if there is one. From then on something is missing, at least the status."""
        if now - self._fresh_at < LOST_SECONDS:
            return None
        self.is_behind = True
        return "leaderLost" if is_connected and now >= self._silent_until else "busLost"

    def _lead(self, fence: int) -> None:
        """Note that another leader has begun: nothing follows the former leader's frames."""
        self.fence = fence
        self.leader = ""
        self.is_behind = True
        self._forget_held()

    def _take(self, head: FrameHead, event: SourceEvent, *, is_late: bool = False) -> list[SourceEvent] | None:
        """Return the events to pass on; None if the frame is held."""
        match head.kind:
            case "snapshot" if not is_late:
                return self._take_snapshot(head, event)
            case _ if not self.is_behind and self._is_old(head):
                self.dropped += 1
                return []
            case "delta" if not self.is_behind and head.epoch == self._epoch and head.base == self._number:
                self._advance(event)
                return [event]
            case "alert" | "heartbeat" if not self.is_behind and (head.epoch, head.number) == (
                self._epoch,
                self._number,
            ):
                return [event]
        self._hold(head, event)
        return None

    def _take_held(self) -> list[SourceEvent]:
        """Return the held frames that follow the leader's answer."""
        held = [*self._held]
        passed: list[SourceEvent] = []
        self._forget_held()
        for head, event in held:
            if self.is_behind:
                self._hold(head, event)
            elif not self._is_old(head):
                following = self._take(head, event)
                passed += following or []
                if following is None:
                    # `_take` has held it in vain: the leader's next answer will include it, or its epoch is over.
                    self._forget_held()
        return passed

    def _take_snapshot(self, head: FrameHead, event: SourceEvent) -> list[SourceEvent]:
        if self._is_old(head):
            self.dropped += 1
            return []
        self._forget_held()  # they are older than the snapshot
        self._advance(event)
        self.is_behind = self._has_gap = False
        return [event]

    def _hold(self, head: FrameHead, event: SourceEvent) -> None:
        if not self.is_behind:
            self.gaps += 1
            self.is_behind = self._has_gap = True
        if len(self._held) >= MAX_HELD or self._held_bytes + len(event.block) > MAX_HELD_BYTES:
            self._forget_held()  # without these, later frames cannot follow the leader's answer
        if head.kind != "heartbeat":
            self._held.append((head, event))
            self._held_bytes += len(event.block)

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    def _is_old(self, head: FrameHead) -> bool:
        """Whether this event or a later one was passed on.

        A snapshot or delta has its own number. Any other event has the number of the last snapshot or delta before it.
        """
        if head.epoch != self._epoch:
            return False
        has_id = head.kind in ("snapshot", "delta")
        return head.number <= self._number if has_id else head.number < self._number

    def _advance(self, event: SourceEvent) -> None:
        if event.id is not None:
            self.version = event.id
            epoch, _, number = event.id.rpartition("-")
            self._epoch, self._number = epoch, int(number) if number.isascii() and number.isdigit() else -1
