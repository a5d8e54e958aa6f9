"""The option model: implied volatility, greeks, probabilities and risk, from published quotes and prices.

European Black-Scholes-Merton with continuous rates. Model figures are floats, and are rounded only for the JSON.
"""
