"""Answers of a daemon, as plain JSON objects; each call gives a new one."""

import json

AS_OF = "2026-11-20T15:31:07.250000Z"
LEGS = (("put", "P", 560, "long"), ("put", "P", 570, "short"), ("call", "C", 630, "short"), ("call", "C", 640, "long"))


def status(**changes):
    return {
        "state": "live",
        "reason": None,
        "code": None,
        "since": "2026-11-20T15:30:00Z",
        "source": "simulator",
        "feed": "indicative",
        "market": {"isOpen": True, "nextOpen": "2026-11-23T14:30:00Z", "nextClose": "2026-11-20T21:00:00Z"},
        "stream": {
            "connected": True,
            "subscribed": 4,
            "requested": 4,
            "reconnects": 0,
            "lastMessageAt": "2026-11-20T15:31:07Z",
        },
        "positions": {"readAt": "2026-11-20T15:31:00Z", "error": None, "breaker": "closed"},
    } | changes


def notice(**changes):
    return {
        "code": "notStreamed",
        "text": "Alpaca does not stream these contracts",
        "symbols": symbols()[:2],
        "since": "2026-11-20T15:30:00Z",
    } | changes


def report(**changes):
    counters = {
        "version": "0.1.0",
        "pid": 4711,
        "address": "http://127.0.0.1:8420",
        "uptime": 3725.5,
        "reconnects": 2,
        "subscribers": 3,
        "maxSubscribers": 1000,
        "frames": 1842,
        "dropped": 0,
        "evicted": 0,
        "resyncs": {},
        "refused": {},
        "tasks": 12,
    }
    return status() | counters | changes


def symbols(root="SPY", date="261218"):
    return [f"{root}{date}{letter}{strike * 1000:08d}" for _, letter, strike, _ in LEGS]


def valuation(identity="SPY-261218-560-570-630-640", root="SPY", **changes):
    return {
        "id": identity,
        "asOf": AS_OF,
        "mark": 1.2,
        "natural": 1.34,
        "unrealizedPl": 230,
        "naturalPl": 202,
        "percentOfMaxProfit": 48.94,
        "percentOfRisk": 15.03,
        "missing": [],
        "unconfirmed": False,
        "legs": [{"symbol": symbol, "unrealizedPl": 57.5} for symbol in symbols(root)],
    } | changes


def condor(identity="SPY-261218-560-570-630-640", root="SPY", **changes):
    return {
        "id": identity,
        "kind": "ironCondor",
        "direction": "short",
        "underlying": "SPY",
        "root": root,
        "expiration": "2026-12-18",
        "daysToExpiration": 28,
        "quantity": 2,
        "multiplier": 100,
        "brokenWing": False,
        "ambiguous": False,
        "legs": [
            {
                "symbol": symbol,
                "right": right,
                "strike": strike,
                "side": side,
                "quantity": 2,
                "averageEntryPrice": 1.21,
                "costBasis": 242 if side == "long" else -242,
            }
            for symbol, (right, _, strike, side) in zip(symbols(root), LEGS, strict=True)
        ],
        "credit": 2.35,
        "maxProfit": 470,
        "maxLoss": 1530,
        "putWidth": 10,
        "callWidth": 10,
        "breakevens": {"lower": 567.65, "upper": 632.35},
        "valuation": valuation(identity, root),
    } | changes


def quote(symbol, **changes):
    return {
        "symbol": symbol,
        "bid": 1.1,
        "bidSize": 10,
        "ask": 1.3,
        "askSize": 12,
        "mark": 1.2,
        "state": "twoSided",
        "time": AS_OF,
        "unconfirmed": False,
    } | changes


def unmatched(symbol="SPY261218P00500000", **changes):
    return {
        "symbol": symbol,
        "underlying": "SPY",
        "root": "SPY",
        "expiration": "2026-12-18",
        "right": "put",
        "strike": 500,
        "side": "short",
        "quantity": 1,
        "multiplier": 100,
        "averageEntryPrice": 1.09,
        "costBasis": -109,
        "mark": 0.955,
        "unrealizedPl": 13.5,
        "uncoveredShort": True,
        "problem": None,
    } | changes


def totals(**changes):
    return {
        "condors": 1,
        "incomplete": 0,
        "unrealizedPl": 230,
        "naturalPl": 202,
        "unmatchedPl": 0,
        "maxLoss": 1530,
        "byUnderlying": [{"underlying": "SPY", "unrealizedPl": 230, "maxLoss": 1530}],
    } | changes


def document(**changes):
    return {
        "version": "k3f9-1",
        "asOf": AS_OF,
        "status": status(),
        "condors": [condor()],
        "unmatched": [],
        "quotes": [quote(symbol) for symbol in symbols()],
        "totals": totals(),
    } | changes


def delta(**changes):
    return {"asOf": "2026-11-20T15:31:08Z", "quotes": [], "valuations": [], "unmatched": []} | changes


def body(answer):
    return json.dumps(answer, separators=(",", ":")).encode()


def frame(event, payload, version=None):
    identity = b"" if version is None else f"id: {version}\n".encode()
    return f"event: {event}\n".encode() + identity + b"data: " + body(payload) + b"\n\n"


def heartbeat(second):
    return frame("heartbeat", {"asOf": f"2026-11-20T15:31:{second:02d}Z"})
