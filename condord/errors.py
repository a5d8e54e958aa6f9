"""The exceptions that condord raises on purpose.

    CondordError
    ├── SymbolError            a value is not an option symbol (shown with the position)       exit 1
    ├── ConfigError            the configuration cannot be used                                exit 78
    ├── CredentialsMissing     no API key was found                                            exit 77
    ├── AccessDenied           a credential or token is not accepted                           exit 77
    ├── Unavailable            the daemon, Alpaca or an address cannot be reached              exit 69
    ├── NotFound               what was asked for does not exist                               exit 1
    ├── InternalError          the daemon ended because of a bug                               exit 70
    ├── ChecksFailed           some checks failed (check/report)                               exit of the first
    ├── CriticalAlerts         a critical alert is firing (cli/alerts)                         exit 1
    ├── NotDelivered           a channel did not accept a test message (cli/alerts)            exit 1
    ├── ChannelDisabled        a channel accepted it, but gets no alerts (cli/alerts)          exit 1
    ├── NotWritten             the configuration file cannot be created (cli/config)           exit 1
    └── Unwritable             standard output cannot be written (cli/output)                  exit 1

Each has a `code`, an `exit_code` (from sysexits.h where it defines one) and a `hint` with the remedy, and builds
its sentence from its fields. Codes are stable, while sentences and hints may change.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69
EXIT_BUG = 70
EXIT_REFUSED = 77
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130

CORRECT_HINT = "Correct the values named above."
SOON_HINT = "Try again in a few seconds."

_MAX_SHOWN = 60  # characters of a value


class CondordError(Exception):
    """The base class: an error with a sentence (`str`), a stable `code`, an `exit_code` and a `hint`."""

    code = "error"
    exit_code = EXIT_BUG
    hint = ""


class SymbolError(CondordError, ValueError):
    """A value is not an option symbol.

    `reason` is one of `type`, `length`, `padding`, `format`, `root`, `date`, `strike`.
    """

    code = "symbol"
    exit_code = EXIT_FAILED
    hint = "An option symbol is root, yymmdd, C or P, and the strike in mills: SPY261218P00560000."

    def __init__(self, value: object, reason: str, detail: str) -> None:
        self.value = value
        self.reason = reason
        super().__init__(f"{_shown(value)} is not an option symbol ({reason}): {detail}")


class ConfigError(CondordError):
    """The configuration has faults. `faults` lists all of them, one sentence each."""

    code = "config"
    exit_code = EXIT_CONFIG

    def __init__(self, faults: Sequence[str], hint: str = CORRECT_HINT) -> None:
        self.faults = tuple(faults)
        self.hint = hint
        super().__init__("\n".join(self.faults))


class CredentialsMissing(CondordError):
    """No API key was found in any place.

    `detail` is the fault if a part of a key was found, or a file that should have one; else it is empty.
    """

    code = "credentials-missing"
    exit_code = EXIT_REFUSED
    hint = (
        "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or name two files as alpaca.key_id_file and "
        "alpaca.secret_key_file; `condord start --demo` needs no account."
    )

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__("no Alpaca API key was found" + (f": {detail}" if detail else ""))


class AccessDenied(CondordError):
    """The other side does not accept a credential or a token."""

    code = "refused"
    exit_code = EXIT_REFUSED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class Unavailable(CondordError):
    """Something needed cannot be reached or used: the daemon, Alpaca, an address to listen on."""

    code = "unavailable"
    exit_code = EXIT_UNAVAILABLE

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class NotFound(CondordError):
    """Nothing of the requested name exists."""

    code = "not-found"
    exit_code = EXIT_FAILED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class InternalError(CondordError):
    """The daemon has ended because of a bug, which it has logged."""

    code = "failed"
    exit_code = EXIT_BUG
    hint = "Run it again with --log-level debug and report what it logs."


def _shown(value: object) -> str:
    """A value for people: a string quoted and shortened, anything else only by its type."""
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
