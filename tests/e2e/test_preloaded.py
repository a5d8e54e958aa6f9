import contextlib
import os
import signal
import subprocess
import sys

import pytest

from condord import __version__
from tests.e2e.preloaded import Preloaded, replaced
from tests.e2e.running import Simulated, closing_program, fetch, until

pytestmark = pytest.mark.slow


def finished(*arguments, **environ):
    """Exit code, stdout and stderr."""
    program = Preloaded([*arguments], environ)
    with program.stdout, program.stderr:
        return program.wait(60), program.stdout.read(), program.stderr.read()


def test_a_preloaded_program_has_the_exit_code_and_the_output_of_the_command():
    assert finished("--version") == (0, f"condord {__version__}\n", "")
    code, out, err = finished("start", "--no-such-option")
    assert (code, out) == (2, "")
    assert "--no-such-option" in err


def test_a_preloaded_program_has_exactly_the_given_environment(monkeypatch):
    monkeypatch.setenv("CONDORD_STREAM_WINDOW_MS", "250")
    code, _, err = finished("start", CONDORD_SERVER_PORT="no number")
    assert code == 78
    assert "CONDORD_SERVER_PORT" in err


def test_constants_of_a_preloaded_program_can_be_replaced_but_not_unknown_ones():
    with closing_program(Simulated(**replaced(simulator__rate_limiter__WINDOW_SECONDS=7919))) as simulated:
        _, headers, _ = fetch(f"{simulated.url}/v2/clock", headers={"APCA-API-KEY-ID": "A", "APCA-API-SECRET-KEY": "b"})
    assert int(headers["X-RateLimit-Reset"]) % 7919 == 0
    assert "condord.live.link has no STEPS" in finished("--version", **replaced(live__link__STEPS=1.0))[2]


def test_wait_times_out_while_it_runs_and_a_signal_ends_it():
    program = Preloaded(["simulate", "--port", "0", "--json"], {})
    with program.stdout, program.stderr:
        assert "tradingUrl" in program.stdout.readline()
        assert program.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.1)
        program.kill()
        assert program.wait(60) == -signal.SIGKILL
        assert program.poll() == -signal.SIGKILL
        program.kill()


def test_a_preloaded_program_is_killed_when_its_test_process_ends_in_any_way():
    process = (
        "import os, signal\n"
        "from tests.e2e.preloaded import Preloaded\n"
        "program = Preloaded(['simulate', '--port', '0', '--json'], {})\n"
        "program.stdout.readline()\n"
        "print(program.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", process], stdout=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    until(lambda: not is_alive(int(ended.stdout)), "the program has ended")


def is_alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
