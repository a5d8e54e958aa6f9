"""Notices about contracts that are about to expire, or have expired.

From the start of its last trading day, each condor has a notice, and so has each expiry of the contracts in no condor:

| code           | applies to | from                              | until                        |
|----------------|------------|-----------------------------------|------------------------------|
| expiresToday   | PM-settled | midnight before the last trade    | the last trade               |
| lastTradingDay | AM-settled | midnight before the last trade    | midnight after it            |
| expired        | PM-settled | the last trade                    | contracts are not listed     |
| expired        | AM-settled | midnight after the last trade     | contracts are not listed     |

An AM-settled contract can still gain and lose between its last trade and its settlement, so the text then states
that it can no longer be traded. After the settlement it states that it awaits settlement, as brokers still list
contracts for a while. Contracts that are no longer listed keep their notice until the close of the session after the
settlement.

All of this follows from the calendar and the time, so notices are the same after a restart. Only contracts that were no
longer listed before the restart need the memory of the account.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from condord.core.calendar import DAY, Calendar
from condord.core.cutoffs import CutoffSettings, cutoffs
from condord.core.expiry import Ending, Expiry, ending_of, expiry_of, last_trading_day, style_of
from condord.core.grouping.account import Grouping
from condord.core.market_hours import exchange_day, start_of_day, wall_time
from condord.core.position import Position
from condord.live.notices import AccountNoticeCode, Notice

_AWAITS, _GONE = "expired, awaits settlement", "expired, no longer listed"


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    """A condor, or the contracts of one expiry that are in no condor; `count` is how many of them."""

    name: str
    condor_id: str | None
    count: int
    symbols: tuple[str, ...]
    expiry: Expiry


def endings(
    grouping: Grouping,
    calendar: Calendar,
    now_at: dt.datetime,
    before: Iterable[Notice],
    settings: CutoffSettings,
) -> list[Notice]:
    """The notices about `grouping` at `now_at`, by the exchange's clock; `before` contains the previous ones."""
    notices: list[Notice] = []
    listed: set[str] = set()
    for group in _groups(grouping):
        listed.update(group.symbols)
        ending = ending_of(group.expiry, calendar)
        notice = _notice(group, ending, trading_until(group.expiry, ending, calendar, settings, now_at), now_at)
        if notice is not None:
            notices.append(notice)
    for old in before:
        is_gone = old.code == "expired" and listed.isdisjoint(old.symbols)
        if is_gone and now_at < _dropped_at(old, calendar):
            notices.append(msgspec.structs.replace(old, text=old.text.replace(_AWAITS, _GONE)))
    return notices


def _groups(grouping: Grouping) -> list[_Group]:
    groups = [
        _Group(
            name=condor.id,
            condor_id=condor.id,
            count=condor.quantity,
            symbols=tuple(leg.symbol for leg in condor.legs),
            expiry=Expiry(condor.root, condor.underlying, condor.expiration),
        )
        for condor in grouping.condors
    ]
    by_expiry: dict[Expiry, list[Position]] = {}
    for leftover in grouping.unmatched:
        if (contract := leftover.position.contract) is not None:
            by_expiry.setdefault(expiry_of(contract, leftover.position.underlying), []).append(leftover.position)
    groups += [
        _Group(
            name=f"{expiry.root} {expiry.day}",
            condor_id=None,
            count=sum(abs(position.quantity or 0) for position in held),
            symbols=tuple(sorted(position.symbol for position in held)),
            expiry=expiry,
        )
        for expiry, held in sorted(by_expiry.items())
    ]
    return groups


def trading_until(
    expiry: Expiry, ending: Ending, calendar: Calendar, settings: CutoffSettings, now_at: dt.datetime
) -> str:
    """Until when contracts trade on their last day, and Alpaca's cut-offs before that as of `now_at`, if it has any."""
    ends = cutoffs(expiry, ending, style_of(expiry), calendar, settings)
    times = {end.kind: end.at for end in ends if end.source == "config"}
    until = f"trading ends at {wall_time(ending.last_trading_at)} ET"
    if not times:
        return until
    orders = "has taken no orders since" if times["orders"] <= now_at else "takes orders until"
    may = "at any time" if times["liquidation"] <= now_at else f"from {wall_time(times['liquidation'])}"
    return f"Alpaca {orders} {wall_time(times['orders'])} and may liquidate {may}, and {until}"


def _notice(group: _Group, ending: Ending, until: str, now_at: dt.datetime) -> Notice | None:
    """The notice about a group at `now_at`, if there is one."""
    day = last_trading_day(ending)
    if now_at < (since := start_of_day(day)):
        return None
    code: AccountNoticeCode
    if now_at >= ending.settles_at:
        code, text, since = "expired", _AWAITS, ending.settles_at
    elif now_at >= ending.last_trading_at:
        is_day_over = now_at >= start_of_day(day + DAY)
        code = "expired" if is_day_over else "lastTradingDay"
        text = f"can no longer be traded and settles at the open of {group.expiry.day}"
        since = start_of_day(day + DAY) if is_day_over else since
    elif ending.settlement == "am":
        code, text = (
            "lastTradingDay",
            f"last trading day; {until}, and it settles at the opening prices of {group.expiry.day}",
        )
    else:
        code, text = "expiresToday", f"expires today; {until}"
    return Notice(
        code=code,
        text=f"{group.name}: {text} ({_held(group)})",
        symbols=group.symbols,
        since=since,
        condor_id=group.condor_id,
    )


def _held(group: _Group) -> str:
    """How much is held: one condor can be held several times."""
    if group.condor_id is not None:
        return "1 condor" if group.count == 1 else f"quantity {group.count}"
    return f"{group.count} contract{'' if group.count == 1 else 's'}"


def _dropped_at(notice: Notice, calendar: Calendar) -> dt.datetime:
    """The close of the session after the one in which the notice appeared."""
    return calendar.first_after(exchange_day(notice.since)).close_at
