"""condord: live iron condors from an Alpaca account."""

__version__ = "0.1.0"
