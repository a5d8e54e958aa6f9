"""The adapter to Alpaca: REST, the option stream and the trading stream. Only this package imports alpaca-py."""
