"""The tables of `alerts.sqlite3`.

`alerts` has the state of each rule and subject, and `outbox` the messages that wait, in the order of `sequence`. Both
have their content as JSON (`condord.live.alert_records.AlertRecord`, `condord.notify.messages.Message`), beside the
columns that queries need. `account` is a hash of Alpaca's account id.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE alerts (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    rule TEXT NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    account TEXT NOT NULL,
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    alert TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (account, channel, id)
) STRICT, WITHOUT ROWID;
""",
)
"""The script that leads from each version to the next; an empty file has version 0."""
