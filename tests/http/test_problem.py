import json
from http import HTTPStatus

import pytest

from condord.http.problem import problem


@pytest.mark.parametrize("status", [400, 401, 404, 421, 503])
def test_an_error_is_a_problem_of_rfc_9457_that_no_cache_keeps(status):
    answer = problem(status, "what was wrong")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "what was wrong",
    }


def test_headers_are_added_and_may_replace_the_default():
    answer = problem(503, "full", {"Retry-After": "5", "Cache-Control": "no-cache"})
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-cache"
