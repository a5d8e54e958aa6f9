"""The schema of `history.sqlite3`, as a list of migrations. A released migration never changes.

A year of 20 condors takes less than 50 MB because a minute is stored in about 20 bytes:

- A line (`series`) is split into `runs`: one exchange day with one quantity and credit. A minute refers to its run by a
  key of four bytes, and its other columns are small numbers: differences in units of the run. The unit is half a cent a
  contract, as marks are the middle of two prices; where a difference has another unit, a run with the unit 1 begins.
- The minutes of the current day are in `recent`, in the order of their arrival, and move to `points` afterwards. So
  `points` grows at its end. SQLite then fills its pages completely, but only those of a table with a rowid: `WITHOUT
  ROWID`, as for all other tables, would leave a tenth of it empty. The same holds for `quarters`.

A run that moves is also reduced to `quarters`, of 15 minutes each. They answer queries of a long time, and stay when
the minutes are deleted. The views show plain dollars and times.
"""

from __future__ import annotations

RUN_MINUTES = 2048
"""`points.point` is run * 2048 + minute - start of the run. A run is at most one day, which has 1500 minutes."""
QUARTER_MINUTES = 15
"""The length of the buckets that old minutes are reduced to."""
RUN_QUARTERS = 128
"""`quarters.quarter` is run * 128 + the number of its quarter in the run, which begins with 0."""

_TABLES = """
CREATE TABLE accounts (
    account INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    complete_from_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    series INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    condor TEXT,
    opened_us INTEGER,
    worst_cents INTEGER,
    best_cents INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX series_of_condor ON series (account, condor);

CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series,
    start_minute INTEGER NOT NULL,
    quantity INTEGER,
    credit_e4 INTEGER,
    cents INTEGER,
    unit_cents INTEGER NOT NULL,
    price_e4 INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'recent' CHECK (state IN ('recent', 'moved', 'reduced'))
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_of_series ON runs (series, start_minute);
CREATE INDEX moved_runs ON runs (start_minute) WHERE state = 'moved';

CREATE TABLE recent (
    minute INTEGER NOT NULL,
    run INTEGER NOT NULL REFERENCES runs,
    cents_off INTEGER,
    natural_off INTEGER,
    low_off INTEGER,
    high_off INTEGER,
    price_off INTEGER,
    PRIMARY KEY (minute, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE points (
    point INTEGER PRIMARY KEY,
    cents_off INTEGER,
    natural_off INTEGER,
    low_off INTEGER,
    high_off INTEGER,
    price_off INTEGER
) STRICT;

CREATE TABLE quarters (
    quarter INTEGER PRIMARY KEY,
    cents_off INTEGER,
    natural_off INTEGER,
    low_off INTEGER,
    high_off INTEGER,
    price_off INTEGER
) STRICT;

CREATE TABLE trades (
    account INTEGER NOT NULL REFERENCES accounts,
    condor TEXT NOT NULL,
    opened_us INTEGER NOT NULL,
    closed_us INTEGER NOT NULL,
    underlying TEXT NOT NULL,
    kind TEXT NOT NULL,
    direction TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    how TEXT NOT NULL,
    credit_e4 INTEGER,
    debit_e4 INTEGER,
    realized_e4 INTEGER,
    max_profit_e4 INTEGER,
    fees_e4 INTEGER,
    shares_symbol TEXT,
    shares_quantity INTEGER,
    shares_price_e4 INTEGER,
    rolled_to TEXT,
    PRIMARY KEY (account, closed_us, condor, opened_us)
) STRICT, WITHOUT ROWID;

CREATE TABLE activities (
    account INTEGER NOT NULL REFERENCES accounts,
    at_us INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    symbol TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    day TEXT NOT NULL,
    price_e6 INTEGER,
    amount_e4 INTEGER,
    order_id TEXT,
    execution_id TEXT,
    PRIMARY KEY (account, id, kind, symbol)
) STRICT, WITHOUT ROWID;
"""

_VIEWS = """
CREATE VIEW minutes AS
WITH stored (run, minute, cents_off, natural_off, low_off, high_off, price_off) AS (
    SELECT runs.run, runs.start_minute + (point & 2047), cents_off, natural_off, low_off, high_off, price_off
    FROM runs JOIN points ON point BETWEEN runs.run * 2048 AND runs.run * 2048 + 2047
    UNION ALL
    SELECT run, minute, cents_off, natural_off, low_off, high_off, price_off FROM recent
)
SELECT
    accounts.hash AS account,
    series.condor AS condor,
    strftime('%Y-%m-%dT%H:%M:%fZ', series.opened_us / 1e6, 'unixepoch') AS opened_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', stored.minute * 60, 'unixepoch') AS time,
    (coalesce(runs.cents, 0) + runs.unit_cents * stored.cents_off) / 100.0 AS pl,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(stored.cents_off, 0) + stored.natural_off))
        / 100.0 AS natural_pl,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(stored.cents_off, 0) + stored.low_off))
        / 100.0 AS low,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(stored.cents_off, 0) + stored.high_off))
        / 100.0 AS high,
    (runs.price_e4 + stored.price_off) / 10000.0 AS price,
    runs.quantity AS quantity,
    runs.credit_e4 / 10000.0 AS credit
FROM stored JOIN runs USING (run) JOIN series USING (series) JOIN accounts USING (account);

CREATE VIEW quarter_hours AS
SELECT
    accounts.hash AS account,
    series.condor AS condor,
    strftime('%Y-%m-%dT%H:%M:%fZ', series.opened_us / 1e6, 'unixepoch') AS opened_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', ((runs.start_minute + 14) / 15 + (quarter & 127)) * 900, 'unixepoch') AS time,
    (coalesce(runs.cents, 0) + runs.unit_cents * quarters.cents_off) / 100.0 AS pl,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(quarters.cents_off, 0) + quarters.natural_off))
        / 100.0 AS natural_pl,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(quarters.cents_off, 0) + quarters.low_off))
        / 100.0 AS low,
    (coalesce(runs.cents, 0) + runs.unit_cents * (coalesce(quarters.cents_off, 0) + quarters.high_off))
        / 100.0 AS high,
    (runs.price_e4 + quarters.price_off) / 10000.0 AS price,
    runs.quantity AS quantity,
    runs.credit_e4 / 10000.0 AS credit
FROM runs JOIN quarters ON quarter BETWEEN runs.run * 128 AND runs.run * 128 + 127
JOIN series USING (series) JOIN accounts USING (account);

CREATE VIEW holdings AS
SELECT
    accounts.hash AS account,
    accounts.source AS source,
    series.condor AS condor,
    strftime('%Y-%m-%dT%H:%M:%fZ', series.opened_us / 1e6, 'unixepoch') AS opened_at,
    series.worst_cents / 100.0 AS worst_pl,
    series.best_cents / 100.0 AS best_pl
FROM series JOIN accounts USING (account)
WHERE series.condor IS NOT NULL;

CREATE VIEW closed_trades AS
SELECT
    accounts.hash AS account,
    trades.condor AS condor,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(trades.opened_us, 0) / 1e6, 'unixepoch') AS opened_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', trades.closed_us / 1e6, 'unixepoch') AS closed_at,
    trades.underlying AS underlying,
    trades.kind AS kind,
    trades.direction AS direction,
    trades.quantity AS quantity,
    trades.how AS how,
    trades.credit_e4 / 10000.0 AS credit,
    trades.debit_e4 / 10000.0 AS debit,
    trades.realized_e4 / 10000.0 AS realized_pl,
    trades.max_profit_e4 / 10000.0 AS max_profit,
    trades.fees_e4 / 10000.0 AS fees,
    trades.shares_symbol AS shares_symbol,
    trades.shares_quantity AS shares_quantity,
    trades.shares_price_e4 / 10000.0 AS shares_price,
    trades.rolled_to AS rolled_to
FROM trades JOIN accounts USING (account);

CREATE VIEW account_activities AS
SELECT
    accounts.hash AS account,
    strftime('%Y-%m-%dT%H:%M:%fZ', activities.at_us / 1e6, 'unixepoch') AS time,
    activities.day AS day,
    activities.kind AS kind,
    activities.symbol AS symbol,
    activities.quantity AS quantity,
    activities.price_e6 / 1000000.0 AS price,
    activities.amount_e4 / 10000.0 AS amount,
    activities.order_id AS order_id,
    activities.execution_id AS execution_id,
    activities.id AS id
FROM activities JOIN accounts USING (account);
"""

_WHOLE_TRADES = """
ALTER TABLE trades ADD COLUMN is_whole INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS: tuple[str, ...] = (_TABLES + _VIEWS, _WHOLE_TRADES)
"""The script that leads from each version to the next; an empty file has version 0."""
