"""Every fault of the simulator has a row, which tests/faults runs and the docs list."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from condord.simulator.faults import FAULTS
from tests.e2e import matrix

PAGE = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()


def test_every_fault_has_a_row():
    assert {row.fault for row in matrix.ROWS} == {fault.name for fault in FAULTS} | matrix.MACHINE_FAULTS.keys()


def test_the_docs_list_every_fault_with_its_report_and_its_duration():
    table = PAGE.split("| fault | reported |", 1)[1].split("\n\n", 1)[0]
    listed = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]
    assert {cells[0].replace("`", "") for cells in listed} == {row.name for row in matrix.ROWS}
    assert all(re.fullmatch(r"\d+\.\d s|—", seconds) for _, _, *both in listed for seconds in both)


@pytest.mark.parametrize(
    "line", ["key=KEYFORTE", "> BINARY a1 73 65 63 72 65 74 2d 66 6f 72", '{"secret":"secret-for-tests"}']
)
def test_part_of_a_secret_in_the_log_is_found(line):
    assert matrix.leaks(SimpleNamespace(stderr=["condord serves", line])) == [line]


def test_the_names_of_the_rows_are_unique():
    names = [row.name for row in matrix.ROWS]
    assert len(names) == len(set(names))
