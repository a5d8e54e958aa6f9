"""The body of `GET /v2/account`: balances, and margin by the rule for spreads."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from condord.core import occ
from condord.core.occ import OptionSymbol
from condord.simulator.orders import is_option, number

_STOCK_MARGIN = Decimal("0.3")
_NAKED_MARGIN = Decimal("0.2")
_MULTIPLIER = 100


class ValuedHolding(msgspec.Struct, frozen=True, kw_only=True):
    """A holding with its value: signed quantity and dollars; `spot` is the price of its underlying."""

    symbol: str
    quantity: int
    value: Decimal
    spot: Decimal


class Balances(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of the account's balances, in dollars; `asof` is the day of `last_equity`."""

    account_id: str
    cash: Decimal
    last_equity: Decimal
    asof: dt.date
    holdings: Sequence[ValuedHolding]


def account_json(balances: Balances) -> dict[str, Any]:
    """The body of `GET /v2/account`; its numbers are related to each other as in a recorded one."""
    values = [held.value for held in balances.holdings]
    long = sum((value for value in values if value > 0), Decimal(0))
    short = sum((value for value in values if value < 0), Decimal(0))
    equity = balances.cash + long + short
    options = sum((held.value for held in balances.holdings if is_option(held.symbol)), Decimal(0))
    margin = maintenance_margin(balances.holdings)
    excess = max(Decimal(0), equity - options - margin)
    return {
        "id": balances.account_id,
        "account_number": "PA3" + balances.account_id[:9].replace("-", "").upper(),
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "cash": number(balances.cash),
        "equity": number(equity),
        "last_equity": number(balances.last_equity),
        "balance_asof": balances.asof.isoformat(),
        "portfolio_value": number(equity),
        "long_market_value": number(long),
        "short_market_value": number(short),
        "position_market_value": number(long - short),
        **dict.fromkeys(("buying_power", "effective_buying_power"), number(excess * 4)),
        "regt_buying_power": number(excess * 2),
        **dict.fromkeys(("options_buying_power", "non_marginable_buying_power"), number(excess)),
        **dict.fromkeys(("initial_margin", "maintenance_margin", "last_maintenance_margin"), number(margin)),
        "sma": number(equity),
        "accrued_fees": "0",
        "multiplier": "4",
        "options_approved_level": 3,
        "options_trading_level": 3,
        "shorting_enabled": True,
        "crypto_tier": 1,
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
        "admin_configurations": {},
        "user_configurations": None,
        "account_blocked": False,
        "trading_blocked": False,
        "transfers_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": "2026-01-05T14:41:03.521189Z",
    }


def maintenance_margin(holdings: Iterable[ValuedHolding]) -> Decimal:
    """The margin for `holdings` in dollars, to the cent.

    Contracts of one root and expiration need their worst value at expiration. Calls that no other call covers need a
    fifth of the underlying, and stocks need 30 %.
    """
    margin = Decimal(0)
    expiries: dict[tuple[str, dt.date], list[tuple[OptionSymbol, ValuedHolding]]] = defaultdict(list)
    for held in holdings:
        if is_option(held.symbol):
            contract = occ.parse(held.symbol)
            expiries[contract.root, contract.expiration].append((contract, held))
        else:
            margin += abs(held.value) * _STOCK_MARGIN
    for legs in expiries.values():
        margin += _expiry_margin(legs)
    return round(margin, 2)


def _expiry_margin(legs: Sequence[tuple[OptionSymbol, ValuedHolding]]) -> Decimal:
    naked = -min(0, sum(held.quantity for contract, held in legs if contract.right == "call"))
    spot = legs[0][1].spot
    worst = _worst_value(legs) / 1000
    return max(Decimal(0), -worst) * _MULTIPLIER + naked * spot * _NAKED_MARGIN * _MULTIPLIER


def _worst_value(legs: Sequence[tuple[OptionSymbol, ValuedHolding]]) -> Decimal:
    """The lowest value at expiration in mills, for prices from zero to the highest strike: it is at zero or a strike.

    Strike by strike, as thousands of legs would take half a minute if each was valued at each strike.
    """
    puts = [(contract.strike_mills, held.quantity) for contract, held in legs if contract.right == "put"]
    value = worst = sum(strike * quantity for strike, quantity in puts)
    slope, before = -sum(quantity for _, quantity in puts), 0
    for contract, held in sorted(legs, key=lambda leg: leg[0].strike_mills):
        value += slope * (contract.strike_mills - before)
        worst, before = min(worst, value), contract.strike_mills
        slope += held.quantity  # below it the put falls with the price, above it the call rises
    return Decimal(worst)
