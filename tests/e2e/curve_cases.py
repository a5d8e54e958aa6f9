"""Write web/tests/curve.cases.json: condors, and their profits by the model at prices of the underlying.

    .venv/bin/python -m tests.e2e.curve_cases

The card's own Black-Scholes (web/src/curve.ts) is held to the same file, so that the two models cannot diverge.
"""

import datetime as dt
import json
from pathlib import Path

from condord.core.dividend import Dividend, dividends_until
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.model.assumptions import MINUTES_PER_YEAR, Assumptions
from condord.core.model.black_scholes import MarketConditions, price
from condord.core.model.spot import present_value

CASES_FILE = Path(__file__).parents[2] / "web" / "tests" / "curve.cases.json"
RIGHTS = ("put", "put", "call", "call")
SMILE = (0.262, 0.2134, 0.1871, 0.1698)
NOW = "2026-11-20T15:31:00Z"
CLOSE = "2026-12-18T21:15:00Z"
MODEL = {"rate": 0.04, "dividendYields": {"SPX": 0.012}}
NOTHING = {"nothing after the settlement", "nothing for adjusted contracts"}


def cases():
    """Each case: a condor with the parts of the document that count, the assumptions, the question and the answer."""
    dividend = {"date": "2026-12-11", "amount": 1.97, "source": "alpaca"}
    summer = {"date": "2026-06-12", "amount": 1.83, "source": "config"}
    expired = condor((560, 570, 630, 640), as_of=None)
    june = {"settles_at": "2026-06-18T20:15:00Z", "as_of": "2026-06-01T14:00:00Z"}
    return [
        case("a short condor", condor((560, 570, 630, 640), credit=2.35)),
        case("a long condor of three", condor((560, 570, 630, 640), credit=-2.4, quantity=3, short=False)),
        case("a butterfly", condor((580, 600, 600, 620), credit=11.2)),
        case("a broken wing", condor((550, 570, 630, 635), credit=1.05, quantity=2)),
        case("an index with a dividend yield", condor((5700, 5800, 6300, 6400), credit=18.4, underlying="SPX")),
        case("FLEX contracts", condor((560, 570, 630, 640), root="4SPX", underlying="SPX")),
        case("another multiplier", condor((560, 570, 630, 640), multiplier=10)),
        case("a rate below zero", condor((560, 570, 630, 640)), model={"rate": -0.02, "dividendYields": {}}),
        case("a dividend before the expiration", condor((560, 570, 630, 640)), dividend=dividend),
        case(
            "a dividend takes the place of the yield", condor((560, 570, 630, 640), underlying="SPX"), dividend=dividend
        ),
        case(
            "a dividend on the day of the expiration",
            condor((560, 570, 630, 640)),
            dividend={**dividend, "date": "2026-12-18"},
        ),
        case(
            "a dividend after the expiration", condor((560, 570, 630, 640)), dividend={**dividend, "date": "2026-12-19"}
        ),
        case(
            "a dividend that left the price today",
            condor((560, 570, 630, 640)),
            dividend={**dividend, "date": "2026-11-20"},
        ),
        case(
            "a dividend of the summer", condor((560, 570, 630, 640), expiration="2026-06-18", **june), dividend=summer
        ),
        case("at another time, by the minute", condor((560, 570, 630, 640)), now="2026-12-15T20:30:59.5Z"),
        case("the last minutes", condor((598, 599, 601, 602), as_of="2026-12-18T21:10:00Z"), width=0.01),
        case("far from the money", condor((560, 570, 630, 640), as_of="2026-12-17T20:00:00Z"), width=0.3),
        case("nothing without time", condor((560, 570, 630, 640)), now=CLOSE),
        case("nothing after the settlement", expired),
        case("nothing without an expiry", condor((560, 570, 630, 640), settles_at=None)),
        case("nothing without a volatility", condor((560, 570, 630, 640), smile=(0.2, None, 0.2, 0.2))),
        case("nothing without a credit", condor((560, 570, 630, 640), credit=None)),
        case("nothing for adjusted contracts", condor((560, 570, 630, 640), root="SPY1")),
        case("nothing where the dividend is more than the price", condor((1, 2, 3, 4)), dividend=dividend, width=0.9),
    ]


def condor(
    strikes, credit=2.35, quantity=1, *, short=True, underlying="SPY", root=None, multiplier=100,
    smile=SMILE, expiration="2026-12-18", settles_at=CLOSE, as_of=NOW,
):  # fmt: skip
    """A condor, as far as the curve depends on it."""
    sides = ("long", "short", "short", "long") if short else ("short", "long", "long", "short")
    legs = [
        {"symbol": f"leg {at}", "right": right, "strike": strike, "side": side, "quantity": quantity}
        for at, (right, strike, side) in enumerate(zip(RIGHTS, strikes, sides, strict=True))
    ]
    return {
        "underlying": underlying,
        "root": root or underlying,
        "expiration": expiration,
        "quantity": quantity,
        "multiplier": multiplier,
        "credit": credit,
        "legs": legs,
        "expiry": None if settles_at is None else {"lastTradingAt": settles_at, "settlesAt": settles_at, "cutoffs": []},
        "risk": {
            "asOf": as_of,
            "legs": [{"symbol": leg["symbol"], "iv": iv} for leg, iv in zip(legs, smile, strict=True)],
        },
    }


def case(name, condor, *, model=MODEL, dividend=None, now=None, width=0.12):
    """A question about `condor` at prices around the middle of its strikes, and the model's answer."""
    strikes = [leg["strike"] for leg in condor["legs"]]
    middle = (strikes[1] + strikes[2]) / 2
    prices = [round(middle * (1 + width * step / 8), 4) for step in range(-8, 9)]
    is_unknown = name.startswith("nothing without") or name in NOTHING
    return {
        "name": name,
        "condor": condor,
        "model": model,
        "prices": prices,
        "now": now,
        "exDividend": dividend,
        "pl": [
            None if is_unknown else pl(condor, model, dividend, at(now or condor["risk"]["asOf"]), spot)
            for spot in prices
        ],
    }


def pl(condor, model, dividend, as_of, spot):
    """Dollars for the whole quantity at a price of the underlying, by the daemon's model."""
    as_of = as_of.replace(second=0, microsecond=0)
    assumptions = Assumptions(rate=model["rate"], dividend_yields=model["dividendYields"])
    paid = _paid(condor, dividend, as_of)
    conditions = MarketConditions(
        spot=spot - present_value(paid, assumptions.rate),
        years=(at(condor["expiry"]["settlesAt"]) - as_of).total_seconds() / 60 / MINUTES_PER_YEAR,
        rate=assumptions.rate,
        dividend_yield=0.0 if paid else assumptions.dividend_yields.get(condor["underlying"], 0.0),
    )
    if conditions.spot <= 0:
        return None
    net = condor["credit"] * condor["quantity"]
    for leg, figures in zip(condor["legs"], condor["risk"]["legs"], strict=True):
        sign = 1 if leg["side"] == "long" else -1
        net += sign * leg["quantity"] * price(leg["right"], leg["strike"], figures["iv"], conditions)
    return net * condor["multiplier"]


def _paid(condor, dividend, as_of):
    if dividend is None:
        return []
    known = Dividend(
        symbol=condor["underlying"],
        ex_date=dt.date.fromisoformat(dividend["date"]),
        amount_e6=round(dividend["amount"] * 1_000_000),
        source=dividend["source"],
    )
    expiration = dt.date.fromisoformat(condor["expiration"])
    paid = dividends_until(known.symbol, [known], [], exchange_day(as_of), expiration)
    return [((start_of_day(day) - as_of).total_seconds() / 60 / MINUTES_PER_YEAR, amount) for day, amount in paid]


def at(text):
    return dt.datetime.fromisoformat(text)


def main():
    lines = ",\n".join(json.dumps(case) for case in cases())
    CASES_FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
