"""Decides what `condord check` looks at, in which order, what depends on what, and how the whole ends.

Rules: a check that depends on one that failed is not tried, which is a warning that names the failure. The exit code is
that of `start` where `start` would not get further; a key that Alpaca refuses counts like one that is not there; any
other failure is 1. Whatever fails says what to do. What is looked at over the network is in `probes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

from condord.errors import EXIT_FAILED, EXIT_REFUSED, CondordError
from condord.loading import Found

Name = Literal[
    "config-valid",
    "credentials-found",
    "clock-skew",
    "dns",
    "tls",
    "rest-login",
    "data-feed-entitled",
    "option-stream",
    "trading-stream",
    "slot-free",
    "port-free",
    "daemon-answers",
]
NAMES: tuple[Name, ...] = get_args(Name)
"""All checks, in the order in which they are told."""

NEEDS: Mapping[Name, tuple[Name, ...]] = {
    "config-valid": (),
    "credentials-found": (),
    "dns": ("config-valid",),
    "tls": ("dns",),
    "rest-login": ("credentials-found", "tls"),
    "clock-skew": ("rest-login",),
    "data-feed-entitled": ("rest-login",),
    "option-stream": ("rest-login",),
    "trading-stream": ("rest-login",),
    "slot-free": ("option-stream",),
    "port-free": ("config-valid",),
    "daemon-answers": ("port-free",),
}
AFTER: Mapping[Name, Name] = {"option-stream": "port-free"}
"""Checks that wait for another, however it ends: only then is it known whether a condord of ours has the stream."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One result: a sentence (of several faults one a line), and what to do, empty where there is nothing."""

    name: Name
    result: Literal["ok", "warn", "fail"]
    text: str
    hint: str = ""
    exit_code: int = EXIT_FAILED


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All results; `ok` as long as none failed."""

    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that failed, in order."""
        return tuple(check for check in self.checks if check.result == "fail")

    def json(self) -> bytes:
        """`{"checks": [{"name", "result", "text", "hint"}], "ok"}`."""
        rows = [{key: getattr(check, key) for key in ("name", "result", "text", "hint")} for check in self.checks]
        return msgspec.json.encode({"checks": rows, "ok": not self.failed})


class ChecksFailed(CondordError):
    """Some checks have failed; the exit code is that of the first that knows better than 1."""

    code = "checks-failed"
    hint = "What to do stands with each."

    def __init__(self, failed: Sequence[Check]) -> None:
        self.exit_code = next((each.exit_code for each in failed if each.exit_code != EXIT_FAILED), EXIT_FAILED)
        names = ", ".join(check.name for check in failed)
        super().__init__(f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed: {names}")


def ok(name: Name, text: str, hint: str = "") -> Check:
    """It is as it should be."""
    return Check(name=name, result="ok", text=text, hint=hint)


def warn(name: Name, text: str, hint: str = "") -> Check:
    """It is not as it should be, or nobody knows; a daemon works all the same."""
    return Check(name=name, result="warn", text=text, hint=hint)


def fail(name: Name, text: str, hint: str, exit_code: int = EXIT_FAILED) -> Check:
    """A daemon would not work."""
    return Check(name=name, result="fail", text=text, hint=hint, exit_code=exit_code)


def refused(name: Name, text: str, hint: str) -> Check:
    """Alpaca does not accept the key."""
    return fail(name, text, hint, EXIT_REFUSED)


def not_tried(name: Name, why: str) -> Check:
    """It was skipped."""
    return warn(name, f"not tried: {why}")


def offline(found: Found) -> tuple[Check, Check]:
    """What needs no network: `config-valid` and `credentials-found`, with the texts of `start`."""
    where = found.loaded.path or "the defaults, as there is no file,"
    config = ok("config-valid", f"{where} and the environment hold no fault")
    if found.config_error is not None:
        config = _failure("config-valid", found.config_error)
    if found.key_error is not None:
        key = _failure("credentials-found", found.key_error)
    elif found.is_key_unknown:
        key = not_tried("credentials-found", "config-valid failed, so where a key would be is not known")
    else:
        key = ok("credentials-found", f"a key was found: {found.key.origin if found.key else ''}")
    return config, key


def _failure(name: Name, error: CondordError) -> Check:
    return fail(name, str(error), error.hint, error.exit_code)
