"""Every fault that the simulator knows strikes a running daemon, is told, and heals without a restart."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from condord.simulator.faults import FAULTS
from tests.e2e import matrix

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[2] / "README.md").read_text()
WAITING = [name for name in matrix.LANES if name != "quick"]


@pytest.fixture(scope="module")
def pair():
    with matrix.scene() as both:
        yield both


def run_lane(name: str) -> list[str]:
    """Run the rows of a lane against a pair of its own; returns what went wrong."""
    failures = []
    with matrix.scene() as pair:
        for row in matrix.lane(name):
            try:
                matrix.run(row, *pair)
            except AssertionError as error:
                failures.append(f"{row.name}: {error}")
    return failures


def test_faults_that_take_long_to_be_noticed_are_told_and_heal():
    with ThreadPoolExecutor(len(WAITING)) as pool:
        failures = [failure for failures in pool.map(run_lane, WAITING) for failure in failures]
    assert failures == []


@pytest.mark.parametrize("row", matrix.lane("quick"), ids=lambda row: row.name)
def test_a_fault_is_told_and_heals_without_a_restart(pair, row):
    matrix.run(row, *pair)


def test_every_fault_has_a_row():
    assert {row.fault for row in matrix.ROWS} == {fault.name for fault in FAULTS}


def test_every_fault_stands_in_the_readme_with_what_was_said_and_how_long_it_took():
    table = README.split("| fault | what was said |", 1)[1].split("\n\n", 1)[0]
    listed = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]
    assert {cells[0].replace("`", "") for cells in listed} == {row.name for row in matrix.ROWS}
    assert all(re.fullmatch(r"\d+\.\d s|—", seconds) for _, _, *both in listed for seconds in both)


@pytest.mark.parametrize(
    "line", ["key=KEYFORTE", "> BINARY a1 73 65 63 72 65 74 2d 66 6f 72", '{"secret":"secret-for-tests"}']
)
def test_a_piece_of_a_secret_in_the_log_is_found(line):
    assert matrix.leaks(SimpleNamespace(stderr=["condord serves", line])) == [line]


def test_rows_have_names_of_their_own():
    names = [row.name for row in matrix.ROWS]
    assert len(names) == len(set(names))
