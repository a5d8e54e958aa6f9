"""The adapter to SQLite: recorded profit and loss, closed trades and account activities in `history.sqlite3`."""
