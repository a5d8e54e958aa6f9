"""Group the legs of an account into iron condors."""

from condord.core.grouping.search import ACCOUNT_BUDGET, LegBook, Match, match, match_all

__all__ = ["ACCOUNT_BUDGET", "LegBook", "Match", "match", "match_all"]
