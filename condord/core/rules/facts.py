"""The known facts about one subject of rules: a condor, an underlying or the account.

The value of a quantity is a number, a range, or, of a word, true or false; None means that it is not known, and
`ABSENT` that it does not apply: then every comparison with it is false.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

import msgspec

from condord.core.position import Direction, Kind
from condord.core.rules.rule import Scope


class Absent(enum.Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
"""The quantity does not apply to the subject."""


class Between(msgspec.Struct, frozen=True):
    """A number that is only known to be from `low` to `high`, both included."""

    low: float
    high: float


BEYOND = Between(-math.inf, math.nextafter(0.0, -math.inf))
"""A distance that is known only to be negative: beyond the strike, without an implied volatility."""

Value = float | bool | Between | Absent | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one subject by quantity, for one basis of profit or loss.

    `subject` is the condor's id, the underlying's symbol, or `account`. Only condors have `kind` and `direction`. A
    quantity that is not in `values` is not known.
    """

    scope: Scope
    subject: str
    underlying: str | None
    kind: Kind | None = None
    direction: Direction | None = None
    values: Mapping[str, Value] = {}
