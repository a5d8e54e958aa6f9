import datetime as dt
import json

import msgspec

from condord.live import wire, wire_condor

from .accounts import EPOCH_AT, PublishingService, spy


def test_a_condor_of_an_older_daemon_has_no_expiry_no_orders_and_an_unknown_risk():
    service = PublishingService(spy())
    [condor] = json.loads(wire.encode(service.edition.document(service.now_at)))["condors"]
    for name in ("style", "settlement", "expiry", "closing", "risk", "history"):
        del condor[name]
    for name in ("dayPl", "worstPl", "bestPl"):
        del condor["valuation"][name]
    read = msgspec.convert(condor, wire_condor.CondorJson)
    assert (read.style, read.settlement, read.expiry, read.closing) == (None, None, None, [])
    assert (read.valuation.day_pl, read.valuation.worst_pl, read.valuation.best_pl) == (None, None, None)
    assert (read.risk.price, read.risk.legs, read.risk.missing) == (None, [], [])
    assert read.history == wire_condor.HistoryJson()


def test_a_condor_read_again_is_the_same():
    service = PublishingService(spy())
    [condor] = service.edition.document(service.now_at).condors
    assert msgspec.json.decode(wire.encode(condor), type=wire_condor.CondorJson) == condor
    assert condor.expiration == dt.date(2026, 12, 18)
    assert condor.valuation.as_of is None
    assert condor.expiry.settles_at > EPOCH_AT
