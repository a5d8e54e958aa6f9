import json

import pytest

from condord import checks, config
from condord.checks import NAMES, NEEDS, Check, ChecksFailed, Report
from condord.credentials import Credentials, Secret
from condord.errors import ConfigError, CredentialsMissing
from condord.loading import Found

KEY = Credentials(key_id=Secret("id"), secret_key=Secret("hush"), origin="environment")


def found(**changes):
    loaded = config.Loaded(config=config.Config(), path=None, origins={})
    given = {"loaded": loaded, "key": KEY, "token": None, "config_error": None, "key_error": None}
    return Found(**given | changes)


def test_every_check_says_what_it_needs_and_nothing_needs_itself_in_the_end():
    assert set(NEEDS) == set(NAMES)
    settled = set()
    while rest := [name for name in NAMES if name not in settled]:
        ready = [name for name in rest if settled.issuperset(NEEDS[name])]
        assert ready
        settled.update(ready)


def test_what_is_well_is_ok_and_says_where_the_key_is():
    config_valid, credentials_found = checks.offline(found())
    assert (config_valid.result, credentials_found.result) == ("ok", "ok")
    assert "environment" in credentials_found.text


def test_what_start_would_refuse_fails_with_its_text_its_hint_and_its_exit_code():
    wrong = ConfigError(["one", "two"], "do this")
    missing = CredentialsMissing("half of it")
    for check, error in zip(
        checks.offline(found(key=None, config_error=wrong, key_error=missing)), (wrong, missing), strict=True
    ):
        assert (check.result, check.text, check.hint) == ("fail", str(error), error.hint)
        assert check.exit_code == error.exit_code


def test_a_key_that_nobody_can_look_for_is_not_tried():
    _, check = checks.offline(found(key=None, is_key_unknown=True, config_error=ConfigError(["one"])))
    assert check.result == "warn"
    assert check.text.startswith("not tried: config-valid failed")


def test_the_report_is_one_document_with_just_these_fields():
    report = Report(checks=(checks.ok("dns", "fine"), checks.refused("rest-login", "no", "Do.")))
    assert json.loads(report.json()) == {
        "checks": [
            {"name": "dns", "result": "ok", "text": "fine", "hint": ""},
            {"name": "rest-login", "result": "fail", "text": "no", "hint": "Do."},
        ],
        "ok": False,
    }
    assert json.loads(Report(checks=(checks.not_tried("dns", "x"),)).json())["ok"] is True


@pytest.mark.parametrize(("codes", "code"), [([1], 1), ([1, 77], 77), ([78, 77], 78), ([77, 1, 78], 77)])
def test_the_exit_code_is_the_first_that_knows_better_than_1(codes, code):
    failed = [Check(name="dns", result="fail", text="", exit_code=each) for each in codes]
    error = ChecksFailed(failed)
    assert error.exit_code == code
    assert str(error).startswith(f"{len(codes)} check")
