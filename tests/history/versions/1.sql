BEGIN TRANSACTION;
CREATE TABLE accounts (
    account INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    complete_from_us INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES(1,'9af211329b2fc82e5efe','simulator',1795185000000000);
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
INSERT INTO "activities" VALUES(1,1795190400000000,'1','FILL','SPY',100,'2026-11-20',NULL,NULL,NULL,NULL);
CREATE TABLE points (
    point INTEGER PRIMARY KEY,
    cents_off INTEGER,
    natural_off INTEGER,
    low_off INTEGER,
    high_off INTEGER,
    price_off INTEGER
) STRICT;
INSERT INTO "points" VALUES(14336,0,-6,-1,1,0);
INSERT INTO "points" VALUES(16384,0,-6,-1,1,NULL);
CREATE TABLE quarters (
    quarter INTEGER PRIMARY KEY,
    cents_off INTEGER,
    natural_off INTEGER,
    low_off INTEGER,
    high_off INTEGER,
    price_off INTEGER
) STRICT;
INSERT INTO "quarters" VALUES(128,0,-6,-1,1,0);
INSERT INTO "quarters" VALUES(256,0,-6,-1,1,NULL);
INSERT INTO "quarters" VALUES(384,0,-300,-50,50,0);
INSERT INTO "quarters" VALUES(512,0,-300,-50,50,NULL);
INSERT INTO "quarters" VALUES(640,0,-6,-1,1,0);
INSERT INTO "quarters" VALUES(768,0,-6,-1,1,NULL);
INSERT INTO "quarters" VALUES(896,0,-6,-1,1,0);
INSERT INTO "quarters" VALUES(1024,0,-6,-1,1,NULL);
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
INSERT INTO "recent" VALUES(29926950,9,0,-6,-1,1,0);
INSERT INTO "recent" VALUES(29926950,10,0,-6,-1,1,NULL);
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
INSERT INTO "runs" VALUES(1,1,29919751,1,21500,1001,50,5821050,'reduced');
INSERT INTO "runs" VALUES(2,2,29919751,NULL,NULL,1001,50,0,'reduced');
INSERT INTO "runs" VALUES(3,1,29919752,1,21500,1002,1,5821050,'reduced');
INSERT INTO "runs" VALUES(4,2,29919752,NULL,NULL,1002,1,0,'reduced');
INSERT INTO "runs" VALUES(5,1,29921191,1,21500,2441,50,5821050,'reduced');
INSERT INTO "runs" VALUES(6,2,29921191,NULL,NULL,2441,50,0,'reduced');
INSERT INTO "runs" VALUES(7,1,29925510,1,21500,6760,50,5821050,'moved');
INSERT INTO "runs" VALUES(8,2,29925510,NULL,NULL,6760,50,0,'moved');
INSERT INTO "runs" VALUES(9,1,29926950,1,21500,8200,50,5821050,'recent');
INSERT INTO "runs" VALUES(10,2,29926950,NULL,NULL,8200,50,0,'recent');
CREATE TABLE series (
    series INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    condor TEXT,
    opened_us INTEGER,
    worst_cents INTEGER,
    best_cents INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "series" VALUES(1,1,'SPY-261218-560-570-630-640',1794843005250000,951,8250);
INSERT INTO "series" VALUES(2,1,NULL,NULL,951,8250);
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
INSERT INTO "trades" VALUES(1,'SPY-261218-560-570-630-640',1794843005250000,1795190400000000,'SPY','ironCondor','short',2,'closed',21500,10000,2300000,4300000,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX series_of_condor ON series (account, condor);
CREATE INDEX runs_of_series ON runs (series, start_minute);
CREATE INDEX moved_runs ON runs (start_minute) WHERE state = 'moved';
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
COMMIT;
