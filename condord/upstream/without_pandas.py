"""The parts of alpaca-py that import pandas, imported without it.

alpaca-py imports pandas, and with it numpy, only for the data frames of its models, which nothing here asks for. They
take a third of the time to start, and 45 MB in each process. Code that does ask for one imports pandas with that.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class _Deferred(ModuleType):
    """A module that is imported when an attribute of it is first used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks for them
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _deferred(**needed: tuple[str, ...]) -> Iterator[None]:
    """Defer the imports of modules; `needed` are the names that are imported from each, all for annotations.

    A module that is imported already remains.
    """
    absent = [_Deferred(name) for name in needed if name not in sys.modules]
    for module in absent:
        vars(module).update(dict.fromkeys(needed[module.__name__], object))
        sys.modules[module.__name__] = module
    try:
        yield
    finally:
        for module in absent:
            del sys.modules[module.__name__]
            for name in needed[module.__name__]:
                delattr(module, name)


with _deferred(pandas=("DataFrame",), numpy=()):
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.option import OptionHistoricalDataClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import QueryOrderStatus
    from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest

__all__ = [
    "CorporateActionsClient",
    "GetCalendarRequest",
    "GetOrdersRequest",
    "OptionHistoricalDataClient",
    "QueryOrderStatus",
    "StockHistoricalDataClient",
    "TradingClient",
]
