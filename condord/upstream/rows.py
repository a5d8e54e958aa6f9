"""Decides what Alpaca's REST answers mean: rows of strings to positions, clocks and ticks.

Tolerant by row: a row that cannot be read becomes a position with a `problem`, never a missing one, and never fails
the others. Money goes from its string through Decimal to integers of 1e-4 dollars. What a contract is beyond its symbol
no row tells: multiplier and underlying are assumed, and a missing cost basis stays so, until `contracts` applies it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, Overflow
from typing import Annotated

import msgspec

from condord.core import occ
from condord.core.position import Holdings, Position
from condord.core.quote import Tick
from condord.core.session import Clock, Hours, hours_of
from condord.errors import SymbolError

_LIMIT = Decimal(10) ** 12

Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


def holdings(rows: object) -> Holdings:
    """The account among the rows of `GET /v2/positions`; other assets than options and stocks are left out.

    Raises:
        TypeError: the answer is no list.
    """
    return Holdings(options=tuple(positions(rows)), stocks=_stocks(rows))


def positions(rows: object) -> list[Position]:
    """The option positions among the rows of `GET /v2/positions`, one for each symbol.

    Raises:
        TypeError: the answer is no list.
    """
    if not isinstance(rows, list):
        raise TypeError(f"positions came as {type(rows).__name__}, not as a list")
    held: dict[str, Position] = {}
    for row in rows:
        if isinstance(row, Mapping) and _is_option(row):
            position = _position(row)
            twin = held.get(position.symbol)
            held[position.symbol] = position if twin is None else _joined(twin, position)
    return list(held.values())


def _stocks(rows: object) -> dict[str, int]:
    """Signed shares by symbol, a fraction of one left out; a row that cannot be read is no news of its stock."""
    stocks: dict[str, int] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and row.get("asset_class") == "us_equity":
            shares = number(row.get("qty"))
            if shares is not None:
                stocks[str(row.get("symbol"))] = -abs(int(shares)) if row.get("side") == "short" else int(shares)
    return stocks


def clock(answer: object, now_at: dt.datetime) -> Clock:
    """The answer of `GET /v2/clock`, which came at `now_at`.

    Raises:
        msgspec.ValidationError: a field is missing, is no time, or a time without a zone.
    """
    read = msgspec.convert(answer, _ClockAnswer)
    try:
        return Clock(
            is_open=read.is_open,
            next_open=read.next_open.astimezone(dt.UTC),
            next_close=read.next_close.astimezone(dt.UTC),
            offset=read.timestamp.astimezone(dt.UTC) - now_at,
        )
    except OverflowError as error:
        raise msgspec.ValidationError("a time is out of range") from error


def hours(answer: object, today: dt.date) -> Hours | None:
    """The session of `today`, or the last one before it, of `GET /v2/calendar`; None where it names none.

    Raises:
        msgspec.ValidationError: a day cannot be read.
    """
    days = msgspec.convert(answer, list[_CalendarDay])
    past = max((day for day in days if day.date <= today), key=lambda day: day.date, default=None)
    return None if past is None else hours_of(past.date, _wall_time(past.open), _wall_time(past.close))


def ticks(answer: object) -> list[Tick]:
    """The quotes of `GET /v1beta1/options/quotes/latest`; one that cannot be read is left out.

    Raises:
        TypeError: the answer is no map of quotes.
    """
    quotes = answer.get("quotes", answer) if isinstance(answer, Mapping) else answer
    if not isinstance(quotes, Mapping):
        raise TypeError(f"quotes came as {type(quotes).__name__}, not as a map")
    return [tick for symbol, row in quotes.items() if (tick := _tick(symbol, row)) is not None]


def number(value: object) -> Decimal | None:
    """A finite number of sane size, from the string or number that Alpaca sends."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        read = Decimal(str(value))
        return read if read.is_finite() and abs(read) < _LIMIT else None
    except (InvalidOperation, Overflow):
        return None


def e4(value: Decimal | None) -> int | None:
    """Dollars as integers of 1e-4."""
    return None if value is None else int((value * 10_000).to_integral_value(ROUND_HALF_EVEN))


def text(value: object) -> str | None:
    """A string that says something, as names are; cut where it is absurd."""
    return value[:64] if isinstance(value, str) and value else None


class _CalendarDay(msgspec.Struct):
    date: dt.date
    open: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]
    close: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]


def _wall_time(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


class _ClockAnswer(msgspec.Struct):
    is_open: bool
    next_open: Instant
    next_close: Instant
    timestamp: Instant


def _tick(symbol: str, row: object) -> Tick | None:
    if not isinstance(row, Mapping):
        return None
    try:
        tick = msgspec.convert({**row, "T": "q", "S": symbol}, Tick)
    except msgspec.ValidationError:
        return None
    return tick if tick.at.tzinfo is not None else None


def _is_option(row: Mapping[str, object]) -> bool:
    """Whether a row is an option: by its class, or by its symbol where Alpaca names no class."""
    asset_class = row.get("asset_class")
    if asset_class:
        return asset_class == "us_option"
    try:
        occ.parse(row.get("symbol"))
    except SymbolError:
        return False
    return True


def _position(row: Mapping[str, object]) -> Position:
    problems: list[str] = []
    symbol = row.get("symbol")
    contract = None
    try:
        contract = occ.parse(symbol)
    except SymbolError as error:
        problems.append(str(error))
    quantity = _quantity(row, problems)
    basis = _basis(row, quantity, problems)
    return Position(
        symbol=contract.compact if contract else str(symbol),
        contract=contract,
        quantity=quantity,
        average_entry_e4=e4(number(row.get("avg_entry_price"))),
        cost_basis_e4=e4(basis),
        multiplier_assumed=True,
        underlying=contract.root if contract else None,
        problem="; ".join(problems) or None,
    )


def _basis(row: Mapping[str, object], quantity: int | None, problems: list[str]) -> Decimal | None:
    """What was paid, with the sign of the quantity; None where Alpaca does not say."""
    basis = number(row.get("cost_basis"))
    if basis is None:
        if quantity is None or number(row.get("avg_entry_price")) is None:
            problems.append("Alpaca gives no cost basis, so profit and loss are unknown")
        return None
    return -basis if quantity and (basis < 0) != (quantity < 0) else basis


def _quantity(row: Mapping[str, object], problems: list[str]) -> int | None:
    """Signed contracts: the amount of `qty` with the sign of `side`."""
    amount = number(row.get("qty"))
    if amount is None or amount != amount.to_integral_value():
        problems.append(f"Alpaca's quantity {row.get('qty')!r} is no whole number of contracts")
        return None
    contracts = abs(int(amount))
    side = row.get("side")
    if side not in ("long", "short"):
        return int(amount)
    if amount and (amount < 0) != (side == "short"):
        problems.append(f"Alpaca's quantity {row.get('qty')} and side {side} disagree; the side is taken")
    return -contracts if side == "short" else contracts


def _joined(one: Position, other: Position) -> Position:
    """Two rows of the same symbol, which Alpaca should never send, as one."""
    return msgspec.structs.replace(
        one,
        quantity=_plus(one.quantity, other.quantity),
        cost_basis_e4=_plus(one.cost_basis_e4, other.cost_basis_e4),
        average_entry_e4=None,
        problem="; ".join(p for p in (one.problem, other.problem, "Alpaca lists this contract twice") if p),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
