import asyncio
import logging

import pytest

from condord.check import schedule
from condord.check.report import AFTER, ELECTED_NAMES, NAMES, NEEDS, RELAY_NAMES, fail, ok, warn
from condord.check.schedule import CHECK_SECONDS, NOTE_SECONDS, Schedule
from tests import virtualtime
from tests.check.machine import failed


class Trace:
    """Probes of every check, each with a duration and a result; when they began and ended, on a virtual clock."""

    def __init__(self, seconds=None, outcomes=None):
        self.began, self.ended = {}, {}
        self.notes = []
        self._seconds = seconds or {}
        self._outcomes = outcomes or {}

    def _probe(self, name):
        async def probe():
            loop = asyncio.get_running_loop()
            self.began[name] = loop.time()
            await asyncio.sleep(self._seconds.get(name, 0.1))
            self.ended[name] = loop.time()
            return self._outcomes.get(name, ok)(name, "a text")

        return probe

    def run(self, settle=lambda plan: None, names=NAMES):
        """All results by name; `settle` sets some of them beforehand."""

        async def main():
            plan = Schedule(self.notes.append, names)
            settle(plan)
            settled = [name for name in names if plan._results[name].done()]
            return await plan.run({name: self._probe(name) for name in names if name not in settled})

        checks = virtualtime.run(main())
        assert [check.name for check in checks] == list(names)
        return {check.name: check for check in checks}


def failing(name, text):
    return fail(name, text, "Do something.")


def test_a_check_begins_once_those_that_it_needs_have_ended():
    trace = Trace()
    checks = trace.run()
    assert {check.result for check in checks.values()} == {"ok"}
    for name, needs in NEEDS.items():
        if name in NAMES:
            assert all(trace.ended[need] <= trace.began[name] for need in needs)


def test_independent_checks_run_at_the_same_time():
    trace = Trace({"network": 1.0, "port-free": 1.0, "credentials-found": 1.0})
    trace.run()
    assert trace.began["network"] == trace.began["port-free"]
    assert trace.began["credentials-found"] < trace.ended["network"]


def test_the_checks_that_need_a_failed_one_are_not_tried_and_name_the_first_that_failed():
    trace = Trace(outcomes={"dns": failing})
    checks = trace.run()
    skipped = {name for name, check in checks.items() if check.text == "not tried: dns failed"}
    assert skipped == {
        "tls", "rest-login", "clock-skew", "data-feed-entitled", "stock-feed-entitled", "option-stream", "stock-stream",
        "trading-stream", "slot-free",
    }  # fmt: skip
    assert {checks[name].result for name in skipped} == {"warn"}
    assert not skipped & set(trace.began)
    assert failed(checks) == ["dns"]


def test_a_warning_stops_no_other_check():
    trace = Trace(outcomes={"dns": warn})
    trace.run()
    assert set(trace.began) == set(NAMES)


@pytest.mark.parametrize("outcome", [ok, failing])
@pytest.mark.parametrize(("name", "earlier"), AFTER.items())
def test_a_check_that_only_follows_another_runs_after_any_result(name, earlier, outcome):
    trace = Trace({earlier: 5.0}, {earlier: outcome})
    checks = trace.run(names=RELAY_NAMES if earlier in RELAY_NAMES and name in RELAY_NAMES else ELECTED_NAMES)
    assert trace.began[name] >= trace.ended[earlier]
    assert checks[name].result == "ok"


def test_a_settled_check_is_not_probed_and_checks_that_need_it_go_on():
    trace = Trace()
    checks = trace.run(lambda plan: plan.settle(warn("config-valid", "settled")))
    assert checks["config-valid"].text == "settled"
    assert set(trace.began) == set(NAMES) - {"config-valid"}


def test_a_settled_check_can_be_blocked_by_another_one_that_is_named():
    def settle(plan):
        plan.settle(failing("config-valid", "a fault"))
        plan.settle(warn("credentials-found", "not known"), blocked_by="config-valid")

    trace = Trace()
    checks = trace.run(settle)
    assert checks["rest-login"].text == "not tried: config-valid failed"
    assert trace.began == {}


def test_a_check_is_noted_after_a_second_and_fails_after_ten():
    trace = Trace({"dns": NOTE_SECONDS - 0.1, "tls": NOTE_SECONDS + 0.1, "port-free": CHECK_SECONDS + 1})
    checks = trace.run()
    assert trace.notes == ["port-free", "tls"]
    assert failed(checks) == ["port-free"]
    assert checks["port-free"].text == "no answer within 10 s"
    assert "network" in checks["port-free"].hint
    assert checks["daemon-answers"].text == "not tried: port-free failed"


def test_an_error_of_a_probe_ends_the_run_and_is_raised():
    async def main():
        plan = Schedule(lambda name: None)
        plan.settle(ok("config-valid", ""))

        async def broken():
            raise ZeroDivisionError

        await plan.run({"port-free": broken, "daemon-answers": broken})

    with pytest.raises(ExceptionGroup) as caught:
        virtualtime.run(main())
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.slow
def test_a_slow_check_is_noted_and_one_that_takes_too_long_fails(machine, monkeypatch):
    monkeypatch.setattr(schedule, "CHECK_SECONDS", 0.4)
    monkeypatch.setattr(schedule, "NOTE_SECONDS", 0.1)
    checks = machine.check("rest-stall")
    assert failed(checks) == ["rest-login"]
    assert checks["rest-login"].text == "no answer within 0.4 s"
    assert "rest-login" in machine.notes


def test_the_checks_of_a_relay_are_a_separate_run():
    async def main():
        plan = Schedule(lambda name: None, RELAY_NAMES)

        async def probe():
            return ok("source", "fine")

        plan.settle(ok("config-valid", "fine"))
        plan.settle(ok("port-free", "fine"))
        plan.settle(ok("daemon-answers", "fine"))
        return await plan.run({"source": probe})

    assert tuple(check.name for check in virtualtime.run(main())) == RELAY_NAMES


def test_the_check_of_the_bus_reports_without_logging(caplog):
    log = logging.getLogger("condord.cluster.bus")
    with schedule.quiet():
        log.error("The bus forbids something")
    log.error("The bus is lost")
    assert caplog.messages == ["The bus is lost"]
