"""Answers of a daemon as plain JSON objects; each call returns a new one."""

import json

CONDOR_ID = "SPY-261218-560-570-630-640"
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
        "model": {"rate": 0.04, "dividendYields": {"SPX": 0.012}, "dayCount": "minutes/525600"},
    } | changes


def stocks(**changes):
    return {
        "state": "live",
        "code": None,
        "reason": None,
        "since": "2026-11-20T15:30:00Z",
        "stream": ["SPY"],
        "polled": [],
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
        "stocks": stocks(),
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


def valuation(identity=CONDOR_ID, root="SPY", **changes):
    return {
        "id": identity,
        "asOf": AS_OF,
        "mark": 1.2,
        "natural": 1.34,
        "unrealizedPl": 230,
        "naturalPl": 202,
        "dayPl": 18.5,
        "worstPl": -120,
        "bestPl": 260,
        "percentOfMaxProfit": 48.94,
        "percentOfRisk": 15.03,
        "missing": [],
        "unconfirmed": False,
        "legs": [{"symbol": symbol, "unrealizedPl": 57.5} for symbol in symbols(root)],
    } | changes


def risk(identity=CONDOR_ID, root="SPY", **changes):
    return {
        "id": identity,
        "asOf": AS_OF,
        "price": 582.1,
        "delta": -3.2,
        "gamma": -0.41,
        "theta": 11.8,
        "vega": -20.1,
        "legs": [
            {
                "symbol": symbol,
                "iv": 0.182,
                "delta": -0.12,
                "gamma": 0.011,
                "theta": -0.08,
                "vega": 0.31,
                "source": "model",
            }
            for symbol in symbols(root)
        ],
        "distance": {
            "put": {"dollars": 12.1, "percent": 2.08, "sigmas": 0.42},
            "call": {"dollars": 47.9, "percent": 8.23, "sigmas": 1.58},
        },
        "tested": "none",
        "breached": False,
        "expectedMove": 29.14,
        "probabilities": {
            "profit": 64.8,
            "maxProfit": 61.0,
            "maxLoss": 24.5,
            "touchPut": 67.0,
            "touchCall": 11.8,
            "profitByCredit": 76.5,
            "profitByDelta": 62.0,
        },
        "missing": [],
    } | changes


def underlying(symbol="SPY", **changes):
    return {
        "symbol": symbol,
        "price": 582.1,
        "source": "iexMid",
        "time": AS_OF,
        "unconfirmed": False,
        "reason": None,
        "previousClose": 579.8,
        "change": 2.3,
        "percentChange": 0.4,
        "shares": 100,
        "delta": 96.8,
        "gamma": -0.41,
        "theta": 11.8,
        "vega": -20.1,
        "exDividend": {"date": "2026-12-18", "amount": 1.97, "source": "alpaca"},
    } | changes


def account(**changes):
    return {
        "readAt": AS_OF,
        "equity": 50123.4,
        "lastEquity": 49980,
        "dayPl": 143.4,
        "cash": 20111.2,
        "buyingPower": 40222.4,
        "optionsBuyingPower": 20111.2,
        "maintenanceMargin": 7800,
    } | changes


def expiry():
    return {
        "lastTradingAt": "2026-12-18T21:15:00Z",
        "settlesAt": "2026-12-18T21:15:00Z",
        "cutoffs": [
            {"kind": "orders", "at": "2026-12-18T20:30:00Z", "source": "config"},
            {"kind": "liquidation", "at": "2026-12-18T20:15:00Z", "source": "config"},
        ],
    }


def condor(identity=CONDOR_ID, root="SPY", **changes):
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
        "style": "american",
        "settlement": "pm",
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
        "expiry": expiry(),
        "closing": [],
        "valuation": valuation(identity, root),
        "risk": risk(identity, root),
    } | changes


def closing_order(identity="order", **changes):
    return {
        "orderId": identity,
        "limitPrice": 1.2,
        "quantity": 2,
        "percentOfMaxProfit": 48.94,
        "submittedAt": AS_OF,
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
        "dayPl": -2,
        "uncoveredShort": True,
        "cover": None,
        "problem": None,
    } | changes


def broken(identity="SPY-261218-500-510-560-570", **held):
    """A broken condor of quantity 2; `held` maps each symbol to the number of contracts left."""
    return {
        "id": identity,
        "kind": "ironCondor",
        "direction": "short",
        "underlying": "SPY",
        "root": "SPY",
        "expiration": "2026-12-18",
        "daysToExpiration": 28,
        "quantity": 2,
        "openedAt": None,
        "legs": [
            {"symbol": symbol, "right": "put", "strike": 500, "side": "short", "quantity": 2, "held": count}
            for symbol, count in held.items()
        ],
        "missing": [symbol for symbol, count in held.items() if not count],
        "unrealizedPl": 15,
        "since": AS_OF,
        "expiry": expiry(),
    }


def totals(**changes):
    return {
        "condors": 1,
        "incomplete": 0,
        "unrealizedPl": 230,
        "naturalPl": 202,
        "dayPl": 18.5,
        "unmatchedPl": 0,
        "unmatchedDayPl": 0,
        "closedDayPl": 0,
        "maxLoss": 1530,
        "theta": 11.8,
        "riskIncomplete": 0,
        "byUnderlying": [{"underlying": "SPY", "unrealizedPl": 230, "dayPl": 18.5, "maxLoss": 1530}],
    } | changes


def document(**changes):
    return {
        "version": "k3f9-1",
        "asOf": AS_OF,
        "status": status(),
        "account": account(),
        "underlyings": [underlying()],
        "condors": [condor()],
        "unmatched": [],
        "quotes": [quote(symbol) for symbol in symbols()],
        "totals": totals(),
    } | changes


def unread(**positions):
    """The document of a daemon that has never read its account; `positions` are of its status."""
    unread = {"readAt": None, "error": None, "breaker": "closed"} | positions
    sums = dict.fromkeys(totals(), None) | {"condors": 0, "incomplete": 0, "riskIncomplete": 0, "byUnderlying": []}
    nothing = {"account": None, "underlyings": [], "condors": [], "quotes": [], "totals": sums}
    return document(status=status(state="starting", positions=unread), **nothing)


def one_condor(**changes):
    """The answer for one condor, that of `document`, with its legs' quotes."""
    return {"asOf": AS_OF, "condor": condor(), "quotes": document()["quotes"]} | changes


def recorded(**changes):
    """Two minutes of the account, the second without a known profit or loss."""
    return {
        "id": None,
        "openedAt": None,
        "resolutionSeconds": 60,
        "seconds": [1795188660, 1795188720],
        "cents": [14900, None],
        "naturalCents": [13200, None],
        "price": [None, None],
        "low": [-2500, None],
        "high": [15000, None],
        "quantity": [None, None],
    } | changes


def trade(**changes):
    """A condor that was assigned; `rolledTo` is left out."""
    return {
        "id": "SPY-261120-560-570-630-640",
        "underlying": "SPY",
        "kind": "ironCondor",
        "direction": "short",
        "quantity": 2,
        "openedAt": "2026-10-21T14:40:11Z",
        "closedAt": "2026-11-20T21:00:00Z",
        "how": "assigned",
        "credit": 2.35,
        "debit": 0.4,
        "realizedPl": 390,
        "percentOfMaxProfit": 82.98,
        "daysHeld": 30,
        "worstPl": -120.5,
        "bestPl": 400,
        "fees": 0.16,
        "shares": {"symbol": "SPY", "quantity": -200, "price": 629.6},
    } | changes


def trades(*closed, **totals):
    """One trade with a profit, or those given; the totals are then up to the test."""
    listed = [*closed] or [trade()]
    return {
        "trades": listed,
        "totals": {
            "trades": len(listed),
            "realizedPl": 390,
            "winners": 1,
            "losers": 0,
            "unknown": 0,
            "winRate": 100.0,
            "averageWin": 390,
            "averageLoss": None,
            "completeFrom": "2025-10-16T04:00:00Z",
        }
        | totals,
    }


def alert(**changes):
    return {
        "id": f"breached:{CONDOR_ID}",
        "rule": "breached",
        "condorId": CONDOR_ID,
        "underlying": "SPY",
        "severity": "critical",
        "state": "firing",
        "since": "2026-11-20T15:30:00Z",
        "until": None,
        "value": -0.21,
        "threshold": 0,
        "basis": None,
        "text": "SPY 560/570/630/640 Dec 18: the short put 570 is breached, SPY 568.10.",
        "atStart": False,
        "acknowledgedAt": None,
    } | changes


def rule(**changes):
    return {
        "name": "breached",
        "when": ["distanceSigmas < 0"],
        "clear": ["distanceSigmas > 0.15"],
        "forSeconds": 60,
        "basis": "mark",
        "severity": "critical",
        "builtIn": True,
        "enabled": True,
    } | changes


def channel(**changes):
    return {
        "name": "phone",
        "type": "apprise",
        "minSeverity": "warning",
        "lastDeliveryAt": "2026-11-20T15:30:01Z",
        "lastError": None,
        "waiting": 0,
        "disabled": False,
    } | changes


def alerts(*listed, **changes):
    """One critical alert, or those given, one rule, and one channel."""
    whole = {"asOf": AS_OF, "alerts": [*listed] or [alert()], "rules": [rule()], "channels": [channel()]}
    return whole | changes


def delta(**changes):
    return {"asOf": "2026-11-20T15:31:08Z", "quotes": [], "valuations": [], "unmatched": []} | changes


def body(answer):
    return json.dumps(answer, separators=(",", ":")).encode()


def frame(event, payload, version=None):
    identity = b"" if version is None else f"id: {version}\n".encode()
    return f"event: {event}\n".encode() + identity + b"data: " + body(payload) + b"\n\n"


def heartbeat(second):
    return frame("heartbeat", {"asOf": f"2026-11-20T15:31:{second:02d}Z"})
