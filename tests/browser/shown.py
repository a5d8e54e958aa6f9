"""The text that a page shows, and the text expected for a document, by formatters independent of the page's."""

import datetime as dt
import math
from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "—"
MINUS = "\N{MINUS SIGN}"
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
TIMES = "\N{MULTIPLICATION SIGN}"
_READ = """async () => {
    // Legs are folded until they are asked for.
    for (const button of document.querySelectorAll('article[data-condor] button[aria-expanded=false]')) {
        if (button.textContent === 'Legs') button.click()
    }
    // What shows them is loaded with the first.
    const lacksLegs = (article) => [...article.querySelectorAll('button')].some((button) => button.textContent === 'Legs') && !article.querySelector('.condor-legs')
    do await new Promise(requestAnimationFrame)
    while ([...document.querySelectorAll('article[data-condor]')].some(lacksLegs))
    const text = (element) => element?.textContent.replace(/\\s+/g, ' ').trim() ?? null
    const all = (root, selector) => [...root.querySelectorAll(selector)]
    const cells = (row) => all(row, 'th, td').map(text)
    const facts = (list) => Object.fromEntries(all(list, 'div').map((fact) => [text(fact.querySelector('dt')), text(fact.querySelector('dd'))]))
    const card = (article) => ({
        head: all(article, 'header > *').map(text),
        profit: all(article, '.condor-pl > :is(b, span)').map(text),
        bar: all(article, '.condor-bar-labels span').map(text),
        facts: facts(article.querySelector(':scope > .condor-facts')),
        entry: facts(article.querySelector('.condor-legs .condor-facts')),
        legs: all(article, 'tbody tr').map((row) => {
            const [name, ...numbers] = cells(row)
            const words = text(row.querySelector('small')) ?? ''
            return [name.slice(0, name.length - words.length).trim(), words, ...numbers]
        }),
        payoff: article.querySelector('.condor-payoff')?.getAttribute('aria-label') ?? null,
        labels: all(article, '.condor-payoff text:not(.condor-high, .condor-low)').map(text),
        bounds: all(article, '.condor-notes li').map(text).join('\\n').match(/P\\/L from (\\S+) to (\\S+)$/m)?.slice(1) ?? null,
    })
    const totals = document.querySelector('section[aria-labelledby=totals]')
    return {
        condors: Object.fromEntries(all(document, 'article[data-condor]').map((each) => [each.dataset.condor, card(each)])),
        totals: Object.fromEntries(all(totals, 'dl > div').map((each) => [text(each.querySelector('dt')), text(each.querySelector('summary') ?? each.querySelector('dd'))]).filter(([name]) => !/^(Theta|Maximum)/.test(name))),
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


def expected_cards(document: dict) -> dict:
    """The expected result of `read` for a document."""
    quotes = {quote["symbol"]: quote for quote in document["quotes"]}
    return {
        "condors": {condor["id"]: _card(condor, document, quotes) for condor in document["condors"]},
        "totals": _totals(document),
        "unmatched": [_unmatched(each) for each in document["unmatched"]],
    }


def _totals(document: dict) -> dict[str, str]:
    """The figures of the condors, without those that the page works out itself."""
    totals, account = document["totals"], document["account"] or {}
    return {
        "Condors today": _signed_usd(totals["dayPl"]),
        "Open P/L": _signed_usd(totals["unrealizedPl"]),
        "Closing now": _signed_usd(totals["naturalPl"]),
        "Options buying power": _dollars(account.get("optionsBuyingPower")),
    }


def _card(condor: dict, document: dict, quotes: dict) -> dict:
    value, risk = condor["valuation"], condor["risk"]
    profits = {leg["symbol"]: leg["unrealizedPl"] for leg in value["legs"]}
    realized, bounds, exits = condor["realizedPl"], value["plBounds"], condor["exits"]
    price = _price_of(condor, document)
    shape = _payoff(condor, price)
    part = value["percentOfMaxProfit"]
    return {
        "head": _head(condor, dt.datetime.fromisoformat(document["asOf"]).year),
        "profit": [_signed_usd(value["unrealizedPl"]), f"{_signed_usd(value['dayPl'])} today"],
        "bar": [
            f"Max loss {_usd(condor['maxLoss'])}" if exits["stop"] is None else f"Stop {_whole_usd(exits['stop'])}",
            "" if part is None else f"{_rounded(part, 0)} % of max profit",
            f"Max profit {_usd(condor['maxProfit'])}"
            if exits["target"] is None
            else f"Target {_whole_usd(exits['target'])}",
        ]
        if (condor["maxProfit"] or 0) > 0
        else [],
        "facts": {
            "Put side": _side(risk["distance"]["put"]),
            "Call side": _side(risk["distance"]["call"]),
            "Profit probability": _probability(risk["probabilities"]),
            "Theta a day": _signed_usd(risk["theta"]),
            "Delta": UNKNOWN
            if risk["delta"] is None
            else f"{_signed(risk['delta'])}$ per $1 of {condor['underlying']}",
            "Close at mid": f"{_unsigned(value['mark'])}natural {_unsigned(value['natural'])}",
        },
        "entry": {
            "Debit" if (condor["credit"] or 0) < 0 else "Credit": _unsigned(condor["credit"]),
            "Max profit": _usd(condor["maxProfit"]),
            "Max loss": _usd(condor["maxLoss"]),
            "P/L if closed now": _signed_usd(value["naturalPl"]),
            "Worst so far": _signed_usd(value["worstPl"]),
            "Best so far": _signed_usd(value["bestPl"]),
            **({"Realized by rolls": _signed_usd(realized)} if realized else {}),
        },
        "legs": [_leg(leg, quotes.get(leg["symbol"], {}), profits.get(leg["symbol"])) for leg in condor["legs"]],
        "payoff": shape and shape[0],
        "labels": shape[1] if shape else [],
        "bounds": [_signed_usd(bounds["low"]), _signed_usd(bounds["high"])] if value["missing"] and bounds else None,
    }


def _head(condor: dict, year: int) -> list[str]:
    kind = {"ironCondor": "iron condor", "ironButterfly": "iron butterfly"}[condor["kind"]]
    wing = ", broken wing" if condor["brokenWing"] else ""
    root, underlying, credit = condor["root"], condor["underlying"], condor["credit"]
    of = "" if root == underlying else f" · adjusted {underlying}" if root[-1].isdigit() else f" · {underlying}"
    paid = f"{'debit' if (credit or 0) < 0 else 'credit'} {_unsigned(credit)}"
    settled = " · AM settled" if condor["settlement"] == "am" else ""
    day = dt.date.fromisoformat(condor["expiration"])
    return [
        f"{root} {'/'.join(dict.fromkeys(_strike(leg['strike']) for leg in condor['legs']))}",
        _days(condor["daysToExpiration"]).capitalize(),
        f"{condor['direction'].capitalize()} {kind}{wing} · {TIMES}{condor['quantity']} · {paid}{of}{settled}",
        f"{day:%a, %b %-d}" if day.year == year else f"{day:%b %-d, %Y}",
    ]


def _side(distance: dict) -> str:
    dollars, percent, sigmas = distance["dollars"], distance["percent"], distance["sigmas"]
    # As the page rounds it: in binary.
    cents = None if dollars is None else math.floor(dollars * 100 + 0.5) / 100
    parts = [
        percent is not None and f"{_rounded(percent, 1)} %",
        sigmas is not None and f"{_rounded(sigmas, 1)} {SIGMA}",
    ]
    return _usd(cents) + " · ".join(filter(None, parts))


def _probability(known: dict) -> str:
    for name, words in [
        ("profit", "at expiration"),
        ("profitByDelta", "from deltas"),
        ("profitByCredit", "from credit"),
    ]:
        if known[name] is not None:
            return f"{_rounded(known[name], 0)} %{words}"
    return UNKNOWN


def _price_of(condor: dict, document: dict) -> float | None:
    """The price of the underlying, where the contracts deliver just that."""
    if "price" in condor["risk"]["missing"]:
        return None
    known = {each["symbol"]: each["price"] for each in document["underlyings"]}
    latest = known.get(condor["underlying"])
    return condor["risk"]["price"] if latest is None else latest


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
        _signed_usd(profit),
    ]


def _payoff(condor: dict, price: float | None) -> tuple[str, list[str]] | None:
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
    name = condor["underlying"]
    words = [
        f"Payoff at expiration from {_signed_usd(min(ends))} to {_signed_usd(max(ends))}",
        f"short strikes {' and '.join(shorts)}",
        f"breakevens {' and '.join(evens) or 'none'}",
        *([] if price is None else [f"{name} at {_money(price)}"]),
        f"P/L today {_signed_usd(condor['valuation']['unrealizedPl'])}",
    ]
    return "; ".join(words), shorts + ([] if price is None else [f"{name} {_money(price)}"])


def _unmatched(each: dict) -> list[str]:
    name = (
        f"{each['root']} {_strike(each['strike'])} {each['right']}, {dt.date.fromisoformat(each['expiration']):%b %-d, %Y}"
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
        _signed_usd(each["unrealizedPl"]),
        "; ".join(filter(None, remarks)),
    ]


def _days(days: int) -> str:
    return {0: "expires today", 1: "1 day"}.get(days, f"{days} days")


def _strike(strike: float) -> str:
    return str(strike).removesuffix(".0")


def _usd(value: float | None) -> str:
    """Dollars as the page shows them, without cents if there are none."""
    return UNKNOWN if value is None else f"${_money(value).removesuffix('.00')}".replace(f"${MINUS}", f"{MINUS}$")


def _signed_usd(value: float | Decimal | None) -> str:
    text = _signed(value)
    return text if value is None else f"{text[0]}${text[1:]}" if text[0] in ("+", MINUS) else f"${text}"


def _whole_usd(value: float) -> str:
    return _signed_usd(Decimal(_rounded(value, 0).replace(MINUS, "-"))).removesuffix(".00")


def _unsigned(value: float | None) -> str:
    return _price(None if value is None else abs(value))


def _rounded(value: float, digits: int) -> str:
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return MINUS + str(-exact) if exact < 0 else str(abs(exact))


def _signed(value: float | Decimal | None) -> str:
    text = _money(value)
    return text if value is None or text.startswith(MINUS) or text == "0.00" else f"+{text}"


def _dollars(value: float | None) -> str:
    """Whole dollars; half a dollar is rounded away from zero."""
    return UNKNOWN if value is None else f"${Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP):,}"


def _money(value: float | Decimal | None) -> str:
    return _number(value, 2)


def _price(value: float | Decimal | None) -> str:
    return _number(value, 4)


def _number(value: float | Decimal | None, most: int) -> str:
    """A number as the page shows it, with two to `most` decimals, grouped by thousands."""
    if value is None:
        return UNKNOWN
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    whole, _, decimals = f"{abs(exact):,}".partition(".")
    text = f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"
    return MINUS + text if exact < 0 else text
