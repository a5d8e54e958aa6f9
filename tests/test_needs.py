from types import SimpleNamespace

import pytest

from tests import needs


def skipped(nodeid, why):
    return SimpleNamespace(nodeid=nodeid, longrepr=("some/file.py", 1, f"Skipped: {why}"))


def test_each_missing_requirement_has_a_line_with_the_skipped_tests_and_its_remedy():
    reports = [
        skipped("tests/browser/test_looks.py::test_a", needs.reason("chromium")),
        skipped("tests/browser/test_token.py::test_b", needs.reason("chromium")),
        skipped("tests/systemd/test_user.py::test_c", needs.reason("systemd as root", "only root can boot a machine")),
        skipped("tests/test_systemd.py::test_d", needs.reason("systemd as root")),
        skipped("tests/test_credentials.py::test_e", "root reads every file"),
    ]
    chromium, systemd = needs.summary(reports)
    assert chromium == (
        "chromium is missing, skipped: 2 in tests/browser (to run them: apt-get install chromium)"
    )  # fmt: skip
    assert systemd.startswith("systemd as root is missing, skipped: 1 in tests, 1 in tests/systemd (to run them: ")


def test_nothing_is_reported_if_nothing_is_missing():
    assert needs.summary([]) == []


@pytest.mark.parametrize("what", [what for what, need in needs.NEEDS.items() if need.variable])
def test_a_test_fails_instead_of_being_skipped_if_its_requirement_is_required(monkeypatch, what):
    monkeypatch.setenv(needs.NEEDS[what].variable, "required")
    with pytest.raises(pytest.fail.Exception, match=f"needs {what}: it is not here"):
        needs.lacking(what, "it is not here")
    monkeypatch.delenv(needs.NEEDS[what].variable)
    with pytest.raises(pytest.skip.Exception, match=f"needs {what}"):
        needs.lacking(what)
