"""Valid frames and responses made of parts, so that one part can be damaged while the others stay valid.

A map is a list of pairs of encoded keys and values, which allows maps that no encoder writes, such as duplicate keys.
"""

import json

import msgspec

from condord.simulator import wire
from tests.fakes.alpaca import CONDOR, STARTED_AT
from tests.live.accounts import P560, P570

PACK = msgspec.msgpack.encode
AT_NS = int(STARTED_AT.timestamp()) * 10**9
AT = f"{STARTED_AT:%Y-%m-%dT%H:%M:%S}.756509354Z"


def packed_pairs(message):
    return [(PACK(key), PACK(value)) for key, value in message.items()]


def packed_map(pairs):
    return b"\xde" + len(pairs).to_bytes(2, "big") + b"".join(key + value for key, value in pairs)


def frame(elements):
    """A frame of the option stream, made of encoded elements."""
    return wire.frame(elements)


def quote(symbol=P560, bits=64, **fields):
    message = {"T": "q", "S": symbol, "t": wire.timestamp(AT_NS, bits), "bx": "C", "bp": 1.5, "bs": 3}
    return message | {"ax": "C", "ap": 2, "as": 4.0, "c": "A"} | fields


WELCOME = {"T": "success", "msg": "connected"}
LOGGED_IN = {"T": "success", "msg": "authenticated"}
SUBSCRIBED = {"T": "subscription", "trades": [], "quotes": [P560]}
TRADE = {"T": "t", "S": P560, "t": wire.timestamp(AT_NS), "p": 1.5, "s": 1, "x": "C", "c": "a"}
ELEMENTS = [
    quote(),
    quote(P570, 32, bp=0, bs=0, bx="?"),
    quote(P570, 96),
    TRADE,
    WELCOME,
    LOGGED_IN,
    SUBSCRIBED,
    *map(wire.error_message, wire.MESSAGES),
]


def encoded(row):
    return json.dumps(row).encode()


def json_pairs(row):
    return [(encoded(key), encoded(value)) for key, value in row.items()]


def json_map(pairs):
    return b"{" + b",".join(key + b":" + value for key, value in pairs) + b"}"


def json_list(items):
    return b"[" + b",".join(items) + b"]"


def position(symbol, quantity=1):
    return {
        "asset_class": "us_option",
        "symbol": symbol,
        "qty": str(quantity),
        "side": "long" if quantity > 0 else "short",
        "avg_entry_price": "1.2",
        "cost_basis": str(120 * quantity),
        "market_value": None,
    }


STOCK = {"asset_class": "us_equity", "symbol": "SPY", "qty": "200", "side": "long"}
CLOCK = {
    "timestamp": "2026-11-20T10:00:00.5-05:00",
    "is_open": True,
    "next_open": "2026-11-23T09:30:00-05:00",
    "next_close": "2026-11-20T16:00:00-05:00",
}
DAYS = [
    {"date": "2026-11-19", "open": "09:30", "close": "16:00"},
    {"date": "2026-11-20", "open": "09:30", "close": "13:00"},
]
REST_QUOTE = {"ap": 13.11, "as": 78, "ax": "S", "bp": 13.06, "bs": 26, "bx": "C", "c": "A", "t": AT}
CONTRACT = {
    "symbol": P560,
    "multiplier": "100",
    "underlying_symbol": "SPY",
    "deliverables": [{"symbol": "SPY", "amount": "100"}, {"symbol": "USD", "amount": "5.5"}],
}
LEGS = zip(CONDOR, ("sell_to_open", "sell_to_open", "buy_to_open", "buy_to_open"), strict=True)
ORDER = {
    "id": "one",
    "symbol": "",
    "status": "filled",
    "submitted_at": AT,
    "filled_at": AT,
    "filled_qty": "1",
    "legs": [
        {"symbol": symbol, "position_intent": intent, "filled_qty": "1", "filled_avg_price": "1.1", "filled_at": AT}
        for symbol, intent in LEGS
    ],
}

BOUGHT = {
    "id": "20261120::one",
    "activity_type": "FILL",
    "symbol": "SPY",
    "side": "buy",
    "qty": "100",
    "transaction_time": AT,
}
ASSIGNED = {
    "id": "20261120::two",
    "activity_type": "OPASN",
    "symbol": P570,
    "qty": "2",
    "date": "2026-11-20",
    "created_at": AT,
}
FEE = {
    "id": "20261120::five",
    "activity_type": "FEE",
    "activity_sub_type": "OCC",
    "date": "2026-11-20",
    "created_at": AT,
    "execution_id": "three",
    "net_amount": "-0.03",
    "status": "executed",
}
DELIVERED = ASSIGNED | {"activity_type": "OPTRD", "symbol": "SPY", "price": "570", "net_amount": "-114000"}
DAY_BAR = {"t": "2026-11-19T05:00:00Z", "o": 580, "h": 583, "l": 579.5, "c": 582.1, "v": 1000, "n": 9, "vw": 581}
SPLIT = {"symbol": "SPY", "new_rate": 4, "old_rate": 1, "ex_date": "2026-11-20", "process_date": "2026-11-20"}

BALANCES = {"equity": "50123.4", "last_equity": "49980", "cash": "20111.2", "maintenance_margin": "7800"}
DEPOSIT = {"id": "d", "activity_type": "CSD", "date": "2026-11-20", "net_amount": "1000", "status": "executed"}
SOLD = {
    "id": "20261120::three",
    "activity_type": "FILL",
    "symbol": P560,
    "side": "sell_short",
    "qty": "2",
    "price": "1.25",
    "order_id": "one",
    "transaction_time": AT,
}
WORKING = ORDER | {
    "status": "new",
    "order_class": "mleg",
    "qty": "3",
    "limit_price": "-1.2",
    "legs": [leg | {"ratio_qty": "1"} for leg in ORDER["legs"]],
}
STOCK_SNAPSHOT = {
    "latestTrade": {"t": AT, "p": 582.11, "s": 100},
    "latestQuote": REST_QUOTE,
    "dailyBar": {"t": "2026-11-20T05:00:00Z", "c": 582.1},
    "prevDailyBar": {"t": "2026-11-19T05:00:00Z", "c": 579.8},
}
INDEX_VALUE = {"t": AT, "v": 6543.21}
OPTION_SNAPSHOT = {
    "latestQuote": REST_QUOTE,
    "impliedVolatility": 0.2,
    "greeks": {"delta": -0.1, "gamma": 0.01, "theta": -0.05, "vega": 0.3, "rho": 0.1},
}
DIVIDEND = {"symbol": "SPY", "ex_date": "2026-12-18", "rate": 1.97, "process_date": "2027-01-30"}

AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
FILL = {"stream": "trade_updates", "data": {"event": "fill", "qty": "1", "order": {"symbol": P560}}}
EVENTS = [AUTHORIZED, LISTENING, FILL]


def rest_answers():
    """A valid response for each decoder of `tests.fuzz.decoders.REST`."""
    return {
        name: encoded(answer)
        for name, answer in {
            "holdings": [*(position(symbol, sign) for symbol, sign in zip(CONDOR, (-2, -2, 2, 2), strict=True)), STOCK],
            "clock": CLOCK,
            "calendar": DAYS,
            "ticks": {"quotes": {P560: REST_QUOTE, P570: REST_QUOTE}},
            "contract": CONTRACT,
            "orders": [ORDER],
            "activities": [BOUGHT, ASSIGNED],
            "past": [SOLD, FEE, DELIVERED],
            "closes": {"bars": {"SPY": [DAY_BAR, DAY_BAR]}, "next_page_token": "more"},
            "splits": {"corporate_actions": {"forward_splits": [SPLIT]}},
            "account": {"id": "d66d53bc-6347-5c64-89bc-bf340553b3fa", "status": "ACTIVE", "equity": "99728.08"},
            "stocks": {"SPY": STOCK_SNAPSHOT, "QQQ": STOCK_SNAPSHOT},
            "indexes": {"values": {"SPX": INDEX_VALUE}},
            "snapshots": {"snapshots": {P560: OPTION_SNAPSHOT, P570: OPTION_SNAPSHOT}},
            "dividends": {"corporate_actions": {"cash_dividends": [DIVIDEND]}},
            "balances": BALANCES,
            "transfers": [DEPOSIT],
            "workingOrders": [WORKING],
            "fills": [SOLD, BOUGHT],
        }.items()
    }
