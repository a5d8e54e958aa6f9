import asyncio
import logging

import pytest

from condord.http.log_limit import LOGGERS, MAX_RECORDS, PERIOD_SECONDS, LogLimit
from condord.http.server import HttpServer, listen
from tests import virtualtime
from tests.http.builders import tcp_address

SENTENCE = "Too many log records about connections; the rest was left out"


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limit(clock):
    return LogLimit(clock)


def passed(limit, count):
    record = logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, "Exception in callback", (), None)
    return sum(limit.filter(record) for _ in range(count))


def test_a_few_records_pass_and_the_excess_is_reported_when_the_period_is_over(limit, clock):
    assert passed(limit, 500) == MAX_RECORDS
    clock.now += PERIOD_SECONDS - 0.1
    assert limit.take_excess() == 0
    assert passed(limit, 1) == 0
    clock.now += 0.2
    assert limit.take_excess() == 501 - MAX_RECORDS
    assert limit.take_excess() == 0
    assert passed(limit, 2) == 2


def test_without_excess_nothing_is_reported(limit, clock):
    assert limit.take_excess() == 0
    assert passed(limit, MAX_RECORDS) == MAX_RECORDS
    clock.now += PERIOD_SECONDS
    assert limit.take_excess() == 0


def test_at_shutdown_the_excess_is_reported_before_the_period_is_over(limit):
    passed(limit, MAX_RECORDS + 3)
    assert limit.take_excess(is_last=True) == 3
    assert limit.take_excess(is_last=True) == 0


def test_one_limit_applies_to_all_loggers_of_libraries_while_it_is_in_force(limit, caplog):
    with limit.in_force():
        for _ in range(20):
            for name in LOGGERS:
                logging.getLogger(name).error("Exception in callback")
        logging.getLogger("condord.http.server").error("not limited")
    assert len(caplog.records) == MAX_RECORDS + 1
    logging.getLogger("asyncio").error("Exception in callback")
    assert len(caplog.records) == MAX_RECORDS + 2


def test_a_server_logs_a_few_of_many_exceptions_and_the_number_of_the_others(clock, caplog):
    def fail():
        raise RuntimeError("caused by a client")

    async def main():
        server = HttpServer(lambda *_: None, clock=clock)
        with listen(tcp_address()) as listener:
            running = asyncio.create_task(server.run_on([listener]))
            await server.is_serving.wait()
            for _ in range(300):
                asyncio.get_running_loop().call_soon(fail)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            clock.now += PERIOD_SECONDS
            await virtualtime.until(lambda: any(record.getMessage() == SENTENCE for record in caplog.records))
            for _ in range(50):
                asyncio.get_running_loop().call_soon(fail)
            await asyncio.sleep(0)
            server.stop()
            await running

    virtualtime.run(main())
    reports = [record.fields for record in caplog.records if record.getMessage() == SENTENCE]
    assert [fields["left_out"] for fields in reports] == [300 - MAX_RECORDS, 50 - MAX_RECORDS]
    assert len(caplog.records) == 2 * MAX_RECORDS + 2
