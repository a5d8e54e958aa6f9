"""The stored data of the account: its profit and loss by the minute, its activities and its trades."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from condord.daemon.grouper import Grouper
from condord.daemon.recorder import Recorder
from condord.daemon.shared_extremes import SharedExtremes
from condord.daemon.trade_book import TradeBook
from condord.history.store import HistoryStore
from condord.live.minutes import RecordedPast

FILE_NAME = "history.sqlite3"


class RecordedAccount:
    """The database in the directory `state` (None: nothing is stored), its writers and its readers.

    `source` is the environment of the account. `machine_at` is the machine's clock, and `now_at` the exchange's (UTC).
    `recall` gets the recorded past of each account, unless `is_enabled` is false. `shared` has the extremes that other
    ingesters have recorded.
    """

    def __init__(
        self,
        state: Path | None,
        *,
        source: str,
        is_enabled: bool,
        keep_days: Callable[[], int],
        recall: Callable[[RecordedPast], None],
        machine_at: Callable[[], dt.datetime],
        now_at: Callable[[], dt.datetime],
        shared: SharedExtremes | None = None,
    ) -> None:
        path = None if state is None else state / FILE_NAME
        self.store = HistoryStore(path, machine_at=machine_at, keep_days=keep_days)
        self.recorder = Recorder(self.store, source=source, now_at=now_at, is_enabled=is_enabled, shared=shared)
        self._worker = Grouper("trades")
        self.trade_book = TradeBook(
            self.store,
            switch=self.recorder.switch_to,
            recall=recall if is_enabled else _forget,
            work=self._worker.run,
            now_at=now_at,
        )

    def close(self) -> None:
        """Close the database and end the threads, after their current work."""
        self._worker.close()
        self.store.close()


def _forget(_past: RecordedPast) -> None:
    """Ignore what an earlier run with `history.enabled` recorded."""
