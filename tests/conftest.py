"""What holds for all tests, whoever runs them.

Machines that run tests are busy, so no example of a property test has a deadline. Programs that tests start inherit
which signals are ignored, as under nohup or in the background of a shell, so none is.
"""

import signal

import hypothesis

hypothesis.settings.register_profile("condord", deadline=None)
hypothesis.settings.load_profile("condord")


def pytest_configure():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
