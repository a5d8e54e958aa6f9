"""The job of a front: an ingester that takes part in the election on a bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from condord.daemon.followed_front import FollowedFront
from condord.daemon.relay import Relay, RelayInputs, RelayParts


class Front(Relay):
    """A relay that may lead. `followed` is the source of the relay of `parts`."""

    def __init__(self, inputs: RelayInputs, parts: RelayParts, followed: FollowedFront) -> None:
        super().__init__(inputs, parts)
        self._view = parts.view
        self._followed = followed

    @property
    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until the stop."""
        followed = self._followed
        return {
            "the follower": followed.run,
            "the next maker": followed.ready.run,
            "the publisher": followed.publisher.run,
        }

    @property
    def writers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until the maker has ended and the lease has been given back."""
        followed = self._followed
        return {
            "the bus": followed.bus.run,
            "the answers": followed.answers.run,
            "the leadership": followed.leadership.run,
            "the history": followed.history.run,
        }

    def status_text(self) -> str:
        """Whether this process leads, and the state of the option stream, or why there is none."""
        return f"{self._view.cluster.role}, {super().status_text()}"

    def reload(self) -> None:
        """Apply the changes that drop no subscriber, here and in the maker; logs the result."""
        super().reload()
        self._followed.term.reload()

    async def finish(self) -> None:
        """End the maker gracefully, and give the lease back, so that another ingester leads at once.

        Minutes recorded while standing by are stored.
        """
        await self._followed.leadership.leave()
        await self._followed.history.release()
