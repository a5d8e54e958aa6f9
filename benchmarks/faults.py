"""Run every fault of the simulator against a daemon: what it reported, and how long until all was correct again.

The rows are those of tests/e2e/matrix.py, run as in the tests, with the same checks: nothing is lost, the daemon is
still the same process with one connection, and its log contains no secret. The first time is from the start of the
fault to the last report that the row expects. The second is from the end of the fault (or its start, if it is over at
once) until the state is live again, every quote is confirmed, and the document equals the simulator's account. A fault
that was never reported has no second time.

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

CHANGES = {fault.name for fault in FAULTS if fault.target == "account"}
"""Faults that change the account: the change must be shown, even though nothing is reported."""


def outcomes(rows: Sequence[Row]) -> list[Outcome | tuple[Row, str]]:
    """The outcomes of `rows`, run one after the other; a failed row has its message instead."""
    found: list[Outcome | tuple[Row, str]] = []
    if not rows:  # no row of this lane was selected: do not start a daemon
        return found
    with matrix.pair() as pair:
        for row in rows:
            try:
                found.append(matrix.run(row, *pair))
            except AssertionError as error:
                found.append((row, str(error)))
    return found


def table(found: Iterable[Outcome]) -> Iterator[str]:
    """The lines of the table, in the order of the matrix."""
    yield "| fault | reported | after | recovered after |"
    yield "|---|---|---|---|"
    for outcome in sorted(found, key=lambda outcome: matrix.ROWS.index(outcome.row)):
        variant = f" ({outcome.row.variant})" if outcome.row.variant else ""
        reported = ", ".join(outcome.reported)
        report = f"{reported} | {outcome.report_seconds:.1f} s" if reported else "— | —"
        again = f"{outcome.seconds:.1f} s" if reported or outcome.row.fault in CHANGES else "—"
        yield f"| `{outcome.row.fault}`{variant} | {report} | {again} |"


def main() -> int:
    """Print the table; returns 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({row.fault for row in matrix.ROWS})
    parser.add_argument("--fault", metavar="NAME", choices=names, help="only the rows of this fault")
    wanted = parser.parse_args().fault
    lanes = {name: [row for row in matrix.lane(name) if wanted in (None, row.fault)] for name in matrix.LANES}
    found = outcomes(lanes.pop("quick"))
    with ThreadPoolExecutor(len(lanes)) as pool:
        for some in pool.map(outcomes, lanes.values()):
            found += some
    print("\n".join(table(outcome for outcome in found if isinstance(outcome, Outcome))))
    failures = [failure for failure in found if not isinstance(failure, Outcome)]
    for row, text in failures:
        print(f"{row.name}: {text}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
