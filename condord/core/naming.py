"""Name condors so that an id never passes to another condor while its own condor exists.

An id is the root, the expiration and the strikes. Further condors of the same strikes have a number after it: `-2`,
`-3`. A lot is identified by its orders, and a condor found by structure by its strikes, multiplier and direction.

1. A condor that had a name keeps it.
2. A condor that lost legs keeps its name while some of its contracts are left over.
3. If a condor found by structure turns out to be a lot, because its orders have been read, the oldest such lot takes
   over its name. The contracts show it: the condor is gone, or is smaller by exactly the contracts of the new lots.
   The other direction occurs when an order has closed a lot and the positions do not show that yet. There, a condor of
   structure takes over the name only if the lot is gone, as a lot that was closed in part still exists.
4. Any other new condor takes the lowest free number.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Annotated

import msgspec

_ID = re.compile(r"[A-Z0-9]{1,6}-([0-9]{2})([0-9]{2})([0-9]{2})(-[0-9]{1,5}(\.[0-9]{1,3})?){4}(-[1-9][0-9]*)?")


class CondorName(msgspec.Struct, frozen=True, kw_only=True):
    """The name of one condor.

    `base` is the id without its number, `symbols` are its contracts, and `lot` is the key of its lot, None for one of
    structure. `quantity` is how many condors it was, 0 once it has lost legs.
    """

    base: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    lot: str | None
    quantity: int
    symbols: tuple[str, ...]

    @property
    def id(self) -> str:
        """The published id."""
        return self.base if self.number == 1 else f"{self.base}-{self.number}"


Names = Mapping[str, CondorName]
"""The names by the `key` of each condor."""


def expiration_of(condor_id: str) -> dt.date | None:
    """Return the expiration of the condors that can have this id, None if none can."""
    found = _ID.fullmatch(condor_id)
    if found is None:
        return None
    year, month, day = map(int, found.group(1, 2, 3))
    try:
        return dt.date(2000 + year, month, day)
    except ValueError:
        return None


def lot_quantities(names: Names) -> dict[str, int]:
    """How many condors of each lot were shown, by the key of the lot."""
    return {name.lot: name.quantity for name in names.values() if name.lot is not None}


class UnnamedCondor(msgspec.Struct, frozen=True, kw_only=True):
    """A condor to be named.

    `base` is its id without a number. `lot` is the key of its lot, None for a condor of structure; among these, `form`
    distinguishes condors of the same strikes.
    """

    base: str
    lot: str | None
    form: str
    quantity: int
    symbols: tuple[str, ...]

    @property
    def key(self) -> str:
        """Identifies it among all condors."""
        return f"{self.base} {self.form if self.lot is None else self.lot}"


def assign_names(
    condors: Sequence[UnnamedCondor], left: Collection[str], open_lots: Collection[str], before: Names
) -> dict[str, CondorName]:
    """The names of `condors` by their keys, and those kept for condors that lost legs.

    Condors of the same strikes come oldest first. `left` holds the symbols of contracts in no condor, `open_lots` the
    keys of the lots that orders have left open, held or not. `before` is the result for the reading before.
    """
    now = {condor.key: condor for condor in condors}
    names = {key: _name(now[key], before[key].number) for key in now if key in before}
    for key, name in before.items():
        is_open = name.lot is None or name.lot in open_lots
        if key not in now and is_open and 0 < sum(symbol in left for symbol in name.symbols) < len(name.symbols):
            names[key] = msgspec.structs.replace(name, quantity=0)
    unnamed: dict[str, list[UnnamedCondor]] = {}
    for key, condor in now.items():
        if key not in names:
            unnamed.setdefault(condor.base, []).append(condor)
    _hand_over(now, unnamed, names, before)
    taken: dict[str, set[int]] = {}
    for name in names.values():
        taken.setdefault(name.base, set()).add(name.number)
    for key, condor in now.items():
        if key not in names:
            numbers = taken.setdefault(condor.base, set())
            names[key] = _name(condor, next(number for number in count(1) if number not in numbers))
            numbers.add(names[key].number)
    return names


def _hand_over(
    now: Mapping[str, UnnamedCondor],
    unnamed: Mapping[str, list[UnnamedCondor]],
    names: dict[str, CondorName],
    before: Names,
) -> None:
    """Let lots take over names from structure, and structure from lots (rule 3)."""
    for key, old in before.items():
        successors = [
            condor
            for condor in unnamed.get(old.base, ())
            if condor.key not in names and (condor.lot is None) != (old.lot is None)
        ]
        if not successors or (key in names and key not in now):
            continue
        is_smaller = key in now and old.quantity - now[key].quantity == sum(each.quantity for each in successors)
        if key not in now or (old.lot is None and is_smaller):
            names.pop(key, None)
            names[successors[0].key] = _name(successors[0], old.number)


def _name(condor: UnnamedCondor, number: int) -> CondorName:
    return CondorName(base=condor.base, number=number, lot=condor.lot, quantity=condor.quantity, symbols=condor.symbols)
