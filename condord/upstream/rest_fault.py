"""The one exception that every REST call raises."""

from __future__ import annotations

from condord.live.remedies import with_remedy


class RestFault(Exception):
    """A REST call failed: a public code, what happened, and what a person can do.

    `may_retry`: the same call may succeed soon. `is_outage`: it counts for the breaker. `wait_seconds`: the wait that
    Alpaca asked for, or None.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        may_retry: bool,
        is_outage: bool = True,
        wait_seconds: float | None = None,
        remedy: str = "",
    ) -> None:
        self.code = code
        self.text = text
        self.remedy = remedy
        self.may_retry = may_retry
        self.is_outage = is_outage
        self.wait_seconds = wait_seconds
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """The text and the remedy as one sentence."""
        return with_remedy(self.text, self.remedy)
