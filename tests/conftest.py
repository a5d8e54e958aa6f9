"""Settings for all tests.

Examples of property tests have no deadline, as machines that run tests are busy. No signal is ignored, as it may be under
nohup or in the background of a shell: programs started by tests would inherit that.
"""

import gc
import os
import signal
import sys
from pathlib import Path

import hypothesis
import pytest
from _pytest import runner
from hypothesis import strategies

from tests import needs

# Compile each module only once: tests start hundreds of Python programs, and every worker imports every test file.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# One thread for numpy, as in our units: vollib imports it, and its threads spin for a moment.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Importing and collecting create no garbage worth searching; `pytest_collection_finish` ends this.
gc.disable()

# The test command uses the quick profile; .ci/run also uses the deep one, with --hypothesis-profile, for every such test.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=12, stateful_step_count=30)
hypothesis.settings.register_profile("deep", deadline=None)
hypothesis.settings.load_profile("quick")

LONG_FIRST = (
    "systemd/test_operations.py",
    "cluster/processes/test_takeover.py",
    "faults/test_slow_faults.py",
    "faults/test_rest_faults.py",
    "cluster/processes/test_workers.py",
    "load/test_expiration_afternoon.py",
    "load/test_large_account.py",
    "upstream/test_supervisor.py",
    "browser/test_connection.py",
    "browser/test_looks.py",
    "systemd/test_life.py",
    "cluster/processes/test_lost.py",
    "cluster/processes/test_takeover_alerts.py",
    "cluster/test_bus_follower.py",
    "cluster/processes/test_bus_relay.py",
    "faults/test_stream_faults.py",
    "packaging/test_packages.py",
    "packaging/test_packed_page.py",
    "load/test_isolation.py",
    "load/test_floods.py",
    "e2e/test_start.py",
    "e2e/test_underlyings.py",
    "e2e/test_alerts.py",
    "cli/test_demo.py",
    "core/grouping/test_search.py",
    "live/test_publisher.py",
    "e2e",
    "cluster",
    "systemd",
    "browser",
    "load",
    "packaging",
    "cli",
    "fuzz",
)
"""The files and folders whose tests take longest, the longest first: no worker has a long file left at the end."""
ON_REQUEST = ("browser", "cluster/processes", "faults", "fuzz", "load", "packaging", "systemd")
"""The folders that plain `pytest` leaves out, as they take more than half of the whole time.

Their tests drive a browser, run several servers, inject every fault into a daemon, damage all input, load a daemon,
build packages and containers, or boot a systemd.
"""
FEW_FILES = 2
WORKERS_PER_PROCESSOR = 2.5
"""Tests spend half of their time waiting: for programs, for proxies, and for events that must not happen.

Another worker takes 9 s of a processor to import and to collect all tests.
"""
WORKERS_ON_REQUEST = 2
"""The same for those that plain `pytest` leaves out: each of them occupies more than a program does."""


def pytest_configure(config):
    # The workers of xdist get the options, but not where the arguments came from.
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.option.ignore = [*(config.option.ignore or ()), *left_out()]
    if config.getoption("--hypothesis-profile") in {None, "quick"}:
        # Reading all our code for constants to try takes each worker 0.7 s, and 3 s in a fresh clone. Hypothesis 6.170 has
        # no setting for it. A version that has other names reads our code.
        providers = sys.modules.get("hypothesis.internal.conjecture.providers")
        if hasattr(providers, "_local_constants"):
            providers._get_local_constants = lambda: providers._local_constants
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def left_out():
    return [str(Path(__file__).parent / folder) for folder in ON_REQUEST]


def pytest_xdist_auto_num_workers(config):
    """Use no workers for one or two files, as starting them takes longer than most files. None defers to the variable."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    if len(paths) <= FEW_FILES and all(path.is_file() for path in paths):
        return 0
    is_plain = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return int((WORKERS_PER_PROCESSOR if is_plain else WORKERS_ON_REQUEST) * len(os.sched_getaffinity(0)))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Collect from another part of the tests on in each worker: each then compiles its own part in a fresh clone."""
    report = yield
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and collector.path == Path(__file__).parent and report.result:
        parts = report.result
        first = int(worker.removeprefix("gw")) * len(parts) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        report.result = [*parts[first:], *parts[:first]]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Have hypothesis look at every character once, which takes 3 s in a fresh clone, and not in each worker."""
    if session.config.option.numprocesses:
        strategies.text().validate()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Report only what is printed: most of a small test's time goes into sending reports from a worker to the main process.

    A setup or a teardown that passed reports only its duration, which `--durations` and `--junit-xml` need.
    """
    options = item.config.option
    if not os.environ.get("PYTEST_XDIST_WORKER") or options.durations is not None or options.xmlpath:
        return None
    for report in runner.runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_modifyitems(items):
    order = {name: index for index, name in enumerate(LONG_FIRST)}
    last = len(order)
    tests = Path(__file__).parent

    def place(path):
        name = path.relative_to(tests)
        return min(order.get(name.as_posix(), last), order.get(name.parts[0], last)), name

    places = {path: place(path) for path in {item.path for item in items}}
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish():
    """Exempt modules and collected tests from garbage collection, which would otherwise search them again and again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Print what was left out and the missing requirements below the list of skipped tests."""
    outcome = yield
    lines = needs.summary(terminalreporter.stats.get("skipped", []))
    if set(left_out()) <= set(terminalreporter.config.option.ignore or ()):
        folders = ", ".join(f"tests/{folder}" for folder in ON_REQUEST)
        lines.append(f"left out: {folders} (to run all tests: pytest tests)")
    if lines:
        terminalreporter.section("not everything was tested", yellow=True)
        for line in lines:
            terminalreporter.write_line(line)
    return outcome
