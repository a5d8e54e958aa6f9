"""Numbers in memory that several processes share. Each process writes only its own numbers, and reads all.

They are the subscribers of a process, the connections that it was handed and has closed, and its beats, which rise
while its event loop runs.

A number is eight aligned bytes, which the processor writes at once. So there is no lock that a stopped process could
hold.
"""

from __future__ import annotations

import mmap
import os
from typing import Literal, Self

Name = Literal["subscribers", "gone", "beats"]

_NAMES: tuple[Name, ...] = ("subscribers", "gone", "beats")
_ITEM_BYTES = 8
_ROW_BYTES = 64
"""A row of its own for each process, as long as a line of the processor's cache."""


class SharedCounts:
    """The numbers of `processes`, all 0 at first. `descriptor` is inherited by the processes that share them."""

    def __init__(self, descriptor: int, processes: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, processes * _ROW_BYTES)
        self._items = memoryview(self._memory).cast("q")
        self.processes = processes

    @classmethod
    def create(cls, processes: int) -> Self:
        """New shared memory.

        Raises:
            OSError: the system has none.
        """
        descriptor = os.memfd_create("condord-counts", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, processes * _ROW_BYTES)
        return cls(descriptor, processes)

    def get(self, process: int, name: Name) -> int:
        """A number of one process."""
        return self._items[_place(process, name)]

    def set(self, process: int, name: Name, value: int) -> None:
        """Replace a number of one process."""
        self._items[_place(process, name)] = value

    def clear(self, process: int) -> None:
        """Set all numbers of one process to 0."""
        for name in _NAMES:
            self.set(process, name, 0)

    def total(self, name: Name) -> int:
        """The sum over all processes."""
        return sum(self.get(process, name) for process in range(self.processes))

    def close(self) -> None:
        """Release the memory, and close the descriptor."""
        self._items.release()
        self._memory.close()
        os.close(self.descriptor)


class SharedSlots:
    """Slots for subscribers that the processes of `counts` share; `process` is this one.

    A process counts itself before it looks at the total. So if two take the last place at once, both may be refused,
    but never both admitted.
    """

    def __init__(self, counts: SharedCounts, process: int) -> None:
        self._counts = counts
        self._process = process

    def take(self, own: int, most: int) -> bool:
        """Reserve a slot beside the `own` subscribers of this process, if all processes have under `most`."""
        self.note(own + 1)
        if self._counts.total("subscribers") <= most:
            return True
        self.note(own)
        return False

    def note(self, own: int) -> None:
        """Replace the number of subscribers of this process."""
        self._counts.set(self._process, "subscribers", own)

    def note_gone(self, connections: int) -> None:
        """Replace the number of connections that were closed."""
        self._counts.set(self._process, "gone", connections)


def _place(process: int, name: Name) -> int:
    return process * (_ROW_BYTES // _ITEM_BYTES) + _NAMES.index(name)
