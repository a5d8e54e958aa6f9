import pytest

from condord.upstream.quote_reader import POLL_SECONDS, POLLS_PER_MINUTE, READS_PER_MINUTE, QuoteReader
from condord.upstream.rate_limit import SHARES
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import CONDOR, OUTAGE, FakeBrokerage, FakeSink
from tests.virtualtime import run


class Link:
    def __init__(self):
        self.state = "live"


class Stream:
    """The parts of an option stream that a quote reader needs."""

    def __init__(self, streamed):
        self.link = Link()
        self.streamed = frozenset(streamed)


def harness(symbols=CONDOR, streamed=CONDOR):
    sink, brokerage, stream = FakeSink(), FakeBrokerage(), Stream(streamed)
    sink.symbols = tuple(symbols)
    return QuoteReader(brokerage=brokerage, sink=sink, stream=stream), sink, brokerage, stream


def asked(brokerage):
    return [symbols for what, _, symbols in brokerage.asked if what == "quotes"]


def test_a_read_requests_everything_and_confirms_it():
    reader, sink, brokerage, _ = harness()
    run(reader.read())
    assert asked(brokerage) == [CONDOR]
    assert [tick.symbol for tick in sink.confirmed[0]] == list(CONDOR)


def test_without_contracts_no_request_is_sent():
    reader, _, brokerage, _ = harness(symbols=())
    run(reader.read())
    run(reader.poll())
    assert asked(brokerage) == []


def test_an_answer_belongs_to_the_generation_in_which_it_was_requested():
    reader, sink, brokerage, _ = harness()
    generations = []
    sink.confirm = lambda ticks, generation: generations.append(generation)

    async def quotes(symbols, take):
        sink.generation += 1
        take([])

    brokerage.quotes = quotes
    run(reader.read())
    assert generations == [0]


def test_a_poll_requests_symbols_that_are_not_streamed():
    reader, _, brokerage, _ = harness(streamed=CONDOR[1:])
    run(reader.poll())
    assert asked(brokerage) == [CONDOR[:1]]


def test_a_poll_requests_symbols_about_which_the_stream_is_silent():
    reader, sink, brokerage, _ = harness()
    sink.silent = frozenset({CONDOR[2], "NOT HELD"})
    assert reader.silent == [CONDOR[2]]
    run(reader.poll())
    assert asked(brokerage) == [(CONDOR[2],)]


def test_a_connection_that_is_silent_as_a_whole_has_no_silent_symbols():
    reader, sink, _, stream = harness()
    sink.silent = frozenset(CONDOR)
    stream.link.state = "stale"
    assert reader.silent == []


def test_a_symbol_that_is_not_streamed_is_not_silent():
    reader, sink, _, _ = harness(streamed=())
    sink.silent = frozenset(CONDOR)
    assert reader.silent == []
    assert reader.lacking == list(CONDOR)


@pytest.mark.parametrize(("lacking", "seconds"), [(0, POLL_SECONDS), (100, POLL_SECONDS), (500, 6.0), (2_000, 24.0)])
def test_polls_take_no_more_than_fifty_requests_a_minute(lacking, seconds):
    reader, _, _, _ = harness(symbols=[f"S{number}" for number in range(lacking)], streamed=())
    assert reader.poll_seconds == seconds


@pytest.mark.parametrize(
    ("symbols", "refresh", "silence", "seconds"),
    [
        (4, 60.0, 60.0, 60.0),
        (4, 60.0, 5.0, 5.0),
        (4, 5.0, 60.0, 5.0),
        (1_000, 60.0, 2.0, 15.0),
        (20_000, 60.0, 2.0, 300.0),
    ],
)
def test_everything_is_read_as_often_as_the_bounds_and_forty_requests_a_minute_allow(
    symbols, refresh, silence, seconds
):
    reader, _, _, _ = harness(symbols=[f"S{number}" for number in range(symbols)])
    assert reader.read_seconds(refresh, silence) == seconds


def test_reads_polls_and_the_clock_fit_into_their_share_of_the_budget():
    assert SHARES["main"].most > POLLS_PER_MINUTE + READS_PER_MINUTE


def test_a_failed_read_raises_its_fault():
    reader, _, brokerage, _ = harness()
    brokerage.failures["quotes"] = OUTAGE
    with pytest.raises(RestFault):
        run(reader.read())


@pytest.mark.parametrize("knows", [True, False])
def test_rest_has_newer_quotes_if_the_stream_should_have_delivered_them(knows):
    reader, sink, _, _ = harness()
    sink.has_missed_quotes = knows
    assert run(reader.has_newer()) is knows


@pytest.mark.parametrize("answers", [(), CONDOR[:1]])
def test_whether_rest_has_newer_quotes_is_not_known_if_it_does_not_answer_for_all(answers):
    reader, sink, brokerage, _ = harness()
    sink.has_missed = lambda ticks: False
    brokerage.quotes = partly(answers)
    with pytest.raises(RestFault):
        run(reader.has_newer())


def test_one_newer_quote_is_enough_even_if_rest_does_not_answer_for_all():
    reader, sink, brokerage, _ = harness()
    sink.has_missed = bool
    brokerage.quotes = partly(CONDOR[:1])
    assert run(reader.has_newer()) is True


def partly(answers):
    """REST that answers only for `answers`."""

    async def quotes(symbols, take):
        take([*answers])
        raise OUTAGE

    return quotes
