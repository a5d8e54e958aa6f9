"""Split a stream of Server-Sent Events into blocks, and read what a relay needs of each.

A block is passed on as it came, except for `retry:`, which belongs to the first event of a connection.
"""

from __future__ import annotations

from condord.client.sse import MAX_EVENT_BYTES
from condord.live.replica import SourceEvent, UnreadableEvent

_END = b"\n\n"
_RESYNC = b": resync, "


class EventBlocks:
    """Finds the events in chunks of bytes that may be split anywhere. It does no I/O."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[SourceEvent]:
        """Return the events that `chunk` completes.

        Raises:
            UnreadableEvent: one of them is larger than any event of a condord.
        """
        # The end of a block may be split between two chunks.
        if self._parts and self._parts[-1].endswith(b"\n") and chunk.startswith(b"\n"):
            self._parts[-1] = self._parts[-1][:-1]
            chunk = b"\n" + chunk
        *blocks, rest = chunk.split(_END)
        if not blocks:
            self._keep(rest)
            return []
        blocks[0] = b"".join([*self._parts, blocks[0]])
        self._parts, self._size = [], 0
        self._keep(rest)
        return [event for block in blocks if (event := _event(block)) is not None]

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise UnreadableEvent(f"the stream sent an event of more than {MAX_EVENT_BYTES} bytes")


def _event(block: bytes) -> SourceEvent | None:
    """Read one block; None for one without data, such as a comment."""
    name, identity, resync = "", None, None
    data: list[bytes] = []
    kept: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b": ")
        if field == b"retry":
            continue
        kept.append(line)
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"id":
            identity = value.decode(errors="replace")
        elif line.startswith(_RESYNC):
            resync = line.removeprefix(_RESYNC).decode(errors="replace")
    if not data:
        return None
    return SourceEvent(name, identity, b"\n".join(data), b"\n".join(kept) + _END, resync)
