"""The way to Alpaca: REST, the option stream and the trading stream. The only importer of alpaca-py."""
