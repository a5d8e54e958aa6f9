"""The checks of `condord check`, the dependencies between them, and the exit code.

A check that depends on a failed one is not tried. Its result is a warning that names the failed one. `schedule` runs
the checks, and `alpaca` and `local` contain their probes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

from condord.config.sources import LoadedConfig
from condord.config.startup import StartupFindings
from condord.errors import EXIT_FAILED, EXIT_REFUSED, CondordError, ConfigError, Unavailable
from condord.live import wire
from condord.live.remedies import sentence, split_loss

Name = Literal[
    "config-valid",
    "credentials-found",
    "clock-skew",
    "network",
    "dns",
    "tls",
    "rest-login",
    "data-feed-entitled",
    "stock-feed-entitled",
    "option-stream",
    "stock-stream",
    "trading-stream",
    "slot-free",
    "port-free",
    "daemon-answers",
    "channels",
    "source",
    "state-free",
    "bus",
]
ELECTED_NAMES: tuple[Name, ...] = tuple(name for name in get_args(Name) if name != "source")
"""The checks of an ingester with a bus, in the order of the report."""
NAMES: tuple[Name, ...] = tuple(name for name in ELECTED_NAMES if name not in ("state-free", "bus"))
"""The checks of a daemon without a bus."""
RELAY_NAMES: tuple[Name, ...] = ("config-valid", "source", "port-free", "daemon-answers")
"""The checks of a relay that follows a source."""
BUS_RELAY_NAMES: tuple[Name, ...] = ("config-valid", "bus", "port-free", "daemon-answers")
"""The checks of a relay that follows a bus."""

NEEDS: Mapping[Name, tuple[Name, ...]] = {
    "config-valid": (),
    "credentials-found": (),
    "network": ("config-valid",),
    "dns": ("network",),
    "tls": ("dns",),
    "rest-login": ("credentials-found", "tls"),
    "clock-skew": ("rest-login",),
    "data-feed-entitled": ("rest-login",),
    "stock-feed-entitled": ("rest-login",),
    "option-stream": ("rest-login",),
    "stock-stream": ("rest-login",),
    "trading-stream": ("rest-login",),
    "slot-free": ("option-stream",),
    "port-free": ("config-valid",),
    "daemon-answers": ("port-free",),
    "channels": ("config-valid",),
    "source": ("config-valid",),
    "state-free": ("credentials-found",),
    "bus": ("config-valid",),
}
AFTER: Mapping[Name, Name] = {
    "option-stream": "port-free",
    "stock-stream": "option-stream",
    "state-free": "port-free",
    "daemon-answers": "source",
}
"""Checks that wait for another, however it ends.

source finds out whether a restart of our own relay would make a loop.
port-free finds out whether our own daemon has the streams and the state directory, and option-stream whether another
process here has the streams.
"""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check. `text` is a sentence, or one line per fault. `hint` is what to do, or empty."""

    name: Name
    result: Literal["ok", "warn", "fail"]
    text: str
    hint: str = ""
    exit_code: int = EXIT_FAILED


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All results."""

    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The failed checks, in order."""
        return tuple(check for check in self.checks if check.result == "fail")

    def json(self) -> bytes:
        """`{"checks": [{"name", "result", "text", "hint"}], "ok"}`; `ok` is true if no check failed."""
        rows = [{key: getattr(check, key) for key in ("name", "result", "text", "hint")} for check in self.checks]
        return msgspec.json.encode({"checks": rows, "ok": not self.failed})


class ChecksFailed(CondordError):
    """Some checks failed.

    The exit code is the first one of `start` among them (77 or 78), or else 1.
    """

    code = "checks-failed"
    hint = "See the line below each failed check for what to do."

    def __init__(self, failed: Sequence[Check]) -> None:
        self.exit_code = next((check.exit_code for check in failed if check.exit_code != EXIT_FAILED), EXIT_FAILED)
        names = ", ".join(check.name for check in failed)
        super().__init__(f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed: {names}")


def ok(name: Name, text: str, hint: str = "") -> Check:
    """The check succeeded."""
    return Check(name=name, result="ok", text=text, hint=hint)


def warn(name: Name, text: str, hint: str = "") -> Check:
    """The check found something wrong or unknown, but a daemon would work nevertheless."""
    return Check(name=name, result="warn", text=text, hint=hint)


def fail(name: Name, text: str, hint: str, exit_code: int = EXIT_FAILED) -> Check:
    """The check failed: a daemon would not work."""
    return Check(name=name, result="fail", text=text, hint=hint, exit_code=exit_code)


def refused(name: Name, text: str, hint: str) -> Check:
    """The check failed because Alpaca does not accept the key, which counts like a missing one."""
    return fail(name, text, hint, EXIT_REFUSED)


def answering(report: wire.StatusReport, what: str) -> Check:
    """The daemon called `what` answers; a warning if it has lost its source, or its option stream delivers nothing."""
    state = f"{report.state}: {report.reason}" if report.reason else report.state
    text, remedy = split_loss(f"{what}, {state}", report.code)
    is_up = report.state in ("live", "closed", "standby", "starting") and report.code not in wire.LOST_CODES
    return ok("daemon-answers", text) if is_up else warn("daemon-answers", text, sentence(remedy))


def not_answering(taken: Unavailable, unanswered: Unavailable) -> Check:
    """The address is in use, and what uses it does not answer as a condord."""
    hangs = (
        "It hangs, or it was stopped and continues with SIGCONT. "
        if isinstance(unanswered.__cause__, TimeoutError)
        else ""
    )
    return fail("port-free", f"{taken}; {unanswered}", f"{hangs}{taken.hint}")


def not_tried(name: Name, why: str) -> Check:
    """The check was skipped."""
    return warn(name, f"not tried: {why}")


def config_valid(loaded: LoadedConfig, error: ConfigError | None) -> Check:
    """The check of the configuration, with the texts of a start."""
    if error is not None:
        return _failure("config-valid", error)
    where = loaded.path or "there is no file; the defaults"
    text = f"{where} and the environment are valid"
    if loaded.warnings:
        return warn("config-valid", "\n".join((text, *loaded.warnings)))
    return ok("config-valid", text)


def offline(found: StartupFindings) -> tuple[Check, Check]:
    """The checks without network, `config-valid` and `credentials-found`, with the texts of `start`."""
    config = config_valid(found.loaded, found.config_error)
    if found.key_error is not None:
        key = _failure("credentials-found", found.key_error)
    elif found.is_key_unknown:
        key = not_tried("credentials-found", "config-valid failed, so it is not known whether a key is needed")
    else:
        key = ok("credentials-found", f"a key was found: {found.key.origin if found.key else ''}")
    return config, key


def _failure(name: Name, error: CondordError) -> Check:
    return fail(name, str(error), error.hint, error.exit_code)
