"""The subject of alert rules: one condor, one underlying or the account, with its facts and what alert texts need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from condord.core.condor import Condor
from condord.core.cutoffs import Cutoff
from condord.core.model.risk import Risk
from condord.core.quote import Quote
from condord.core.rules.facts import Facts
from condord.core.valuation import Valuation

ACCOUNT = "account"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A subject that rules are evaluated for.

    `mark` and `natural` are its facts with profit or loss at mark and at natural. `opened_at` is when the condor's
    holding was opened. `name` is for people.

    `is_broken`: the condor lost legs, and no part of it is complete, so only rules about broken condors apply.
    `is_watched`: the session is open and past its first minutes, so an unknown value is worth reporting.
    `lost` is how many contracts of a broken condor disappeared for no known reason.
    `closing_percent` is `percentOfMaxProfit` of the best working order that closes the whole quantity. `notes` are
    clauses for people, by the word that they explain. `spot` is the price to compare strikes with, in dollars.
    `cutoffs` are Alpaca's for the condor, and `quotes` has the quotes of its legs, by symbol.
    """

    mark: Facts
    natural: Facts
    name: str
    opened_at: dt.datetime | None = None
    is_broken: bool = False
    is_watched: bool = False
    lost: int = 0
    closing_percent: float | None = None
    condor: Condor | None = None
    value: Valuation | None = None
    risk: Risk | None = None
    spot: float | None = None
    notes: Mapping[str, str] = {}
    cutoffs: tuple[Cutoff, ...] = ()
    quotes: Mapping[str, Quote] = {}

    @property
    def key(self) -> str:
        """The condor's id, the underlying's symbol, or `account`."""
        return self.mark.subject
