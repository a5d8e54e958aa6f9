"""Option positions: symbols, quotes, grouping, numbers. Pure functions of their arguments."""
