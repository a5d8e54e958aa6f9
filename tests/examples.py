"""Example counts for property tests that need more or fewer than the Hypothesis profile sets, and for other loops."""

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from hypothesis import settings

DEEP = 100
"""The default number of examples in the deep profile."""


Case = TypeVar("Case")


def examples(deep: int) -> int:
    """Return `deep` in the deep profile, and proportionally fewer in the quick one; at least 1."""
    return max(1, deep * settings.default.max_examples // DEEP)


def some_of(cases: Iterable[Case]) -> Iterable[Case]:
    """Return all cases in the deep profile, and a share spread over them in the quick one.

    A test that uses this, or `examples` without `given`, is marked as `deep`, so that the deep run finds it.
    """
    return islice(cases, 0, None, max(1, DEEP // settings.default.max_examples))
