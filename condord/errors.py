"""Every exception that condord raises on purpose.

    CondordError
    ├── SymbolError            a string is no option symbol                   (shown with the position)
    ├── ConfigError            configuration that cannot be used              exit 78
    ├── CredentialsMissing     no API key was found                           exit 77
    ├── Refused                a credential or token is not accepted          exit 77
    ├── Unavailable            daemon, Alpaca or the address cannot be had    exit 69
    ├── NotFound               what was asked for is not there                exit 1
    └── Failed                 the daemon ended itself for a bug of ours      exit 70

Each carries fields, builds its own sentence from them, and has a stable `code`, an `exit_code` (sysexits.h
where it names one) and a `hint`, which says what to do. The text may change; the code does not.
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


class CondordError(Exception):
    """An error with a sentence (`str`), a stable `code`, an `exit_code` and a `hint`."""

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
    """The configuration has faults; `faults` holds one sentence each, all of them."""

    code = "config"
    exit_code = EXIT_CONFIG

    def __init__(self, faults: Sequence[str], hint: str = "Correct the values named above.") -> None:
        self.faults = tuple(faults)
        self.hint = hint
        super().__init__("\n".join(self.faults))


class CredentialsMissing(CondordError):
    """No API key, or only half of one, was found in any of the places; `detail` says why, if there was a trace."""

    code = "credentials-missing"
    exit_code = EXIT_REFUSED
    hint = (
        "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or name two files as alpaca.key_id_file and "
        "alpaca.secret_key_file; `condord start --demo` needs no account."
    )

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__("no Alpaca API key was found" + (f": {detail}" if detail else ""))


class Refused(CondordError):
    """The other side does not accept a credential or a token."""

    code = "refused"
    exit_code = EXIT_REFUSED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class Unavailable(CondordError):
    """Something that is needed cannot be reached or had: the daemon, Alpaca, an address to listen on."""

    code = "unavailable"
    exit_code = EXIT_UNAVAILABLE

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class NotFound(CondordError):
    """What was asked for by name is not there."""

    code = "not-found"
    exit_code = EXIT_FAILED

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


class Failed(CondordError):
    """The daemon has ended itself, for a bug of ours that it has logged."""

    code = "failed"
    exit_code = EXIT_BUG
    hint = "Run it again with --log-level debug and report what it logs."


def _shown(value: object) -> str:
    """A value for people, shortened; a string as it is written, of anything else only the kind."""
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
