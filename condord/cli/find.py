"""The search by `/` in a watched table. It takes the same terms as the field "Find" of the page.

These are names, strikes, dates (`Dec 18`, `2026-12-18`), days left (`5 days`, `<7 days`) and states (`broken`,
`losing`, `tested`). Every word must match. `web/src/page/find.ts` has the same rules, and `web/tests/find.cases.json`
holds both to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from condord.cli import formatting
from condord.cli.view import AnyCondor, profit
from condord.core.rules.rule import Severity
from condord.live.urgency import EXPIRING_DAYS
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

Test = Callable[[AnyCondor, Severity | None], bool]
"""Whether a condor matches, given the severity that it is marked with."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PREFIX_LENGTH = 3
"""The beginning of a word for a state finds the state too, from this many letters on."""


def _of_condor(test: Callable[[CondorJson], bool]) -> Test:
    return lambda condor, _: isinstance(condor, CondorJson) and test(condor)


def _is_incomplete(condor: AnyCondor, _: Severity | None = None) -> bool:
    return isinstance(condor, BrokenJson) or bool(condor.valuation.missing)


_UNCONFIRMED = _of_condor(lambda condor: condor.valuation.unconfirmed)
_WING = _of_condor(lambda condor: condor.broken_wing)
_STATES: Mapping[str, Test] = {
    "broken": lambda condor, _: isinstance(condor, BrokenJson),
    "losing": lambda condor, _: (profit(condor) or 0) < 0,
    "winning": lambda condor, _: (profit(condor) or 0) > 0,
    "tested": _of_condor(lambda condor: condor.risk.tested in ("put", "call")),
    "breached": _of_condor(lambda condor: condor.risk.breached is True),
    "expiring": lambda condor, _: condor.days_to_expiration <= EXPIRING_DAYS,
    "critical": lambda _, severity: severity == "critical",
    "warning": lambda _, severity: severity == "warning",
    "alert": lambda _, severity: severity is not None,
    "closing": _of_condor(lambda condor: bool(condor.closing)),
    "incomplete": _is_incomplete,
    "unconfirmed": _UNCONFIRMED,
    "doubtful": lambda condor, severity: _is_incomplete(condor) or _UNCONFIRMED(condor, severity),
    "today": lambda condor, _: condor.days_to_expiration == 0,
    "tomorrow": lambda condor, _: condor.days_to_expiration == 1,
    "short": lambda condor, _: condor.direction == "short",
    "long": lambda condor, _: condor.direction == "long",
    "iron": lambda _, __: True,
    "condor": lambda condor, _: condor.kind == "ironCondor",
    "butterfly": lambda condor, _: condor.kind == "ironButterfly",
    "wing": _WING,
}
_DAYS = r"\s*([0-9]+)\s*d(?:ays?)?(?=\s|$)"


def _dated(month: str, day: str, year: str | None) -> Test | None:
    """None for an unknown month: it is a name then."""
    if month not in _MONTHS:
        return None
    wanted = f"-{_MONTHS.index(month) + 1:02}-{int(day):02}"

    def test(condor: AnyCondor, _: Severity | None) -> bool:
        date = condor.expiration.isoformat()
        return date.endswith(wanted) and date.startswith(year or "")

    return test


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Test | None]], ...] = (
    (
        re.compile(rf"(?:<=|≤|within){_DAYS}"),
        lambda match: lambda condor, _: condor.days_to_expiration <= int(match[1]),
    ),
    (re.compile(rf"(?:<|under){_DAYS}"), lambda match: lambda condor, _: condor.days_to_expiration < int(match[1])),
    (re.compile(_DAYS), lambda match: lambda condor, _: condor.days_to_expiration == int(match[1])),
    (
        re.compile(r"([a-z]{3})[a-z]*\.?\s+([0-9]{1,2})(?:,?\s+(20[0-9]{2}))?(?=[\s,]|$)"),
        lambda match: _dated(match[1], match[2], match[3]),
    ),
    (
        re.compile(r"([0-9]{1,2})\.?\s+([a-z]{3})[a-z]*(?:\s+(20[0-9]{2}))?(?=\s|$)"),
        lambda match: _dated(match[2], match[1], match[3]),
    ),
    (re.compile(r"broken[ -]wing(?=\s|$)"), lambda _: _WING),
)
"""The patterns of search terms that are not plain words, each with the function that returns its condition."""


def finder(text: str) -> Test:
    """Return whether a condor matches `text`."""
    tests, rest = [], text.lower().lstrip(" ,")
    while rest:
        test, length = _next(rest)
        tests.append(test)
        rest = rest[length:].lstrip(" ,")
    return lambda condor, severity: all(test(condor, severity) for test in tests)


def _next(rest: str) -> tuple[Test, int]:
    for pattern, make in _PATTERNS:
        if (match := pattern.match(rest)) and (test := make(match)):
            return test, match.end()
    word = re.split(r"[\s,]", rest, maxsplit=1)[0]
    return _word_test(word), len(word)


def _word_test(word: str) -> Test:
    is_prefix = len(word) >= _PREFIX_LENGTH
    states = [test for name, test in _STATES.items() if name == word or (is_prefix and name.startswith(word))]
    is_month = word.isalpha() and is_prefix and word[:3] in _MONTHS

    def test(condor: AnyCondor, severity: Severity | None) -> bool:
        return (
            _is_named(condor, word)
            or any(state(condor, severity) for state in states)
            or (is_month and condor.expiration.month == _MONTHS.index(word[:3]) + 1)
        )

    return test


def _is_named(condor: AnyCondor, word: str) -> bool:
    date = condor.expiration.isoformat()
    strikes = [formatting.number(strike) for strike in sorted({leg.strike for leg in condor.legs})]
    if re.fullmatch(r"[0-9.]+", word):
        return date.startswith(word) or any(strike.startswith(word) for strike in strikes)
    is_date = "-" in word and date.startswith(word)
    # An id contains its strikes joined by hyphens; people write slashes.
    is_joined = bool(re.search("[-/]", word)) and (word in condor.id.lower() or word in "/".join(strikes))
    return is_date or is_joined or any(word in name.lower() for name in (condor.underlying, condor.root))
