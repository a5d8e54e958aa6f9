"""How a program talks to a running daemon: one request at a time, or a stream of events."""
