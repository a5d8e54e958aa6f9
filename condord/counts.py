"""Decides where each number of a scrape comes from: every part counts for itself, in plain integers.

Nothing here walks over subscribers or tasks, of which there may be thousands: a scrape costs the same for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from condord.audience import Audience
from condord.http.ports import Numbers, StreamNumbers
from condord.live.fanout import RESYNCS
from condord.live.link import RELOADED, SERVING
from condord.live.publisher import Publisher
from condord.live.wire import Code, Refusal

if TYPE_CHECKING:  # alpaca-py would come with them
    from condord.upstream.option_stream import OptionStream
    from condord.upstream.rest import AlpacaRest
    from condord.upstream.supervisor import Supervisor
    from condord.upstream.trade_updates import TradeUpdates

_CODES = dict.fromkeys(get_args(Code), 0)
"""Every reason is there from the start: who looks at increases would miss the first of one that appears."""


def numbers(
    *, supervisor: Supervisor, brokerage: AlpacaRest, publisher: Publisher, audience: Audience, max_subscribers: int
) -> Numbers:
    """What there is to count now; nothing is published by looking."""
    book, fanout = publisher.book, publisher.fanout
    return Numbers(
        status=supervisor.status(),
        streams={"option": _stream(supervisor.stream), "trading": _stream(supervisor.trades)},
        published=book.edition.tally,
        rate_limited=brokerage.rate_limited,
        superseded=book.prices.superseded,
        refused={**dict.fromkeys(get_args(Refusal), 0), **book.prices.refused, **supervisor.refused},
        subscribers=fanout.subscribers,
        max_subscribers=max_subscribers,
        frames=fanout.frames,
        taken_bytes=audience.taken_bytes,
        dropped=fanout.dropped,
        resyncs={**dict.fromkeys(RESYNCS, 0), **fanout.resyncs},
        disconnects=audience.disconnects,
    )


def _stream(line: OptionStream | TradeUpdates) -> StreamNumbers:
    link = line.link
    return StreamNumbers(
        connected=link.state in SERVING,
        messages=line.messages,
        reconnects={**_CODES, RELOADED: 0, **link.reconnected},
        failures={**_CODES, **link.failures},
    )
