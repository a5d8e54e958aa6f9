import pytest
from starlette.datastructures import Headers

from condord.http.etag import is_known


def headers(*values):
    return Headers(raw=[(b"if-none-match", value.encode()) for value in values])


@pytest.mark.parametrize("values", [['"a-1"'], ['W/"a-1"'], ['"b", W/"a-1"'], ['"b"', '"a-1"'], ["*"], [' "a-1" ,"b"']])
@pytest.mark.parametrize("etag", ['"a-1"', 'W/"a-1"'])
def test_a_listed_tag_is_known_whether_weak_or_strong(values, etag):
    assert is_known(headers(*values), etag)


@pytest.mark.parametrize("values", [[], [""], ['"a-10"'], ['"xa-1"'], ["a-1"], ['w/"a-1"'], ["W/"], ['"*"'], [","]])
def test_a_tag_that_is_not_listed_is_unknown(values):
    assert not is_known(headers(*values), 'W/"a-1"')
