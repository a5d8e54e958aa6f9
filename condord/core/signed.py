"""How amounts that may be gains or losses are written wherever people read them."""

from __future__ import annotations


def signed_dollars(amount: float) -> str:
    """Return dollars with their sign, as `+1,234.50`; what rounds to zero is `0.00`."""
    return f"{amount:+,.2f}" if round(amount, 2) else "0.00"
