"""Parse one condition of a rule: `QUANTITY OPERATOR NUMBER`, a word, or `not` and a word.

The text is never evaluated as code. `written` is the inverse of `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from condord.core.rules.catalogue import QUANTITIES, Quantity
from condord.core.rules.rule import Condition, Operator

_MAX_LENGTH = 200  # characters of a condition
_MAX_NUMBER = 1_000_000_000
_MAX_DECIMALS = 6
_NAME = r"[A-Za-z][A-Za-z0-9_]*"
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_COMPARISON = re.compile(rf"({_NAME})\s*(>=|<=|>|<)\s*({_NUMBER})")
_REVERSED = re.compile(rf"({_NUMBER})\s*(>=|<=|>|<)\s*({_NAME})")
_WORD = re.compile(rf"(not\s+)?({_NAME})")
_OPERATORS: dict[str, Operator] = {">=": ">=", "<=": "<=", ">": ">", "<": "<"}
_MIRRORED: dict[str, Operator] = {">=": "<=", "<=": ">=", ">": "<", "<": ">"}
_SIGNS = re.compile(r"[<>=!≤≥≠~]+")
_MEANT = {"=>": ">=", "≥": ">=", "=<": "<=", "≤": "<=", ">>": ">", "<<": "<"}
_LIST = re.compile(r"\band\b|&|;", re.IGNORECASE)
_CHOICE = re.compile(r"\bor\b|\|", re.IGNORECASE)
_FORM = "write a quantity, one of >=, <=, > or <, and a number; or a word; or not and a word"
_EXAMPLE = {True: "tested", False: "percentOfMaxProfit >= 50"}


class BadCondition(ValueError):
    """A text is not a condition. The message states what is wrong and what is allowed, without the text itself."""


def parse(text: str) -> Condition:
    """The condition that `text` describes; blanks do not matter.

    Raises:
        BadCondition: it is not a condition.
    """
    stripped = text.strip()
    if len(stripped) > _MAX_LENGTH:
        raise BadCondition(f"a condition has at most {_MAX_LENGTH} characters")
    if found := _COMPARISON.fullmatch(stripped):
        name, sign, number = found.groups()
        if len(number.partition(".")[2]) > _MAX_DECIMALS:
            raise BadCondition(f"the number must have at most {_MAX_DECIMALS} decimals")
        return _comparison(name, _OPERATORS[sign], float(number))
    if found := _WORD.fullmatch(stripped):
        return _word(found[2], is_negated=found[1] is not None)
    raise BadCondition(_reason(stripped))


def written(condition: Condition) -> str:
    """The condition as it is written in the configuration."""
    if condition.operator is None or condition.threshold is None:
        return f"not {condition.quantity}" if condition.is_negated else condition.quantity
    return f"{condition.quantity} {condition.operator} {_number_text(condition.threshold)}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is spelled most like `name`, ignoring case; None if none is like it."""
    from difflib import get_close_matches  # 9 ms, only after a typing error

    by_letters = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), by_letters, 1)
    return by_letters[found[0]] if found else None


def _comparison(name: str, operator: Operator, threshold: float) -> Condition:
    quantity = _known(name, is_word=False)
    if abs(threshold) > _MAX_NUMBER:
        raise BadCondition(f"the number must be from -{_MAX_NUMBER} to {_MAX_NUMBER}")
    is_low = quantity.lowest is not None and threshold < quantity.lowest
    is_high = quantity.highest is not None and threshold > quantity.highest
    if is_low or is_high:
        upper = "" if quantity.highest is None else f" to {_number_text(quantity.highest)}"
        raise BadCondition(f"{name} is a number from {_number_text(quantity.lowest or 0.0)}{upper}")
    return Condition(quantity=name, operator=operator, threshold=threshold + 0.0)  # turns -0.0 into 0.0


def _word(name: str, *, is_negated: bool) -> Condition:
    return Condition(quantity=_known(name, is_word=True).name, is_negated=is_negated)


def _known(name: str, *, is_word: bool) -> Quantity:
    """The quantity or the word `name`."""
    quantity = QUANTITIES.get(name)
    if quantity is None:
        raise BadCondition(_unknown(name, is_word=is_word))
    if is_word and not quantity.is_word:
        raise BadCondition(f"{name} is a quantity: compare it with a number, {name} >= 1, without not")
    if quantity.is_word and not is_word:
        raise BadCondition(f"{name} is a word: write {name} or not {name}, without a number")
    return quantity


def _unknown(name: str, *, is_word: bool) -> str:
    what = "word" if is_word else "quantity"
    if near := nearest(name, QUANTITIES):
        return f"unknown {what}; the nearest known name is {near}"
    names = ", ".join(each.name for each in QUANTITIES.values() if each.is_word is is_word)
    return f"unknown {what}; known: {names}"


def _reason(text: str) -> str:
    """The fault of a text that does not have the form of a condition."""
    if not text:
        return f"it is empty; {_FORM}"
    if set("%$€£") & set(text):
        return "write the number without % or $: each quantity has its unit already"
    if _LIST.search(text):
        return f'write a list of conditions, all of which must hold: ["{_EXAMPLE[False]}", "{_EXAMPLE[True]}"]'
    if _CHOICE.search(text):
        return "a rule has no `or`: write two rules"
    signs = _SIGNS.findall(text)
    if len(signs) > 1:
        return "only one comparison is allowed; write a list of two conditions, both of which must hold"
    if signs and signs[0] not in _OPERATORS:
        near = _MEANT.get(signs[0])
        return f"unknown operator; {f'the nearest is {near}' if near else 'allowed are >=, <=, > and <'}"
    if re.search(r"[0-9],[0-9]", text):
        return "write the number with a decimal point and without commas"
    if found := _REVERSED.fullmatch(text):
        number, sign, name = found.groups()
        return f"put the quantity first: {name} {_MIRRORED[sign]} {number}"
    if signs and text.lower().startswith("not "):
        return "not is only for words; turn the comparison round instead"
    return _FORM


def _number_text(number: float) -> str:
    """A number without an exponent, and without a decimal point where it is whole."""
    text = f"{Decimal(repr(number)):f}"
    return text.removesuffix(".0")
