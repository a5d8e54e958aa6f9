"""The tables of `alerts.sqlite3`.

`alerts` has the state of each rule and subject, `outbox` the messages that wait, in the order of `sequence`, and
`channels` how the last attempts of each channel ended. All have their content as JSON
(`condord.live.alert_records.AlertRecord`, `condord.notify.messages.Message`, `condord.notify.channel.ChannelState`),
beside the columns that queries need. `account` is a hash of Alpaca's account id.

A new field of a record or a message has a default, so that it needs no migration and an earlier condord ignores it.
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
    """
CREATE TABLE channels (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
""",
)
"""The script that leads from each version to the next; an empty file has version 0."""
