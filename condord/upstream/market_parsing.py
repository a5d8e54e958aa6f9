"""Parse what Alpaca's data API returns about underlyings, and its own figures of options.

A bad row never affects the others: it is left out, and `refuse` is called with its kind, to count it. So is a bad part
of a stock's snapshot, whose other parts still count.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Literal

from condord.core import occ
from condord.core.dividend import Dividend
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.model.figures import OptionSnapshot
from condord.core.quote import Tick
from condord.core.underlying import Bar, IndexValue, StockSnapshot, StockTrade
from condord.errors import SymbolError
from condord.upstream import rest_parsing
from condord.upstream.interfaces import ClosePage

_PARTS = ("latestQuote", "latestTrade", "dailyBar", "prevDailyBar")
_GREEKS = ("delta", "gamma", "theta", "vega")
_DAY = dt.timedelta(days=1)
_SECOND = dt.timedelta(seconds=1)
BARS_PER_PAGE = 1000
"""How many bars a page may have, so that an answer stays within the limits of `bodies`."""
_MAX_TOKEN = 512


def stock_snapshots(answer: object, refuse: rest_parsing.Refuse) -> list[StockSnapshot]:
    """The snapshots of `GET /v2/stocks/snapshots`. A stock that Alpaca does not know has none, or null.

    Raises:
        TypeError: the answer is not a map.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"stock snapshots came as {type(answer).__name__}, not as a map")
    read = [_stock_snapshot(symbol, row, refuse) for symbol, row in answer.items() if row is not None]
    return [snapshot for snapshot in read if snapshot is not None]


def _stock_snapshot(symbol: object, row: object, refuse: rest_parsing.Refuse) -> StockSnapshot | None:
    name = rest_parsing.text(symbol)
    if name is None or not isinstance(row, Mapping):
        refuse("stockSnapshotRow")
        return None
    snapshot = StockSnapshot(
        symbol=name,
        quote=_quote(name, row.get("latestQuote")),
        trade=_trade(row.get("latestTrade")),
        today=_bar(row.get("dailyBar")),
        before=_bar(row.get("prevDailyBar")),
    )
    read = (snapshot.quote, snapshot.trade, snapshot.today, snapshot.before)
    for part, value in zip(_PARTS, read, strict=True):
        if value is None and row.get(part) is not None:
            refuse("stockSnapshotRow")
    return snapshot


def _quote(symbol: str, row: object) -> Tick | None:
    quote = rest_parsing.tick(symbol, row)
    return quote if quote is not None and quote.is_sane else None


def _trade(row: object) -> StockTrade | None:
    price_e4, at = _price_at(row, "p")
    return None if price_e4 is None or at is None else StockTrade(price_e4=price_e4, at=at)


def _bar(row: object) -> Bar | None:
    """A daily bar. Its time is midnight in New York."""
    close_e4, at = _price_at(row, "c")
    return None if close_e4 is None or at is None else Bar(day=exchange_day(at), close_e4=close_e4)


def _price_at(row: object, name: str) -> tuple[int | None, dt.datetime | None]:
    """The price under `name`, above zero, in 1e-4 dollars, and the time of a row; each None if it cannot be read."""
    if not isinstance(row, Mapping):
        return None, None
    price_e4 = rest_parsing.e4(rest_parsing.number(row.get(name)))
    return price_e4 if price_e4 is not None and price_e4 > 0 else None, rest_parsing.instant(row.get("t"))


def index_values(answer: object, refuse: rest_parsing.Refuse) -> list[IndexValue]:
    """The values of `GET /v1beta1/indices/latest/values`.

    Raises:
        TypeError: the answer has no map of values.
    """
    return [value for item in _items(answer, "values") if (value := _index_value(*item, refuse)) is not None]


def _index_value(symbol: object, row: object, refuse: rest_parsing.Refuse) -> IndexValue | None:
    name, (value_e4, at) = rest_parsing.text(symbol), _price_at(row, "v")
    if name is None or value_e4 is None or at is None:
        refuse("indexRow")
        return None
    return IndexValue(symbol=name, value_e4=value_e4, at=at)


def option_snapshots(answer: object, refuse: rest_parsing.Refuse) -> list[OptionSnapshot]:
    """Alpaca's figures in `GET /v1beta1/options/snapshots`; contracts without any figure are left out.

    Raises:
        TypeError: the answer has no map of snapshots.
    """
    return [snapshot for item in _items(answer, "snapshots") if (snapshot := _option_snapshot(*item, refuse))]


def _option_snapshot(symbol: object, row: object, refuse: rest_parsing.Refuse) -> OptionSnapshot | None:
    try:
        compact = occ.parse(symbol).compact
    except SymbolError:
        compact = ""
    if not compact or not isinstance(row, Mapping):
        refuse("optionSnapshotRow")
        return None
    quote, figures = row.get("latestQuote"), _figures(row, refuse)
    if not figures:
        return None
    at = rest_parsing.instant(quote.get("t")) if isinstance(quote, Mapping) else None
    return OptionSnapshot(
        symbol=compact,
        at=at,
        iv=figures.get("iv"),
        delta=figures.get("delta"),
        gamma=figures.get("gamma"),
        theta=figures.get("theta"),
        vega=figures.get("vega"),
    )


def _figures(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> dict[str, float]:
    """The volatility and the greeks that a row has; one that cannot be read is counted."""
    listed = row.get("greeks")
    greeks = listed if isinstance(listed, Mapping) else {}
    given = {"iv": row.get("impliedVolatility"), **{name: greeks.get(name) for name in _GREEKS}}
    read = {name: rest_parsing.number(value) for name, value in given.items() if value is not None}
    if None in read.values() or (listed is not None and not isinstance(listed, Mapping)):
        refuse("optionSnapshotRow")
    return {name: float(value) for name, value in read.items() if value is not None}


def _items(answer: object, name: Literal["values", "snapshots"]) -> list[tuple[object, object]]:
    rows = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(rows, Mapping):
        raise TypeError(f"{name} came in {type(answer).__name__}, not in a map")
    return list(rows.items())


def dividends_query(symbols: Iterable[str], start: dt.date, end: dt.date) -> dict[str, str]:
    """The query of `GET /v1/corporate-actions` for dividends processed from `start` to `end`, both included."""
    return {
        "symbols": ",".join(symbols),
        "types": "cash_dividend",
        "start": start.isoformat(),
        "end": end.isoformat(),
        "limit": "1000",
    }


def dividends(answer: object, refuse: rest_parsing.Refuse) -> list[Dividend]:
    """The cash dividends of `GET /v1/corporate-actions`, by ex-date.

    Raises:
        TypeError: the answer contains no object of corporate actions.
    """
    actions = answer.get("corporate_actions") if isinstance(answer, Mapping) else None
    if not isinstance(actions, Mapping):
        raise TypeError(f"corporate actions came in {type(answer).__name__}, not in a map")
    listed = actions.get("cash_dividends") or ()
    rows = listed if isinstance(listed, list | tuple) else (listed,)
    read = [dividend for row in rows if (dividend := _dividend(row, refuse)) is not None]
    return sorted(read, key=lambda dividend: (dividend.ex_date, dividend.symbol))


def day_bars_query(symbols: Iterable[str], start: dt.date, end: dt.date, token: str | None) -> dict[str, str]:
    """The query of `GET /v2/stocks/bars` for a page of the days from `start` to `end`, both included.

    The feed is `sip`, as only it has the official close. Without a subscription, `sip` may be asked for what is older
    than 15 minutes, so `end` must be a day before today.
    """
    return {
        "symbols": ",".join(symbols),
        "timeframe": "1Day",
        # A bar bears the midnight in New York that begins its day.
        "start": _written(start_of_day(start)),
        "end": _written(start_of_day(end + _DAY) - _SECOND),
        "adjustment": "raw",
        "feed": "sip",
        "limit": str(BARS_PER_PAGE),
        **({"page_token": token} if token else {}),
    }


def _written(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def day_closes(answer: object, refuse: rest_parsing.Refuse) -> ClosePage:
    """The closes in a page of `GET /v2/stocks/bars?timeframe=1Day`. A stock without bars may be absent, or null.

    Raises:
        TypeError: the answer has no map of bars.
    """
    bars = answer.get("bars") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(bars, Mapping):
        raise TypeError(f"bars came in {type(answer).__name__}, not in a map")
    closes_e4: dict[tuple[str, dt.date], int] = {}
    for name, listed in bars.items():
        for bar in listed if isinstance(listed, list) else ([] if listed is None else [listed]):
            symbol, read = rest_parsing.text(name), _bar(bar)
            if symbol is None or read is None:
                refuse("dayBarRow")
            else:
                closes_e4[symbol, read.day] = read.close_e4
    token = answer.get("next_page_token")
    is_usable = isinstance(token, str) and 0 < len(token) <= _MAX_TOKEN and token.isprintable()
    return ClosePage(closes_e4=closes_e4, next_token=str(token) if is_usable else None)


def _dividend(row: object, refuse: rest_parsing.Refuse) -> Dividend | None:
    given: Mapping[str, object] = row if isinstance(row, Mapping) else {}
    symbol, day = rest_parsing.text(given.get("symbol")), rest_parsing.date_of(given.get("ex_date"))
    amount_e6 = rest_parsing.e6(rest_parsing.number(given.get("rate")))
    if symbol is None or day is None or amount_e6 is None or amount_e6 <= 0:
        refuse("dividendRow")
        return None
    return Dividend(symbol=symbol, ex_date=day, amount_e6=amount_e6, source="alpaca")
