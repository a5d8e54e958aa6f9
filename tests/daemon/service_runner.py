"""Run a service in this process while a thread visits it."""

import contextlib
import os
import signal
import threading

from tests.fakes import startup


@contextlib.contextmanager
def restored_process():
    """The logger and the signal handlers as they were: a service that has ended ignores signals."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    with startup.restored_root_logger():
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run_service(run, visit, *, ends=True):
    """Call `run(announce)` until `visit(url)`, in a thread once it serves, is over (or, unless `ends`, by itself).

    Returns the lines that it announced.
    """
    lines, faults, threads = [], [], []

    def visiting(url):
        try:
            visit(url)
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread
            faults.append(error)
        finally:
            if ends:
                os.kill(os.getpid(), signal.SIGTERM)

    def announce(line):
        lines.append(line)
        threads.append(threading.Thread(target=visiting, args=(line.rpartition(" ")[2],)))
        threads[-1].start()

    try:
        run(announce)
    finally:
        for thread in threads:
            thread.join()
    if faults:
        raise faults[0]
    return lines
