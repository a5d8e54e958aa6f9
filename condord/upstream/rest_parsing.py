"""Parse Alpaca's REST answers: rows of strings become positions, clocks, calendars and ticks.

A bad row never affects the others. A position that cannot be read becomes one with a `problem`, and is never missing;
any other bad row is left out, and `refuse` is called with its kind, to count it. Money goes from its string through
Decimal to integers of 1e-4 dollars. Rows contain nothing about a contract beyond its symbol: until `contracts` adds
them, multiplier and underlying are assumed, and a missing cost basis stays missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, Overflow
from typing import Annotated, Literal

import msgspec

from condord.core import occ
from condord.core.calendar import REGULAR, Calendar
from condord.core.expiry import assumed_underlying
from condord.core.market_hours import Clock, Hours, hours_of
from condord.core.position import Holdings, Position
from condord.core.quote import Tick
from condord.errors import SymbolError
from condord.live import wire
from condord.upstream.bodies import Rows

Refuse = Callable[[wire.Refusal], None]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_LIMIT = Decimal(10) ** 12
_SANE_YEARS = range(1970, 3000)
_SHOWN_CHARACTERS = 64
_OTHER_CLASSES = frozenset({"crypto", "crypto_perp", "treasury", "us_treasury", "fixed_income", "us_fixed_income"})
"""Asset classes other than stocks that contain no options."""


def holdings(answer: object, refuse: Refuse) -> Holdings:
    """The holdings in the rows of `GET /v2/positions`, which has one for each symbol.

    Rows of asset classes without options are left out, except stocks. A row of an unknown class becomes an option if
    its symbol is one, or else a position with a problem.

    Raises:
        TypeError: the answer is not a list.
    """
    if not isinstance(answer, list | Rows):
        raise TypeError(f"positions came as {type(answer).__name__}, not as a list")
    options: dict[str, Position] = {}
    stocks: dict[str, int] = {}
    closes_e4: dict[str, int] = {}
    for row in answer:
        kind = _kind(row)
        if kind == "option":
            position = _position(row)
            twin = options.get(position.symbol)
            options[position.symbol] = position if twin is None else _joined(twin, position)
            closes_e4 |= _close(position.symbol, row)
        elif kind == "stock":
            stocks |= _stock(row, refuse)
        elif kind == "nothing":
            refuse("positionRow")
    return Holdings(options=tuple(options.values()), stocks=stocks, closes_e4=closes_e4)


def _close(symbol: str, row: Mapping[str, object]) -> dict[str, int]:
    """The close of the session before; empty if Alpaca gives none, or a negative one."""
    price_e4 = e4(number(row.get("lastday_price")))
    return {} if price_e4 is None or price_e4 < 0 else {symbol: price_e4}


def _stock(row: Mapping[str, object], refuse: Refuse) -> dict[str, int]:
    """Signed whole shares by symbol; empty, and counted, if the row cannot be read."""
    symbol, shares = text(row.get("symbol")), number(row.get("qty"))
    if symbol is None or shares is None:
        refuse("stockRow")
        return {}
    return {symbol: -abs(int(shares)) if row.get("side") == "short" else int(shares)}


def account_id(answer: object) -> str:
    """The id in the answer of `GET /v2/account`.

    Raises:
        TypeError: the answer is not an object.
        ValueError: it has no id.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"the account came as {type(answer).__name__}, not as an object")
    identity = text(answer.get("id"))
    if identity is None:
        raise ValueError("the account came without an id")
    return identity


def clock(answer: object, now_at: dt.datetime) -> Clock:
    """The market's clock from `GET /v2/clock`, answered at `now_at` (UTC).

    Raises:
        msgspec.ValidationError: a field is missing, not a time, out of range, or without a time zone.
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


def calendar(answer: object, start: dt.date, end: dt.date, refuse: Refuse) -> Calendar:
    """The sessions from `start` to `end` of `GET /v2/calendar`.

    A day whose hours cannot be read becomes a regular session: left out, it would be a holiday.

    Raises:
        TypeError: the answer is not a list.
        ValueError: no day can be read.
    """
    if not isinstance(answer, list):
        raise TypeError(f"the calendar came as {type(answer).__name__}, not as a list")
    days = {day: row for row in answer if (day := _date(row, refuse)) is not None}
    if answer and not days:
        raise ValueError("no day of the calendar can be read")
    return Calendar({day: _session(day, days[day], refuse) for day in sorted(days) if start <= day <= end})


def ticks(answer: object, refuse: Refuse) -> list[Tick]:
    """The quotes of `GET /v1beta1/options/quotes/latest`.

    Raises:
        TypeError: the answer has no map of quotes.
    """
    quotes = answer.get("quotes") if isinstance(answer, Mapping) else None
    if not isinstance(quotes, Mapping):
        raise TypeError(f"quotes came in {type(answer).__name__}, not in a map")
    read = [tick(symbol, row) for symbol, row in quotes.items()]
    for _ in range(read.count(None)):
        refuse("quoteRow")
    return [quote for quote in read if quote is not None]


def number(value: object) -> Decimal | None:
    """A finite number below 1e12 from a string or a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        read = Decimal(str(value))
        return read if read.is_finite() and abs(read) < _LIMIT else None
    except (InvalidOperation, Overflow):
        return None


def e4(value: Decimal | None) -> int | None:
    """Dollars as an integer of 1e-4."""
    return None if value is None else int((value * 10_000).to_integral_value(ROUND_HALF_EVEN))


def e6(value: Decimal | None) -> int | None:
    """Dollars as an integer of 1e-6, the precision of Alpaca's averages."""
    return None if value is None else int((value * 1_000_000).to_integral_value(ROUND_HALF_EVEN))


def text(value: object) -> str | None:
    """A printable string, cut to 64 characters; None for anything else."""
    return value[:_SHOWN_CHARACTERS] if isinstance(value, str) and value and value.isprintable() else None


def instant(value: object) -> dt.datetime | None:
    """An instant in UTC from Alpaca's text; None if it is not one, or not between 1970 and 3000."""
    try:
        return _in_utc(msgspec.convert(value, Instant))
    except (ValueError, OverflowError):  # ValidationError and UnicodeError are ValueErrors
        return None


def date_of(value: object) -> dt.date | None:
    """A date from Alpaca's text; None if it is not one, or not between 1970 and 3000."""
    at = instant(f"{text(value)}T00:00:00Z")
    return None if at is None else at.date()


def _in_utc(at: dt.datetime) -> dt.datetime:
    # Close to the limits of datetime, the next addition would overflow.
    in_utc = at.astimezone(dt.UTC)
    if in_utc.year not in _SANE_YEARS:
        raise OverflowError(f"the year {in_utc.year} is out of range")
    return in_utc


class _CalendarDay(msgspec.Struct, frozen=True, kw_only=True):
    open: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]
    close: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}:[0-5][0-9]$")]


def _date(row: object, refuse: Refuse) -> dt.date | None:
    try:
        return msgspec.convert(row.get("date") if isinstance(row, Mapping) else None, dt.date)
    except ValueError:
        refuse("calendarRow")
        return None


def _session(day: dt.date, row: object, refuse: Refuse) -> Hours:
    try:
        read = msgspec.convert(row, _CalendarDay)
        return hours_of(day, dt.time.fromisoformat(read.open), dt.time.fromisoformat(read.close))
    except ValueError:
        refuse("calendarRow")
        return hours_of(day, *REGULAR)


class _ClockAnswer(msgspec.Struct, frozen=True, kw_only=True):
    is_open: bool
    next_open: Instant
    next_close: Instant
    timestamp: Instant


def tick(symbol: object, row: object) -> Tick | None:
    """A quote of REST; None if it cannot be read."""
    if not isinstance(row, Mapping):
        return None
    try:
        return msgspec.convert({**row, "T": "q", "S": text(symbol), "t": instant(row.get("t"))}, Tick)
    except ValueError:
        return None


def _kind(row: object) -> Literal["option", "stock", "other", "nothing"]:
    """The kind of a row.

    It is `option` if the symbol is one, regardless of the class, and `nothing` without class and symbol.
    """
    if not isinstance(row, Mapping):
        return "nothing"
    try:
        occ.parse(row.get("symbol"))
    except SymbolError:
        asset_class = (text(row.get("asset_class")) or "").lower()
        if asset_class == "us_equity":
            return "stock"
        if asset_class in _OTHER_CLASSES:
            return "other"
        return "option" if asset_class or text(row.get("symbol")) is not None else "nothing"
    return "option"


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
        average_entry_e6=e6(number(row.get("avg_entry_price"))),
        cost_basis_e4=e4(basis),
        multiplier_assumed=True,
        underlying=assumed_underlying(contract.root) if contract else None,
        problem="; ".join(problems) or None,
    )


def _basis(row: Mapping[str, object], quantity: int | None, problems: list[str]) -> Decimal | None:
    """The cost basis with the sign of the quantity; None if Alpaca sends none."""
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
        problems.append(f"Alpaca's quantity {_shown(row.get('qty'))} is not a whole number of contracts")
        return None
    contracts = abs(int(amount))
    side = row.get("side")
    if side not in ("long", "short"):
        return int(amount)
    if amount and (amount < 0) != (side == "short"):
        problems.append(f"Alpaca's quantity {_shown(row.get('qty'))} and side {side} disagree; the side is taken")
    return -contracts if side == "short" else contracts


def _shown(value: object) -> str:
    """A value to show in a problem: a text or a number, cut to 64 characters; only the type of anything else."""
    if isinstance(value, str):
        return value[:_SHOWN_CHARACTERS] if value.isprintable() else ascii(value)[:_SHOWN_CHARACTERS]
    if value is None or isinstance(value, (int, float)):
        return str(value)[:_SHOWN_CHARACTERS]
    return f"a value of type {type(value).__name__}"


def _joined(first: Position, second: Position) -> Position:
    """Merge two rows of the same symbol, which Alpaca should never send."""
    return msgspec.structs.replace(
        first,
        quantity=_plus(first.quantity, second.quantity),
        cost_basis_e4=_plus(first.cost_basis_e4, second.cost_basis_e4),
        average_entry_e4=None,
        average_entry_e6=None,
        problem="; ".join(p for p in (first.problem, second.problem, "Alpaca lists this contract twice") if p),
    )


def _plus(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
