"""Example counts for property tests that need more or fewer than the Hypothesis profile sets."""

from hypothesis import settings

DEEP = 100
"""The default number of examples in the deep profile."""


def examples(deep: int) -> int:
    """Return `deep` in the deep profile, and proportionally fewer in the quick one; at least 1."""
    return max(1, deep * settings.default.max_examples // DEEP)
