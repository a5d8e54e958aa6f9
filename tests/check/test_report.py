import json

import pytest

from condord.check import report
from condord.check.report import BUS_RELAY_NAMES, ELECTED_NAMES, NAMES, NEEDS, RELAY_NAMES, Check, ChecksFailed, Report
from condord.errors import ConfigError, CredentialsMissing
from tests.fakes.startup import found, loaded


def test_every_check_has_its_dependencies_which_form_no_cycle():
    assert set(NEEDS) == {*NAMES, *ELECTED_NAMES, *RELAY_NAMES, *BUS_RELAY_NAMES}
    settled = set()
    while rest := [name for name in NEEDS if name not in settled]:
        ready = [name for name in rest if settled.issuperset(NEEDS[name])]
        assert ready
        settled.update(ready)


def test_without_faults_both_checks_are_ok_and_name_the_origin_of_the_key():
    config_valid, credentials_found = report.offline(found())
    assert (config_valid.result, credentials_found.result) == ("ok", "ok")
    assert "environment" in credentials_found.text


def test_a_warning_about_the_configuration_is_not_a_failure():
    config_valid, _ = report.offline(found(loaded=loaded(warnings=("one", "two"))))
    assert config_valid.result == "warn"
    assert config_valid.text.splitlines()[1:] == ["one", "two"]


def test_an_error_of_start_fails_with_its_text_hint_and_exit_code():
    wrong = ConfigError(["one", "two"], "do this")
    missing = CredentialsMissing("half of it")
    for check, error in zip(
        report.offline(found(key=None, config_error=wrong, key_error=missing)), (wrong, missing), strict=True
    ):
        assert (check.result, check.text, check.hint) == ("fail", str(error), error.hint)
        assert check.exit_code == error.exit_code


def test_the_key_is_not_tried_if_its_path_is_unknown():
    _, check = report.offline(found(key=None, is_key_unknown=True, config_error=ConfigError(["one"])))
    assert check.result == "warn"
    assert check.text.startswith("not tried: config-valid failed")


def test_the_report_is_one_document_with_just_these_fields():
    shown = Report(checks=(report.ok("dns", "fine"), report.refused("rest-login", "no", "Do.")))
    assert json.loads(shown.json()) == {
        "checks": [
            {"name": "dns", "result": "ok", "text": "fine", "hint": ""},
            {"name": "rest-login", "result": "fail", "text": "no", "hint": "Do."},
        ],
        "ok": False,
    }
    assert json.loads(Report(checks=(report.not_tried("dns", "x"),)).json())["ok"] is True


@pytest.mark.parametrize(("codes", "code"), [([1], 1), ([1, 77], 77), ([78, 77], 78), ([77, 1, 78], 77)])
def test_the_exit_code_is_the_first_one_other_than_1(codes, code):
    failed = [Check(name="dns", result="fail", text="", exit_code=each) for each in codes]
    error = ChecksFailed(failed)
    assert error.exit_code == code
    assert str(error).startswith(f"{len(codes)} check")
