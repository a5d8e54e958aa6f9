import pytest

from condord.upstream.faults import RestFault
from condord.upstream.quotes import POLL_SECONDS, QuoteReader
from tests.fakes.alpaca import CONDOR, OUTAGE, FakeBrokerage, FakeDesk
from tests.virtualtime import run


class Link:
    def __init__(self):
        self.state = "live"


class Stream:
    """As much of an option stream as a reader looks at."""

    def __init__(self, streamed):
        self.link = Link()
        self.streamed = frozenset(streamed)


def bench(symbols=CONDOR, streamed=CONDOR):
    desk, brokerage, stream = FakeDesk(), FakeBrokerage(), Stream(streamed)
    desk.symbols = tuple(symbols)
    return QuoteReader(brokerage=brokerage, desk=desk, stream=stream), desk, brokerage, stream


def asked(brokerage):
    return [symbols for what, _, symbols in brokerage.asked if what == "quotes"]


def test_a_reading_asks_for_everything_and_confirms_it():
    reader, desk, brokerage, _ = bench()
    run(reader.read())
    assert asked(brokerage) == [CONDOR]
    assert [tick.symbol for tick in desk.confirmed[0]] == list(CONDOR)


def test_without_contracts_nothing_is_asked():
    reader, _, brokerage, _ = bench(symbols=())
    run(reader.read())
    run(reader.poll())
    assert asked(brokerage) == []


def test_an_answer_belongs_to_the_era_in_which_it_was_asked_for():
    reader, desk, brokerage, _ = bench()
    eras = []
    desk.confirm = lambda ticks, era: eras.append(era)

    async def quotes(symbols, take):
        desk.era += 1
        take([])

    brokerage.quotes = quotes
    run(reader.read())
    assert eras == [0]


def test_a_poll_asks_for_what_is_not_streamed():
    reader, _, brokerage, _ = bench(streamed=CONDOR[1:])
    run(reader.poll())
    assert asked(brokerage) == [CONDOR[:1]]


def test_a_poll_asks_for_what_the_stream_is_silent_about():
    reader, desk, brokerage, _ = bench()
    desk.silent = frozenset({CONDOR[2], "NOT HELD"})
    assert reader.silent == [CONDOR[2]]
    run(reader.poll())
    assert asked(brokerage) == [(CONDOR[2],)]


def test_a_connection_that_is_silent_as_a_whole_has_no_silent_symbols():
    reader, desk, _, stream = bench()
    desk.silent = frozenset(CONDOR)
    stream.link.state = "stale"
    assert reader.silent == []


def test_what_is_not_streamed_is_not_silent():
    reader, desk, _, _ = bench(streamed=())
    desk.silent = frozenset(CONDOR)
    assert reader.silent == []
    assert reader.lacking == list(CONDOR)


@pytest.mark.parametrize(("lacking", "seconds"), [(0, POLL_SECONDS), (100, POLL_SECONDS), (500, 5.0), (2_000, 20.0)])
def test_polls_take_no_more_than_sixty_requests_a_minute(lacking, seconds):
    reader, _, _, _ = bench(symbols=[f"S{number}" for number in range(lacking)], streamed=())
    assert reader.poll_seconds == seconds


@pytest.mark.parametrize(
    ("symbols", "refresh", "silence", "seconds"),
    [
        (4, 60.0, 60.0, 60.0),
        (4, 60.0, 5.0, 5.0),
        (4, 5.0, 60.0, 5.0),
        (1_000, 60.0, 2.0, 10.0),
        (20_000, 60.0, 2.0, 60.0),
    ],
)
def test_everything_is_read_as_often_as_silence_is_to_be_noticed(symbols, refresh, silence, seconds):
    reader, _, _, _ = bench(symbols=[f"S{number}" for number in range(symbols)])
    assert reader.read_seconds(refresh, silence) == seconds


def test_a_reading_that_fails_says_so():
    reader, _, brokerage, _ = bench()
    brokerage.failures["quotes"] = OUTAGE
    with pytest.raises(RestFault):
        run(reader.read())


@pytest.mark.parametrize("knows", [True, False])
def test_the_desk_says_whether_rest_has_newer_quotes(knows):
    reader, desk, _, _ = bench()
    desk.is_owed = knows
    assert run(reader.has_newer()) is knows


def test_rest_that_cannot_say_has_nothing_newer():
    reader, desk, brokerage, _ = bench()
    desk.is_owed = True
    brokerage.failures["quotes"] = OUTAGE
    assert run(reader.has_newer()) is False
