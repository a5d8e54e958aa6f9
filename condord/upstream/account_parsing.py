"""Parse the account's balances, and today's transfers and fills.

Transfers and fills are rows of `GET /v2/account/activities`, where fills appear at once. Rows that cannot be read are
counted. A sum of transfers in which one is missing is not known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from condord.core import occ
from condord.core.account_summary import AccountSummary
from condord.core.day_pl import DayFill
from condord.core.market_hours import exchange_day, start_of_day
from condord.errors import SymbolError
from condord.live import wire
from condord.upstream import rest_parsing
from condord.upstream.interfaces import FillPage

ROWS_PER_PAGE = 100

_TRANSFER_SIGNS = {"CSD": 1, "CSW": -1, "JNLC": None}
"""Deposits, withdrawals, and journals of cash, whose amount is signed."""
_TRANSFER_REACH = dt.timedelta(days=2)
"""How far back transfers are asked for: `after` may count from midnight in UTC, or from when a row was written."""
_CANCELED = "canceled"
_FILL_SIGNS = {"buy": 1, "sell": -1}
"""The sign by the first word of the side, as there are several kinds of sales: `sell_short`."""


def account_summary(answer: object, read_at: dt.datetime, refuse: rest_parsing.Refuse) -> AccountSummary:
    """The balances in the answer of `GET /v2/account`, which arrived at `read_at`.

    Raises:
        TypeError: the answer is not an object.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"the account came as {type(answer).__name__}, not as an object")

    def balance_e4(name: str) -> int | None:
        amount_e4 = rest_parsing.e4(rest_parsing.number(answer.get(name)))
        if amount_e4 is None and answer.get(name) is not None:
            refuse("balance")
        return amount_e4

    return AccountSummary(
        read_at=read_at,
        equity_e4=balance_e4("equity"),
        last_equity_e4=balance_e4("last_equity"),
        cash_e4=balance_e4("cash"),
        buying_power_e4=balance_e4("buying_power"),
        options_buying_power_e4=balance_e4("options_buying_power"),
        maintenance_margin_e4=balance_e4("maintenance_margin"),
    )


def transfers_query(day: dt.date) -> dict[str, str]:
    """The query of `GET /v2/account/activities` for the transfers of `day` and of a little before it."""
    return _query(",".join(_TRANSFER_SIGNS), start_of_day(day) - _TRANSFER_REACH)


def transfers_e4(answer: object, day: dt.date, refuse: rest_parsing.Refuse) -> int | None:
    """The sum of the transfers of `day` in 1e-4 dollars; None if one cannot be read, or if the page is full.

    Raises:
        TypeError: the answer is not a list.
    """
    listed, rows = _rows(answer, "transferRow", refuse)
    amounts = [_transfer_e4(row, refuse) for row in rows if _is_of(row, day)]
    known = [amount for amount in amounts if amount is not None]
    is_whole = len(rows) == listed < ROWS_PER_PAGE and len(known) == len(amounts)
    return sum(known) if is_whole else None


def _is_of(row: Mapping[str, object], day: dt.date) -> bool:
    """Whether a row may be a transfer of `day` that was carried out; one without a date may be."""
    if rest_parsing.text(row.get("activity_type")) not in _TRANSFER_SIGNS:
        return False
    created_at = rest_parsing.instant(row.get("created_at"))
    dated = rest_parsing.date_of(row.get("date")) or (created_at and exchange_day(created_at))
    return dated in (day, None) and rest_parsing.text(row.get("status")) != _CANCELED


def _transfer_e4(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> int | None:
    amount_e4 = rest_parsing.e4(rest_parsing.number(row.get("net_amount")))
    is_dated = row.get("date") is not None or row.get("created_at") is not None
    if amount_e4 is None or not is_dated:
        refuse("transferRow")
        return None
    sign = _TRANSFER_SIGNS[str(row.get("activity_type"))]
    return amount_e4 if sign is None else sign * abs(amount_e4)


def fills_query(after: dt.datetime, token: str | None) -> dict[str, str]:
    """The query of `GET /v2/account/activities` for a page of fills after an instant and the activity id `token`."""
    return _query("FILL", after) | ({"page_token": token} if token else {})


def fills(answer: object, day: dt.date, refuse: rest_parsing.Refuse) -> FillPage:
    """The fills of options on `day` in a page of activities. Those of stocks are skipped.

    Raises:
        TypeError: the answer is not a list.
    """
    listed, rows = _rows(answer, "fillRow", refuse)
    read = [fill for row in rows if (fill := _fill(row, refuse)) is not None]
    return FillPage(
        fills={id_: fill for id_, fill in read if exchange_day(fill.at) == day},
        last_id=next((id_ for row in reversed(rows) if (id_ := rest_parsing.text(row.get("id"))) is not None), None),
        is_full=listed >= ROWS_PER_PAGE,
    )


def _fill(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> tuple[str, DayFill] | None:
    try:
        symbol = occ.parse(row.get("symbol")).compact
    except SymbolError:
        return None
    id_, at = rest_parsing.text(row.get("id")), rest_parsing.instant(row.get("transaction_time"))
    count, price_e6 = rest_parsing.number(row.get("qty")), rest_parsing.e6(rest_parsing.number(row.get("price")))
    sign = _FILL_SIGNS.get((rest_parsing.text(row.get("side")) or "").partition("_")[0])
    is_whole = count is not None and count == count.to_integral_value()
    if id_ is None or at is None or price_e6 is None or sign is None or count is None or not is_whole:
        refuse("fillRow")
        return None
    order_id = rest_parsing.text(row.get("order_id"))
    return id_, DayFill(symbol=symbol, quantity=sign * abs(int(count)), price_e6=price_e6, at=at, order_id=order_id)


def _query(kinds: str, after: dt.datetime) -> dict[str, str]:
    return {
        "activity_types": kinds,
        "after": after.isoformat().replace("+00:00", "Z"),
        "direction": "asc",
        "page_size": str(ROWS_PER_PAGE),
    }


def _rows(answer: object, kind: wire.Refusal, refuse: rest_parsing.Refuse) -> tuple[int, list[Mapping[str, object]]]:
    """How many rows an answer has, and those that are objects; the others are counted as `kind`."""
    if not isinstance(answer, list):
        raise TypeError(f"activities came as {type(answer).__name__}, not as a list")
    rows = [row for row in answer if isinstance(row, Mapping)]
    for _ in range(len(answer) - len(rows)):
        refuse(kind)
    return len(answer), rows
