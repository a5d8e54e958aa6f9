"""`condord simulate`: run the Alpaca simulator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from condord.cli import completion, demo, options
from condord.cli.output import write_stdout
from condord.errors import NotFound

EXAMPLE = "condord simulate --scenario busy --seed 7"

# Those of `condord.simulator`, whose import takes 0.3 s.
SCENARIO_NAMES = (
    "default", "session", "day", "closed", "frozen", "empty", "busy", "opra", "tested", "expiration-day", "ex-dividend",
    "index",
)  # fmt: skip


def simulate(
    *,
    port: Annotated[
        int,
        typer.Option(
            metavar="N", parser=options.whole_number(range(65536)), help="The port to listen on; 0 for any free one."
        ),
    ] = 8421,
    scenario: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"What the account holds and how the market moves: {', '.join(SCENARIO_NAMES)}.",
            autocompletion=completion.scenarios,
        ),
    ] = "default",
    seed: Annotated[
        int,
        typer.Option(metavar="N", parser=options.whole_number(), help="The same seed gives the same prices."),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one JSON object.")] = False,
    until_eof: Annotated[bool, typer.Option("--until-eof", help="End when standard input does.", hidden=True)] = False,
) -> None:
    """Run the Alpaca simulator until SIGINT or SIGTERM."""
    state_directory = demo.make_state_directory() if until_eof else ""
    if until_eof:
        demo.end_at_eof(state_directory)
    try:
        from condord import simulator  # 0.3 s, as it imports a web server

        def announce(base: str) -> None:
            ready = demo.Ready.at(base, state_directory)
            write_stdout(msgspec.json.encode(ready) + b"\n" if as_json else _shell_lines(base, ready))

        simulator.run(host="127.0.0.1", port=port, scenario=scenario, seed=seed, on_ready=announce)
    except NotFound as error:  # the scenario
        raise typer.BadParameter(f"{error}. {error.hint}", param_hint="--scenario") from error
    except KeyboardInterrupt:
        return
    finally:
        if state_directory:
            with suppress(OSError):  # the daemon uses it: it is removed when standard input ends
                Path(state_directory).rmdir()


def _shell_lines(base: str, ready: demo.Ready) -> str:
    """Return shell commands that make a daemon use the simulator."""
    urls = {name: value for name, value in ready.flags().items() if name.endswith("_url")}
    variables = {f"CONDORD_{name.replace('.', '_').upper()}": value for name, value in urls.items()}
    exports = "".join(f"export {name}={value}\n" for name, value in {**variables, **demo.CREDENTIALS}.items())
    return f"# The simulator listens at {base} and accepts any key and secret. To use it with a daemon:\n{exports}"
