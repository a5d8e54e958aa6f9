import json

import pytest

from tests.e2e.curve_cases import CASES_FILE, cases


def test_the_cases_of_the_cards_curve_match_the_model():
    written = json.loads(CASES_FILE.read_text())
    computed = json.loads(json.dumps(cases()))
    advice = "run `python -m tests.e2e.curve_cases`"
    assert [{**case, "pl": None} for case in written] == [{**case, "pl": None} for case in computed], advice
    for old, new in zip(written, computed, strict=True):
        # Not to the last bit: each machine has its own erfc.
        same = [each if each is None else pytest.approx(each, rel=1e-9, abs=1e-9) for each in new["pl"]]
        assert old["pl"] == same, f"{old['name']}: {advice}"


def test_half_of_the_answers_differ_from_case_to_case():
    # Otherwise a model that ignored dividends, rates or time would pass.
    answers = [tuple(case["pl"]) for case in cases()]
    known = [answer for answer in answers if None not in answer]
    assert len(set(known)) > len(answers) / 2
    assert all(any(pl > 0 for pl in answer) or any(pl < 0 for pl in answer) for answer in known)
