"""The text that a page shows, and the text expected for a document, by formatters independent of the page's."""

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "—"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
_READ = """() => {
    const text = (element) => element?.textContent.replace(/\\s+/g, ' ').trim() ?? null
    const all = (root, selector) => [...root.querySelectorAll(selector)]
    const cells = (row) => all(row, 'th, td').map(text)
    const card = (article) => ({
        head: all(article, 'header > *').map(text),
        profit: all(article, '.condor-pl > *').map(text),
        facts: Object.fromEntries(all(article, 'dl > div').map((fact) => [text(fact.querySelector('dt')), text(fact.querySelector('dd'))])),
        legs: all(article, 'tbody tr').map((row) => {
            const [name, ...numbers] = cells(row)
            const words = text(row.querySelector('small')) ?? ''
            return [name.slice(0, name.length - words.length).trim(), words, ...numbers]
        }),
        payoff: article.querySelector('.condor-payoff')?.getAttribute('aria-label') ?? null,
        labels: all(article, '.condor-payoff text').map(text),
        bounds: all(article, '.condor-notes li').map(text).join('\\n').match(/P\\/L from (\\S+) to (\\S+)$/m)?.slice(1) ?? null,
    })
    const totals = document.querySelector('section[aria-labelledby=totals]')
    return {
        condors: Object.fromEntries(all(document, 'article[data-condor]').map((each) => [each.dataset.condor, card(each)])),
        totals: Object.fromEntries(all(totals, 'dl > div').map((each) => [text(each.querySelector('dt')), text(each.querySelector('dd'))])),
        incomplete: text(totals.querySelector('p')),
        underlyings: all(totals, 'tbody tr').map(cells),
        unmatched: all(document, 'section[aria-labelledby=unmatched] tbody tr').map(cells),
    }
}"""
_STATES = {
    "none": "no quote",
    "zeroBid": "no bid",
    "noAsk": "no ask",
    "locked": "locked",
    "crossed": "crossed",
    "stub": "stub quote",
}


def read(page) -> dict:
    """All numbers on a page, with the text beside them."""
    return page.evaluate(_READ)


def wanted(document: dict) -> dict:
    """The expected result of `read` for a document."""
    quotes = {quote["symbol"]: quote for quote in document["quotes"]}
    totals = document["totals"]
    held = {condor["underlying"] for condor in document["condors"]}
    by_underlying = totals["byUnderlying"] if len(totals["byUnderlying"]) > 1 else []
    lack = "lacks" if totals["incomplete"] == 1 else "lack"
    return {
        "condors": {condor["id"]: _card(condor, quotes) for condor in document["condors"]},
        "totals": {
            "P/L of condors": _profit(totals["unrealizedPl"]),
            "P/L if closed now": _profit(totals["naturalPl"]),
            "Unmatched legs": _profit(totals["unmatchedPl"]),
            "Maximum loss": _money(totals["maxLoss"]),
        },
        "incomplete": f"{totals['incomplete']} of {totals['condors']} condors {lack} a quote."
        if totals["incomplete"]
        else None,
        "underlyings": [
            [
                each["underlying"],
                _profit(each["unrealizedPl"]) if each["underlying"] in held else UNKNOWN,
                _money(each["maxLoss"]),
            ]
            for each in by_underlying
        ],
        "unmatched": [_unmatched(each) for each in document["unmatched"]],
    }


def _card(condor: dict, quotes: dict) -> dict:
    value = condor["valuation"]
    profits = {leg["symbol"]: leg["unrealizedPl"] for leg in value["legs"]}
    kind = {"ironCondor": "iron condor", "ironButterfly": "iron butterfly"}[condor["kind"]]
    wing = ", broken wing" if condor["brokenWing"] else ""
    realized, bounds = condor["realizedPl"], value["plBounds"]
    shape = _payoff(condor)
    return {
        "head": [
            condor["underlying"],
            f"{dt.date.fromisoformat(condor['expiration']):%b %-d, %Y} · {_days(condor['daysToExpiration'])}",
            f"{condor['direction']} {kind} {TIMES} {condor['quantity']}{wing}",
            " / ".join(_strike(leg["strike"]) for leg in condor["legs"]),
        ],
        "profit": [
            _profit(value["unrealizedPl"]),
            f"{_percent(value['percentOfMaxProfit'])} of max profit",
        ],
        "facts": {
            "Credit": _price(condor["credit"]),
            "Mark (mid)": _price(value["mark"]),
            "Close now": _price(value["natural"]),
            "P/L if closed now": _signed(value["naturalPl"]),
            "Max profit": _money(condor["maxProfit"]),
            "Max loss": _money(condor["maxLoss"]),
            **({"Realized by rolls": _signed(realized)} if realized else {}),
        },
        "legs": [_leg(leg, quotes.get(leg["symbol"], {}), profits.get(leg["symbol"])) for leg in condor["legs"]],
        "payoff": shape and shape[0],
        "labels": shape[1] if shape else [],
        "bounds": [_signed(bounds["low"]), _signed(bounds["high"])] if value["missing"] and bounds else None,
    }


def _leg(leg: dict, quote: dict, profit: float | None) -> list[str]:
    words = [
        _STATES.get(quote.get("state", "none")),
        "unconfirmed" if quote.get("unconfirmed") else None,
        "multiplier assumed" if leg["multiplierAssumed"] else None,
    ]
    sign = "+" if leg["side"] == "long" else MINUS
    return [
        f"{sign}{leg['quantity']} {_strike(leg['strike'])} {leg['right']}",
        ", ".join(filter(None, words)),
        _price(quote.get("bid")),
        _price(quote.get("ask") if quote.get("state") != "noAsk" else None),
        _price(quote.get("mark")),
        _signed(profit),
    ]


def _payoff(condor: dict) -> tuple[str, list[str]] | None:
    """The description of a payoff chart and the numbers in it; the payoff is level outside the strikes."""
    if condor["credit"] is None:
        return None

    def profit_at(price: Decimal) -> Decimal:
        total = Decimal(str(condor["credit"])) * condor["quantity"]
        for leg in condor["legs"]:
            beyond = (
                price - Decimal(str(leg["strike"])) if leg["right"] == "call" else Decimal(str(leg["strike"])) - price
            )
            total += max(Decimal(0), beyond) * leg["quantity"] * (1 if leg["side"] == "long" else -1)
        return total * condor["multiplier"]

    ends = [Decimal(0), *(profit_at(Decimal(str(leg["strike"]))) for leg in condor["legs"])]
    shorts = [_strike(strike) for strike in sorted({leg["strike"] for leg in condor["legs"] if leg["side"] == "short"})]
    evens = [_price(at) for at in (condor["breakevens"]["lower"], condor["breakevens"]["upper"]) if at is not None]
    words = (
        f"Payoff at expiration from {_signed(min(ends))} to {_signed(max(ends))}; short strikes {' and '.join(shorts)}; "
        f"breakevens {' and '.join(evens) or 'none'}; now {_signed(condor['valuation']['unrealizedPl'])}"
    )
    return words, shorts + evens


def _unmatched(each: dict) -> list[str]:
    name = (
        f"{each['underlying']} {each['expiration']} {_strike(each['strike'])} {each['right']}"
        if each["strike"]
        else each["symbol"]
    )
    covers = {"sameExpiry": "covered", "laterLong": "covered by a later long", "shares": "covered by shares"}
    remarks = ["uncovered short" if each["uncoveredShort"] else covers.get(each["cover"]), each["problem"]]
    return [
        name,
        UNKNOWN if each["quantity"] is None else f"{each['quantity']} {each['side']}",
        _price(each["averageEntryPrice"]),
        _price(each["mark"]),
        _profit(each["unrealizedPl"]),
        "; ".join(filter(None, remarks)),
    ]


def _days(days: int) -> str:
    return {0: "expires today", 1: "1 day"}.get(days, f"{days} days")


def _strike(strike: float) -> str:
    return str(strike).removesuffix(".0")


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{_money(value)} %"


def _profit(value: float | None) -> str:
    arrow = "" if not value else "▲ " if value > 0 else "▼ "
    return arrow + _signed(value)


def _signed(value: float | Decimal | None) -> str:
    text = _money(value)
    return text if value is None or text.startswith(MINUS) or text == "0.00" else f"+{text}"


def _money(value: float | Decimal | None) -> str:
    return _number(value, 2)


def _price(value: float | Decimal | None) -> str:
    return _number(value, 4)


def _number(value: float | Decimal | None, most: int) -> str:
    """With two to `most` decimals, grouped by thousands."""
    if value is None:
        return UNKNOWN
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    whole, _, decimals = f"{abs(exact):,}".partition(".")
    text = f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"
    return MINUS + text if exact < 0 else text
