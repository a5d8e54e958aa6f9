"""Every fault of the simulator against a running daemon: what was said of it, and how long until all was true again.

A row is a row of tests/e2e/matrix.py, run as the tests run it: with the checks that nothing is lost, that the daemon is
the same process with one connection, and that its log keeps the secrets. The first time is from the strike to the last
of the words that the row asks for. The second is from the end of the fault (of what strikes at once and is over, from
the strike) to the moment when all is well again, every quote is confirmed, and the document is the simulator's truth.
What was never said needs no way back.

Run it: python benchmarks/faults.py [--fault NAME]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from condord.simulator.faults import FAULTS
from tests.e2e import matrix
from tests.e2e.matrix import Outcome, Row

CHANGES = {fault.name for fault in FAULTS if fault.place == "account"}
"""What changes the account has to be shown, even if nothing is to be said of it."""


def outcomes(rows: Sequence[Row]) -> list[Outcome | tuple[Row, str]]:
    """How `rows` go, one after the other; a failure with what it says."""
    found: list[Outcome | tuple[Row, str]] = []
    if not rows:  # none of this lane was asked for: no daemon is started
        return found
    with matrix.scene() as pair:
        for row in rows:
            try:
                found.append(matrix.run(row, *pair))
            except AssertionError as error:
                found.append((row, str(error)))
    return found


def table(found: Iterable[Outcome]) -> Iterator[str]:
    """The lines of the table, in the order of the matrix."""
    yield "| fault | what was said | after | true again after |"
    yield "|---|---|---|---|"
    for outcome in sorted(found, key=lambda outcome: matrix.ROWS.index(outcome.row)):
        variant = f" ({outcome.row.variant})" if outcome.row.variant else ""
        said = ", ".join(outcome.said)
        told = f"{said} | {outcome.told_seconds:.1f} s" if said else "— | —"
        again = f"{outcome.seconds:.1f} s" if said or outcome.row.fault in CHANGES else "—"
        yield f"| `{outcome.row.fault}`{variant} | {told} | {again} |"


def main() -> int:
    """Print the table; 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({row.fault for row in matrix.ROWS})
    parser.add_argument("--fault", metavar="NAME", choices=names, help="only the rows of this fault")
    wanted = parser.parse_args().fault
    lanes = {name: [row for row in matrix.lane(name) if wanted in (None, row.fault)] for name in matrix.LANES}
    found = outcomes(lanes.pop("quick"))
    with ThreadPoolExecutor(len(lanes)) as pool:
        for some in pool.map(outcomes, lanes.values()):
            found += some
    print("\n".join(table(each for each in found if isinstance(each, Outcome))))
    failures = [each for each in found if not isinstance(each, Outcome)]
    for row, text in failures:
        print(f"{row.name}: {text}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
