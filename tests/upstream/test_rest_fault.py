import traceback

import pytest

from condord.live.remedies import with_remedy
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import KEY_ID, SECRET_KEY
from tests.fakes.rest import Answer, Drop, Stall
from tests.upstream.rest_harness import HTML, POSITIONS


def test_the_reason_is_the_text_with_the_remedy_and_str_returns_it():
    bare = RestFault("timeout", "Alpaca does not answer", may_retry=True)
    assert bare.reason == str(bare) == "Alpaca does not answer"
    fault = RestFault("authFailed", "Alpaca refuses the key", may_retry=False, remedy="use another key")
    assert fault.reason == str(fault) == with_remedy("Alpaca refuses the key", "use another key")
    assert fault.reason.startswith("Alpaca refuses the key")
    assert "use another key" in fault.reason


def test_a_fault_is_an_outage_without_a_wait_by_default():
    fault = RestFault("timeout", "", may_retry=True)
    assert (fault.is_outage, fault.wait_seconds, fault.remedy) == (True, None, "")
    fault = RestFault("rateLimited", "", may_retry=True, is_outage=False, wait_seconds=3.0)
    assert (fault.code, fault.may_retry, fault.is_outage, fault.wait_seconds) == ("rateLimited", True, False, 3.0)


class TestSecrets:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer({"message": SECRET_KEY}, 401),
            Answer(SECRET_KEY.encode(), 500),
            Answer(SECRET_KEY.encode()),
            Drop(),
            Stall(),
        ],
        ids=["401", "500", "200", "drop", "stall"],
    )
    def test_no_sentence_of_a_fault_contains_a_secret(self, server, harness, answer):
        server.script[POSITIONS] = [answer]
        fault = harness(timeout_seconds=0.1, retries=0).fault()
        assert SECRET_KEY not in str(fault) + fault.text + repr(fault)
        assert KEY_ID not in str(fault) + fault.text + repr(fault)

    @pytest.mark.parametrize("answer", [Answer({"message": "no"}, 401), Answer({}, 500), Answer(HTML), Drop(), Stall()])
    def test_no_traceback_contains_a_secret(self, server, harness, answer):
        server.script[POSITIONS] = [answer]
        fault = harness(timeout_seconds=0.1, retries=0).fault()
        report = "".join(traceback.format_exception(fault))
        assert SECRET_KEY not in report
        assert KEY_ID not in report
