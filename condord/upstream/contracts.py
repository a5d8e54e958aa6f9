"""Read the multiplier, the underlying and the deliverables of option contracts.

One contract of each root is requested, and the answer applies to all contracts of the root for a day. The OCC lists
every series of a root with the same deliverable, multiplier and style; after a corporate action, the changed series get
another root (XYZ becomes XYZ1). So an account of 2,000 legs on 5 roots needs 5 requests. One request per contract would
take half an hour at the rate limit. A contract is requested itself only if its cost basis contradicts the answer for
its root; then its own answer applies.

If Alpaca does not know a contract, or the answer cannot be read, the next contract of the root is requested, and this
one again only after an hour. An old answer applies until there is a newer one. Without any answer for its root, a
contract is assumed to have the multiplier 100 and its root as the underlying.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, get_args

import msgspec

from condord.core import occ
from condord.core.cost import divide
from condord.core.expiry import Style, assumed_underlying
from condord.core.position import Contract, Deliverable, Position
from condord.errors import SymbolError
from condord.live.wire_values import dollars
from condord.upstream import rest_parsing
from condord.upstream.interfaces import Brokerage
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store

PARALLEL = 2
"""How many requests are open at a time, within the rate limit of all requests."""
REPORT_SECONDS = 5.0
"""A long reading reports what it has learned this often. The rest is reported at its end."""

_KNOWN_FOR = dt.timedelta(days=1)
_UNKNOWN_FOR = dt.timedelta(hours=1)
_KEPT_FOR = dt.timedelta(days=30)
_STANDARD_MULTIPLIER = 100
_MAX_MULTIPLIER = 1_000_000
_CENT_E4 = 100
_E6_PER_CENT = 10_000
_KIND = "contracts"
_OF_ONE_SYMBOL = frozenset({"refused", "malformed"})
"""Faults that concern only the contract that was requested."""

_log = logging.getLogger(__name__)


class ContractAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Alpaca's last answer for one symbol, which is requested again after `due_at`.

    If Alpaca no longer knows the contract, `is_known` is False, and `contract` is from the answer before.
    """

    contract: Contract | None
    due_at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    is_known: bool = True


def contract(symbol: str, answer: object, refuse: rest_parsing.Refuse) -> Contract:
    """Parse the answer of `GET /v2/options/contracts/{symbol}`.

    `refuse` is called for each deliverable that cannot be read.

    Raises:
        TypeError: the answer is not an object.
        ValueError: it is for another symbol, or has no valid multiplier.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"a contract came as {type(answer).__name__}, not as an object")
    if answer.get("symbol", symbol) != symbol:
        raise ValueError("the answer is for another contract")
    multiplier = rest_parsing.number(answer.get("multiplier"))
    if multiplier is None or multiplier != multiplier.to_integral_value() or not 0 < multiplier <= _MAX_MULTIPLIER:
        raise ValueError("a contract came without a valid multiplier")
    underlying = rest_parsing.text(answer.get("underlying_symbol"))
    deliverables = _deliverables(answer.get("deliverables"), refuse)
    if len(deliverables) == 1 and deliverables[0].symbol == underlying and deliverables[0].amount == "100":
        deliverables = ()
    return Contract(
        multiplier=int(multiplier), underlying=underlying, deliverables=deliverables, style=_style(answer.get("style"))
    )


def _style(value: object) -> Style | None:
    return next((style for style in get_args(Style) if style == value), None)


def _deliverables(listed: object, refuse: rest_parsing.Refuse) -> tuple[Deliverable, ...]:
    deliverables = []
    for row in listed if isinstance(listed, list) else () if listed is None else (None,):
        if isinstance(row, Mapping):
            deliverables.append(
                Deliverable(symbol=rest_parsing.text(row.get("symbol")), amount=rest_parsing.text(row.get("amount")))
            )
        else:
            refuse("deliverableRow")
    return tuple(deliverables)


class ContractAnswers:
    """Alpaca's answers by symbol, and which of them apply to a position."""

    def __init__(self) -> None:
        self._answers: dict[str, ContractAnswer] = {}
        self._contradicted: frozenset[str] = frozenset()

    def recall(self, saved: Mapping[str, ContractAnswer]) -> None:
        """Add the records saved by an earlier run; it does not overwrite the answers of this one."""
        self._answers = {symbol: saved[symbol] for symbol in saved if _is_symbol(symbol)} | self._answers

    def due(self, symbols: Iterable[str], now_at: dt.datetime) -> list[str]:
        """Which of `symbols` to request now: one of each root without an answer, then those whose cost contradicts one.

        They are in the order of `symbols`, but roots with fewer unknown contracts come first.
        """
        answered = {occ.parse(symbol).root for symbol in self._answers if self._applies_to_root(symbol, now_at)}
        waiting: dict[str, list[str]] = {}
        unknown: Counter[str] = Counter()
        contradicted: list[str] = []
        for symbol in symbols:
            root, is_fresh = occ.parse(symbol).root, self._is_fresh(symbol, now_at)
            if root not in answered and is_fresh:
                unknown[root] += 1
            elif root not in answered:
                waiting.setdefault(root, []).append(symbol)
            elif symbol in self._contradicted and not is_fresh:
                contradicted.append(symbol)
        roots = sorted(waiting, key=unknown.__getitem__)
        return [waiting[root][0] for root in roots] + contradicted

    def learn(self, symbol: str, contract: Contract | None, now_at: dt.datetime) -> None:
        """Add an answer. None means that Alpaca does not know the contract; an earlier answer then still applies."""
        before = self._answers.get(symbol)
        self._answers[symbol] = ContractAnswer(
            contract=contract or (before.contract if before else None),
            due_at=now_at + (_UNKNOWN_FOR if contract is None else _KNOWN_FOR),
            is_known=contract is not None,
        )

    def to_save(self, now_at: dt.datetime) -> dict[str, ContractAnswer]:
        """Drop answers that have been due for a month, as these contracts are no longer held. Returns the others."""
        self._answers = {
            symbol: answer for symbol, answer in self._answers.items() if now_at - answer.due_at < _KEPT_FOR
        }
        return dict(self._answers)

    def applied(self, positions: Iterable[Position]) -> list[Position]:
        """Return `positions` with multipliers, underlyings, deliverables and missing cost bases filled in.

        Contracts whose cost basis contradicts the multiplier are due from now on.
        """
        newest: dict[str, ContractAnswer] = {}
        for symbol, answer in self._answers.items():
            root = occ.parse(symbol).root
            if answer.contract is not None and (root not in newest or newest[root].due_at < answer.due_at):
                newest[root] = answer
        held = list(positions)
        applied = [_applied(position, self._contract_of(position, newest)) for position in held]
        self._contradicted = frozenset(
            after.symbol for before, after in zip(held, applied, strict=True) if after.problem != before.problem
        )
        return applied

    def _contract_of(self, position: Position, newest: Mapping[str, ContractAnswer]) -> Contract | None:
        """The answer for the contract itself, or the newest one for its root if that is a day newer or the only one."""
        of_root = newest.get(position.contract.root) if position.contract else None
        if of_root is None:
            return None
        own = self._answers.get(position.symbol)
        is_old = own is None or own.contract is None or own.due_at <= of_root.due_at - _KNOWN_FOR
        return of_root.contract if own is None or is_old else own.contract

    def _applies_to_root(self, symbol: str, now_at: dt.datetime) -> bool:
        """Whether the answer for `symbol` applies now to all contracts of its root."""
        answer = self._answers[symbol]
        return answer.contract is not None and answer.is_known and self._is_fresh(symbol, now_at)

    def _is_fresh(self, symbol: str, now_at: dt.datetime) -> bool:
        answer = self._answers.get(symbol)
        # A due date beyond any that `learn` sets comes from a clock that was wrong.
        return answer is not None and now_at < answer.due_at < now_at + 2 * _KNOWN_FOR


def _is_symbol(text: str) -> bool:
    try:
        occ.parse(text)
    except SymbolError:
        return False
    return True


def _applied(position: Position, contract: Contract | None) -> Position:
    if position.contract is None:
        return position
    multiplier = contract.multiplier if contract else _STANDARD_MULTIPLIER
    is_sure = contract is not None or not position.contract.root_is_adjusted
    problems = [position.problem, _cost_problem(position, multiplier) if is_sure else None]
    return msgspec.structs.replace(
        position,
        multiplier=multiplier,
        multiplier_assumed=contract is None,
        underlying=(contract.underlying if contract else None) or assumed_underlying(position.contract.root),
        deliverables=contract.deliverables if contract else (),
        style=contract.style if contract else None,
        cost_basis_e4=_cost_basis_e4(position, multiplier),
        problem="; ".join(problem for problem in problems if problem) or None,
    )


def _cost_basis_e4(position: Position, multiplier: int) -> int | None:
    if position.cost_basis_e4 is not None or position.average_entry_e6 is None or position.quantity is None:
        return position.cost_basis_e4
    return _CENT_E4 * divide(position.average_entry_e6 * position.quantity * multiplier, _E6_PER_CENT)


def _cost_problem(position: Position, multiplier: int) -> str | None:
    """A sentence if |cost basis| differs from |average entry x contracts x multiplier|, else None.

    Alpaca rounds the average to 0.01, 0.001 or 0.0001 dollars, as it does not always terminate. So half a unit of its
    last place is tolerated for each share, and at least a cent for each contract.
    """
    average_e4, quantity, basis_e4 = position.average_entry_e4, position.quantity, position.cost_basis_e4
    if average_e4 is None or quantity is None or basis_e4 is None:
        return None
    last_place_e4 = next(unit for unit in (100, 10, 1) if average_e4 % unit == 0)
    tolerance_e4 = max(_CENT_E4, last_place_e4 * multiplier // 2) * abs(quantity)
    if abs(abs(basis_e4) - abs(average_e4 * quantity * multiplier)) <= tolerance_e4:
        return None
    entry = f"{dollars(average_e4)} x {quantity} x {multiplier}"
    return f"cost basis {dollars(basis_e4)} contradicts average entry {entry}"


class ContractReader:
    """Requests the contracts that are due, and calls `learned` after each batch of answers."""

    def __init__(self, *, brokerage: Brokerage, now_at: Callable[[], dt.datetime], learned: Callable[[], None]) -> None:
        self.answers = ContractAnswers()
        self._brokerage = brokerage
        self._store: Store | None = None
        self._now_at = now_at
        self._learned = learned
        self._has_unreported = False

    async def recall(self, store: Store) -> None:
        """Load the state saved in `store`, and save new readings there from now on."""
        self._store = store
        saved = await store.read(_KIND, dict[str, ContractAnswer])
        if saved:
            self.answers.recall(saved)
            self._learned()

    async def read(self, symbols: Callable[[], Sequence[str]]) -> None:
        """Request contracts until none of `symbols()` is due, including those that an answer contradicts.

        Raises:
            RestFault: a request failed; the answers before it are kept.
        """
        await self._read_due(symbols)
        while self.answers.due(symbols(), self._now_at()):
            await self._read_due(symbols)

    async def _read_due(self, symbols: Callable[[], Sequence[str]]) -> None:
        requests = asyncio.create_task(self._request_all(symbols))
        try:
            has_ended = False
            while not has_ended:
                await asyncio.wait({requests}, timeout=REPORT_SECONDS)
                has_ended = requests.done()
                await self._report()
        finally:
            requests.cancel()
            await asyncio.wait({requests})
        if (fault := requests.result()) is not None:
            raise fault

    async def _report(self) -> None:
        # In batches, as a changed multiplier means a snapshot for every subscriber.
        if self._has_unreported:
            self._has_unreported = False
            self._learned()
            if self._store is not None:
                await self._store.write(_KIND, self.answers.to_save(self._now_at()))

    async def _request_all(self, symbols: Callable[[], Sequence[str]]) -> RestFault | None:
        """Request contracts until none is due; return the fault that ended this early, if any."""
        while due := self.answers.due(symbols(), self._now_at()):
            faults = await asyncio.gather(*map(self._request, due[:PARALLEL]))
            if (first := next(filter(None, faults), None)) is not None:
                return first
        return None

    async def _request(self, symbol: str) -> RestFault | None:
        """Request one contract; return the fault if it concerns other contracts too."""
        try:
            contract = await self._brokerage.contract(symbol)
        except RestFault as fault:
            if fault.code not in _OF_ONE_SYMBOL:
                return fault
            fields = {"symbol": symbol, "code": fault.code, "reason": fault.reason}
            _log.warning("Contract cannot be read; its multiplier stays assumed", extra={"fields": fields})
            contract = None
        self.answers.learn(symbol, contract, self._now_at())
        self._has_unreported = True
        return None
