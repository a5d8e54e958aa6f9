BEGIN TRANSACTION;
CREATE TABLE alerts (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    rule TEXT NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "alerts" VALUES('2c70e12b7a0646f92279','firing:SPY-261218-560-570-630-640','firing','firing','{"id":"firing:SPY-261218-560-570-630-640","rule":"firing","definition":"d","condor_id":"SPY-261218-560-570-630-640","underlying":"SPY","opened_at":"2026-11-17T15:31:00Z","state":"firing","severity":"warning","basis":"mark","since":"2026-11-20T15:31:00Z","as_of":"2026-11-20T15:31:00Z","until":null,"value":51.2,"threshold":50.0,"text":"firing: SPY 560/570/630/640 Dec 18 has made 51 % of its maximum profit.","at_start":true,"acknowledged_at":null,"held_seconds":0.0,"repeated_seconds":0.0,"repeats":0,"serial":1,"last":null,"is_first":false}');
INSERT INTO "alerts" VALUES('2c70e12b7a0646f92279','over:QQQ-261218-560-570-630-640','over','resolved','{"id":"over:QQQ-261218-560-570-630-640","rule":"over","definition":"d","condor_id":"QQQ-261218-560-570-630-640","underlying":"QQQ","opened_at":"2026-11-17T15:31:00Z","state":"resolved","severity":"warning","basis":"mark","since":"2026-11-20T15:31:00Z","as_of":"2026-11-20T15:31:00Z","until":"2026-11-20T15:32:00Z","value":51.2,"threshold":50.0,"text":"over: QQQ 560/570/630/640 Dec 18 has made 51 % of its maximum profit.","at_start":false,"acknowledged_at":null,"held_seconds":0.0,"repeated_seconds":0.0,"repeats":0,"serial":1,"last":"resolved","is_first":false}');
INSERT INTO "alerts" VALUES('2c70e12b7a0646f92279','waits:SPY-261218-560-570-630-640','waits','pending','{"id":"waits:SPY-261218-560-570-630-640","rule":"waits","definition":"d","condor_id":"SPY-261218-560-570-630-640","underlying":"SPY","opened_at":"2026-11-17T15:31:00Z","state":"pending","severity":"warning","basis":"mark","since":"2026-11-20T15:31:00Z","as_of":"2026-11-20T15:31:00Z","until":null,"value":51.2,"threshold":50.0,"text":"","at_start":false,"acknowledged_at":null,"held_seconds":12.5,"repeated_seconds":0.0,"repeats":0,"serial":0,"last":null,"is_first":true}');
CREATE TABLE outbox (
    account TEXT NOT NULL,
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    alert TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (account, channel, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "outbox" VALUES('2c70e12b7a0646f92279','hook','msg_54355227a16e365a8e1c459305605bf2','over:SPY-261218-560-570-630-640',1,'{"sequence":1,"channel":"hook","id":"msg_54355227a16e365a8e1c459305605bf2","kind":"firing","alert_id":"over:SPY-261218-560-570-630-640","severity":"warning","underlying":"SPY","text":"over: SPY 560/570/630/640 Dec 18 has made 51 % of its maximum profit.","data":"{\"id\":\"over:SPY-261218-560-570-630-640\",\"rule\":\"over\",\"condorId\":\"SPY-261218-560-570-630-640\",\"underlying\":\"SPY\",\"severity\":\"warning\",\"state\":\"firing\",\"since\":\"2026-11-20T15:31:00Z\",\"until\":null,\"value\":51.2,\"threshold\":50.0,\"basis\":\"mark\",\"text\":\"over: SPY 560/570/630/640 Dec 18 has made 51 % of its maximum profit.\",\"atStart\":false,\"acknowledgedAt\":null}","at":"2026-11-20T15:31:00Z","batch":"msg_54355227a16e365a8e1c459305605bf2","due_at":"2026-11-20T15:31:00Z","expires_at":"2026-11-20T21:00:00Z","attempts":0,"is_held":false}');
INSERT INTO "outbox" VALUES('2c70e12b7a0646f92279','hook','msg_76d259803dd74a606dfdecfb8fc30b1c','firing:SPY-261218-560-570-630-640',1,'{"sequence":1,"channel":"hook","id":"msg_76d259803dd74a606dfdecfb8fc30b1c","kind":"firing","alert_id":"firing:SPY-261218-560-570-630-640","severity":"warning","underlying":"SPY","text":"firing: SPY 560/570/630/640 Dec 18 has made 51 % of its maximum profit.","data":"{\"id\":\"firing:SPY-261218-560-570-630-640\",\"rule\":\"firing\",\"condorId\":\"SPY-261218-560-570-630-640\",\"underlying\":\"SPY\",\"severity\":\"warning\",\"state\":\"firing\",\"since\":\"2026-11-20T15:31:00Z\",\"until\":null,\"value\":51.2,\"threshold\":50.0,\"basis\":\"mark\",\"text\":\"firing: SPY 560/570/630/640 Dec 18 has made 51 % of its maximum profit.\",\"atStart\":false,\"acknowledgedAt\":null}","at":"2026-11-20T15:31:00Z","batch":"msg_76d259803dd74a606dfdecfb8fc30b1c","due_at":"2026-11-20T15:31:00Z","expires_at":"2026-11-20T21:00:00Z","attempts":0,"is_held":false}');
COMMIT;
