"""Decides what Alpaca's REST answers mean: rows of strings to positions, clocks and ticks.

Tolerant by row: a position that cannot be read is one with a `problem`, never a missing one; any other row that cannot
be read is left out, and `refuse` is told its kind, to count it. None fails the others. Money goes from its string
through Decimal to integers of 1e-4 dollars. What a contract is beyond its symbol no row tells: multiplier and
underlying are assumed, and a missing cost basis stays so, until `contracts` applies it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, Overflow
from typing import Annotated

import msgspec

from condord.core import occ
from condord.core.position import Holdings, Position
from condord.core.quote import Tick
from condord.core.session import Clock, Hours, hours_of
from condord.errors import SymbolError
from condord.live import wire

Refuse = Callable[[wire.Refusal], None]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_LIMIT = Decimal(10) ** 12
_SANE_YEARS = range(1970, 3000)
_SHOWN_CHARACTERS = 64


def holdings(answer: object, refuse: Refuse) -> Holdings:
    """The account in the rows of `GET /v2/positions`, one for each symbol; assets of other classes are left out.

    Raises:
        TypeError: the answer is no list.
    """
    if not isinstance(answer, list):
        raise TypeError(f"positions came as {type(answer).__name__}, not as a list")
    options: dict[str, Position] = {}
    stocks: dict[str, int] = {}
    for row in answer:
        kind = _asset_class(row)
        if kind == "us_option":
            position = _position(row)
            twin = options.get(position.symbol)
            options[position.symbol] = position if twin is None else _joined(twin, position)
        elif kind == "us_equity":
            stocks |= _stock(row, refuse)
        elif kind is None:
            refuse("positionRow")
    return Holdings(options=tuple(options.values()), stocks=stocks)


def _stock(row: Mapping[str, object], refuse: Refuse) -> dict[str, int]:
    """Signed shares by symbol, a fraction of one left out; a row that cannot be read is no news of its stock."""
    symbol, shares = text(row.get("symbol")), number(row.get("qty"))
    if symbol is None or shares is None:
        refuse("stockRow")
        return {}
    return {symbol: -abs(int(shares)) if row.get("side") == "short" else int(shares)}


def clock(answer: object, now_at: dt.datetime) -> Clock:
    """The answer of `GET /v2/clock`, which came at `now_at`.

    Raises:
        msgspec.ValidationError: a field is missing, is no time, or a time without a zone.
    """
    read = msgspec.convert(answer, _ClockAnswer)
    try:
        return Clock(
            is_open=read.is_open,
            next_open=_in_utc(read.next_open),
            next_close=_in_utc(read.next_close),
            offset=_in_utc(read.timestamp) - now_at,
        )
    except OverflowError as error:
        raise msgspec.ValidationError("a time is out of range") from error


def hours(answer: object, today: dt.date, refuse: Refuse) -> Hours | None:
    """The session of `today`, or the last one before it, of `GET /v2/calendar`; None where it names none.

    Raises:
        TypeError: the answer is no list.
        ValueError: that day cannot be read, or none can.
    """
    if not isinstance(answer, list):
        raise TypeError(f"the calendar came as {type(answer).__name__}, not as a list")
    days = {day: row for row in answer if (day := _date(row, refuse)) is not None}
    if answer and not days:
        raise ValueError("no day of the calendar can be read")
    last = max((day for day in days if day <= today), default=None)
    if last is None:
        return None
    read = msgspec.convert(days[last], _CalendarDay)
    return hours_of(last, _wall_time(read.open), _wall_time(read.close))


def ticks(answer: object, refuse: Refuse) -> list[Tick]:
    """The quotes of `GET /v1beta1/options/quotes/latest`.

    Raises:
        TypeError: the answer holds no map of quotes.
    """
    quotes = answer.get("quotes") if isinstance(answer, Mapping) else None
    if not isinstance(quotes, Mapping):
        raise TypeError(f"quotes came in {type(answer).__name__}, not in a map")
    read = [_tick(symbol, row) for symbol, row in quotes.items()]
    for _ in range(read.count(None)):
        refuse("quoteRow")
    return [tick for tick in read if tick is not None]


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
    """A string that can be shown, as names are; cut where it is absurd."""
    return value[:_SHOWN_CHARACTERS] if isinstance(value, str) and value and value.isprintable() else None


def instant(value: object) -> dt.datetime | None:
    """An instant in UTC, from Alpaca's text; None where that is none, or of no sane year."""
    try:
        return _in_utc(msgspec.convert(value, Instant))
    except (ValueError, OverflowError):  # a ValidationError is one; text that is no Unicode another
        return None


def _in_utc(at: dt.datetime) -> dt.datetime:
    """At either end of what a date can be, the next sum would overflow."""
    there = at.astimezone(dt.UTC)
    if there.year not in _SANE_YEARS:
        raise OverflowError(f"{there.year} is no year")
    return there


class _CalendarDay(msgspec.Struct):
    open: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]
    close: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]


def _date(row: object, refuse: Refuse) -> dt.date | None:
    try:
        return msgspec.convert(row.get("date") if isinstance(row, Mapping) else None, dt.date)
    except ValueError:
        refuse("calendarRow")
        return None


def _wall_time(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


class _ClockAnswer(msgspec.Struct):
    is_open: bool
    next_open: Instant
    next_close: Instant
    timestamp: Instant


def _tick(symbol: object, row: object) -> Tick | None:
    if not isinstance(row, Mapping):
        return None
    try:
        return msgspec.convert({**row, "T": "q", "S": text(symbol), "t": instant(row.get("t"))}, Tick)
    except ValueError:
        return None


def _asset_class(row: object) -> str | None:
    """What a row is: by its class, or by its symbol where Alpaca names no class; None if it has neither."""
    if not isinstance(row, Mapping):
        return None
    if (named := text(row.get("asset_class"))) is not None:
        return named
    try:
        occ.parse(row.get("symbol"))
    except SymbolError:
        return None if text(row.get("symbol")) is None else "other"
    return "us_option"


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
        symbol=contract.compact if contract else _shown(symbol),
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
        problems.append(f"Alpaca's quantity {_shown(row.get('qty'))} is no whole number of contracts")
        return None
    contracts = abs(int(amount))
    side = row.get("side")
    if side not in ("long", "short"):
        return int(amount)
    if amount and (amount < 0) != (side == "short"):
        problems.append(f"Alpaca's quantity {_shown(row.get('qty'))} and side {side} disagree; the side is taken")
    return -contracts if side == "short" else contracts


def _shown(value: object) -> str:
    """Any value for people: a text or number, cut where it is absurd; of anything else only the kind."""
    if isinstance(value, str):
        return value[:_SHOWN_CHARACTERS] if value.isprintable() else ascii(value)[:_SHOWN_CHARACTERS]
    if value is None or isinstance(value, (int, float)):
        return str(value)[:_SHOWN_CHARACTERS]
    return f"a value of type {type(value).__name__}"


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
