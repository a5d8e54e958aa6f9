"""A local Alpaca: REST, option stream and trading stream over real sockets, with faults on demand."""
