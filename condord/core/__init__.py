"""What an option position is: symbols, quotes, grouping, numbers. Pure functions of their arguments."""
