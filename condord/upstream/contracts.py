"""Decides what a contract is beyond its symbol: multiplier, underlying and what an adjusted one delivers.

Rules: Alpaca is asked once a symbol and its answer holds for a day, that it knows no such contract for an hour; an old
answer speaks until a newer one is there. Until a contract has answered another one of its root speaks for it, else the
multiplier is 100 and the underlying the root; both are marked as assumed. Two are asked for at a time, as often as the
budget of all requests permits.

A cost basis is checked where the multiplier is known, or the root of no adjusted kind:

    |cost basis| = |average entry x contracts x multiplier|

within half a unit of the average's last place (0.01, 0.001 or 0.0001 dollars, as it does not always terminate) and at
least a cent, both a contract. At odds with that, it is a problem that says both. A missing one is computed so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from condord.core import occ
from condord.core.position import Contract, Deliverable, Position
from condord.errors import SymbolError
from condord.live.wire import dollars
from condord.upstream import rows
from condord.upstream.faults import RestFault
from condord.upstream.ports import Brokerage
from condord.upstream.store import Store

PARALLEL = 2
TELL_SECONDS = 5.0
"""What is learned is told at the end of a reading, and after so long, whatever the others wait for."""

_KNOWN_FOR = dt.timedelta(days=1)
_UNKNOWN_FOR = dt.timedelta(hours=1)
_KEPT_FOR = dt.timedelta(days=30)
_STANDARD_MULTIPLIER = 100
_MOST_MULTIPLIER = 1_000_000
_CENT_E4 = 100
_KIND = "contracts"
_OF_ONE_SYMBOL = frozenset({"refused", "malformed"})
"""Faults that say nothing about other contracts."""

_log = logging.getLogger(__name__)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What Alpaca said of one symbol, None: that it knows none, and when it is to be asked again."""

    contract: Contract | None
    due_at: Annotated[dt.datetime, msgspec.Meta(tz=True)]


def contract(symbol: str, answer: object, refuse: rows.Refuse) -> Contract:
    """The raw answer of `GET /v2/options/contracts/{symbol}`.

    Raises:
        TypeError: the answer is no object.
        ValueError: it is of another symbol, or has no usable multiplier.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"a contract came as {type(answer).__name__}, not as an object")
    if answer.get("symbol", symbol) != symbol:
        raise ValueError("another contract came than was asked for")
    multiplier = rows.number(answer.get("multiplier"))
    if multiplier is None or multiplier != multiplier.to_integral_value() or not 0 < multiplier <= _MOST_MULTIPLIER:
        raise ValueError("a contract came without a usable multiplier")
    underlying = rows.text(answer.get("underlying_symbol"))
    deliverables = _deliverables(answer.get("deliverables"), refuse)
    if len(deliverables) == 1 and deliverables[0].symbol == underlying and deliverables[0].amount == "100":
        deliverables = ()
    return Contract(multiplier=int(multiplier), underlying=underlying, deliverables=deliverables)


def _deliverables(told: object, refuse: rows.Refuse) -> tuple[Deliverable, ...]:
    deliverables = []
    for one in told if isinstance(told, list) else () if told is None else (None,):
        if isinstance(one, Mapping):
            deliverables.append(Deliverable(symbol=rows.text(one.get("symbol")), amount=rows.text(one.get("amount"))))
        else:
            refuse("deliverableRow")
    return tuple(deliverables)


class Contracts:
    """What Alpaca has told of contracts, by symbol."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def recall(self, kept: Mapping[str, Answer]) -> None:
        """Take what an earlier run has kept, where this one does not know better."""
        self._answers = {**{symbol: kept[symbol] for symbol in kept if _is_symbol(symbol)}, **self._answers}

    def due(self, symbols: Iterable[str], now_at: dt.datetime) -> list[str]:
        """Those of `symbols` that Alpaca is to be asked for, in their order."""
        return [symbol for symbol in symbols if not self._is_fresh(symbol, now_at)]

    def learn(self, symbol: str, told: Contract | None, now_at: dt.datetime) -> None:
        """Take Alpaca's answer; None, that it knows no such contract, unsays nothing."""
        before = self._answers.get(symbol)
        due_at = now_at + (_UNKNOWN_FOR if told is None else _KNOWN_FOR)
        self._answers[symbol] = Answer(contract=told or (before.contract if before else None), due_at=due_at)

    def kept(self, now_at: dt.datetime) -> dict[str, Answer]:
        """What is worth keeping: all that was asked for within a month."""
        self._answers = {
            symbol: answer for symbol, answer in self._answers.items() if now_at - answer.due_at < _KEPT_FOR
        }
        return dict(self._answers)

    def applied(self, positions: Iterable[Position]) -> list[Position]:
        """`positions` with what is known of their contracts."""
        known = {symbol: answer.contract for symbol, answer in self._answers.items() if answer.contract is not None}
        roots = {occ.parse(symbol).root: told for symbol, told in known.items()}
        return [_applied(position, known.get(position.symbol), roots) for position in positions]

    def _is_fresh(self, symbol: str, now_at: dt.datetime) -> bool:
        """A due date well beyond any that we set comes from a clock that was wrong."""
        answer = self._answers.get(symbol)
        return answer is not None and now_at < answer.due_at < now_at + 2 * _KNOWN_FOR


def _is_symbol(text: str) -> bool:
    try:
        occ.parse(text)
    except SymbolError:
        return False
    return True


def _applied(position: Position, told: Contract | None, roots: Mapping[str, Contract]) -> Position:
    if position.contract is None:
        return position
    root = position.contract.root
    spoken = told or roots.get(root)
    multiplier = spoken.multiplier if spoken else _STANDARD_MULTIPLIER
    is_sure = spoken is not None or not position.contract.root_is_adjusted
    problems = [position.problem, _cost_problem(position, multiplier) if is_sure else None]
    return msgspec.structs.replace(
        position,
        multiplier=multiplier,
        multiplier_assumed=told is None,
        underlying=(spoken.underlying if spoken else None) or root,
        deliverables=spoken.deliverables if spoken else (),
        cost_basis_e4=_cost_basis_e4(position, multiplier),
        problem="; ".join(problem for problem in problems if problem) or None,
    )


def _cost_basis_e4(position: Position, multiplier: int) -> int | None:
    if position.cost_basis_e4 is not None or position.average_entry_e4 is None or position.quantity is None:
        return position.cost_basis_e4
    return position.average_entry_e4 * position.quantity * multiplier


def _cost_problem(position: Position, multiplier: int) -> str | None:
    average_e4, quantity, basis_e4 = position.average_entry_e4, position.quantity, position.cost_basis_e4
    if average_e4 is None or quantity is None or basis_e4 is None:
        return None
    last_place_e4 = next(unit for unit in (100, 10, 1) if average_e4 % unit == 0)
    tolerance_e4 = max(_CENT_E4, last_place_e4 * multiplier // 2) * abs(quantity)
    if abs(abs(basis_e4) - abs(average_e4 * quantity * multiplier)) <= tolerance_e4:
        return None
    entry = f"{dollars(average_e4)} x {quantity} x {multiplier}"
    return f"cost basis {dollars(basis_e4)} is at odds with average entry {entry}"


class ContractReader:
    """Asks Alpaca for the contracts that are due, and calls `learned` when something came of it."""

    def __init__(
        self, *, brokerage: Brokerage, store: Store, now_at: Callable[[], dt.datetime], learned: Callable[[], None]
    ) -> None:
        self.contracts = Contracts()
        self._brokerage = brokerage
        self._store = store
        self._now_at = now_at
        self._learned = learned
        self._is_recalled = False
        self._is_news = False

    async def read(self, symbols: Callable[[], Sequence[str]]) -> None:
        """Ask until none of `symbols()` is due.

        Raises:
            RestFault: Alpaca cannot be asked now; what it has answered is kept.
        """
        await self._recall()
        asking = asyncio.create_task(self._ask_all(symbols))
        try:
            has_ended = False
            while not has_ended:
                await asyncio.wait({asking}, timeout=TELL_SECONDS)
                has_ended = asking.done()
                await self._tell()
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        if (fault := asking.result()) is not None:
            raise fault

    async def _recall(self) -> None:
        if not self._is_recalled:
            self._is_recalled = True
            kept = await self._store.read(_KIND, dict[str, Answer])
            if kept:
                self.contracts.recall(kept)
                self._learned()

    async def _tell(self) -> None:
        """Every change of a multiplier is a snapshot to every subscriber: those of one round go together."""
        if self._is_news:
            self._is_news = False
            self._learned()
            await self._store.write(_KIND, self.contracts.kept(self._now_at()))

    async def _ask_all(self, symbols: Callable[[], Sequence[str]]) -> RestFault | None:
        """Ask until none is due; returns the fault that ends it."""
        while due := self.contracts.due(symbols(), self._now_at()):
            faults = await asyncio.gather(*map(self._ask, due[:PARALLEL]))
            if (first := next(filter(None, faults), None)) is not None:
                return first
        return None

    async def _ask(self, symbol: str) -> RestFault | None:
        """Learn one contract; returns the fault that concerns the others too."""
        try:
            told = await self._brokerage.contract(symbol)
        except RestFault as fault:
            if fault.code not in _OF_ONE_SYMBOL:
                return fault
            fields = {"symbol": symbol, "code": fault.code, "reason": fault.reason}
            _log.warning("Contract cannot be read; its multiplier stays assumed", extra={"fields": fields})
            told = None
        self.contracts.learn(symbol, told, self._now_at())
        self._is_news = True
        return None
