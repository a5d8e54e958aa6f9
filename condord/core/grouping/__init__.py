"""Group the legs of an account into iron condors."""

from condord.core.grouping.search import ACCOUNT_EFFORT, LegBook, Match, match, match_all, residual

__all__ = ["ACCOUNT_EFFORT", "LegBook", "Match", "match", "match_all", "residual"]
