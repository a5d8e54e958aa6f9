"""Mark every price of a document as unconfirmed while a relay has lost its source."""

from __future__ import annotations

import msgspec

from condord.live import wire
from condord.live.wire_condor import CondorJson


def unconfirmed_if_lost(document: wire.Document) -> wire.Document:
    """Return `document` as clients must read it: with every price unconfirmed if its code is in `wire.LOST_CODES`."""
    if document.status.code not in wire.LOST_CODES:
        return document
    return msgspec.structs.replace(
        document,
        condors=[_with_unconfirmed(condor) for condor in document.condors],
        quotes=[msgspec.structs.replace(quote, unconfirmed=True) for quote in document.quotes],
        underlyings=[msgspec.structs.replace(entry, unconfirmed=True) for entry in document.underlyings],
    )


def condor_unconfirmed_if_lost(one: wire.OneCondor, status: wire.Status) -> wire.OneCondor:
    """Return one condor as clients must read it under `status`, which its answer does not have."""
    if status.code not in wire.LOST_CODES:
        return one
    quotes = [msgspec.structs.replace(quote, unconfirmed=True) for quote in one.quotes]
    return msgspec.structs.replace(one, condor=_with_unconfirmed(one.condor), quotes=quotes)


def _with_unconfirmed(condor: CondorJson) -> CondorJson:
    return msgspec.structs.replace(condor, valuation=msgspec.structs.replace(condor.valuation, unconfirmed=True))
