import contextlib
import functools
import gzip
import io
import json
import math
import tracemalloc
import zlib

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from condord.host.bounded_http import TooLarge
from condord.upstream import bodies
from condord.upstream.bodies import (
    BodyLimit,
    NotJson,
    Rows,
    UndecodableBody,
    UnexpectedStatus,
    decoded,
    limit_of,
    target_of,
)

MIB = 1 << 20
LIST = BodyLimit(body_bytes=MIB, values=1000, rows=10)
WHOLE = BodyLimit(body_bytes=MIB, values=1000)
URL = "https://paper-api.example/v2/positions"

pack = functools.partial(gzip.compress, mtime=0)
"""The same bytes in every worker, as they are part of test names."""


def response(body=b"", status=200, **headers):
    """An answer of requests whose body has not been read yet."""
    response = requests.Response()
    response.status_code, response.url = status, URL
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response.raw = urllib3.HTTPResponse(
        io.BytesIO(body), headers=response.headers, status=status, preload_content=False
    )
    return response


def read_body(body=b"", status=200, limit=WHOLE, deadline=math.inf, **headers):
    return bodies.read_whole(response(body, status, **headers), limit, deadline)


class TestStatuses:
    def test_a_200_is_its_body(self):
        assert read_body(b'{"a": 1}').json() == {"a": 1}

    @pytest.mark.parametrize("status", [101, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 304, 399, 600, 999])
    def test_a_status_that_is_neither_200_nor_an_error_is_a_fault_whatever_the_body(self, status):
        with pytest.raises(UnexpectedStatus) as caught:
            read_body(b"[]", status)
        assert caught.value.status == status

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_names_its_target(self, status):
        with pytest.raises(UnexpectedStatus) as caught:
            read_body(b"[]", status, Location="https://other.example:8443/v2/positions")
        assert caught.value.target == "https://other.example:8443/v2/positions"

    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 599])
    def test_an_error_keeps_its_status_and_its_headers_and_loses_its_body(self, status):
        answer = read_body(pack(bytes(MIB)), status, Content_Encoding="gzip", Retry_After="7")
        assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (status, "7", "")
        with pytest.raises(requests.HTTPError):
            answer.raise_for_status()

    def test_an_error_with_an_endless_body_is_known_by_its_status(self):
        assert read_body(bytes(100 * bodies.MAX_ERROR_BYTES), 503).status_code == 503


class TestTargets:
    @pytest.mark.parametrize(
        ("location", "shown"),
        [
            ("http://other.example:81/a/b", "http://other.example:81/a/b"),
            ("/v3/positions", "https://paper-api.example/v3/positions"),
            ("//other.example/x", "https://other.example/x"),
            ("https://user:hunter2@other.example/?secret=hunter2#hunter2", "https://other.example/"),
            ("http://127.0.0.1:40000/v1beta1/indicative", "http://127.0.0.1:40000/v1beta1/indicative"),
            ("https://thesecretkeynobodymaysee.example/thesecretkeynobodymaysee", "https://….example/…"),
            ("https://[1", "an invalid URL"),
            ("http://x/\x1b[2J", "http://x/?[2J"),
        ],
    )
    def test_a_target_is_shown_without_what_could_be_a_secret(self, location, shown):
        assert target_of(location, URL) == shown

    @pytest.mark.parametrize("location", ["//other.example/x", "//user:hunter2@other.example/x?secret"])
    def test_a_target_without_a_scheme_is_shown_without_one(self, location):
        """The redirect of a stream comes without its URL, so a relative target stays as it is."""
        assert target_of(location) == "//other.example/x"

    @given(st.text())
    def test_any_target_is_short_and_can_be_printed(self, location):
        shown = target_of(location, URL)
        assert len(shown) <= 100
        assert shown.isprintable()


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
    def test_gzip_is_inflated(self, encoding):
        assert read_body(pack(b"[1]"), Content_Encoding=encoding).json() == [1]

    @pytest.mark.parametrize("encoding", ["", "identity"])
    def test_a_plain_body_stays_as_it_is(self, encoding):
        assert read_body(b"[1]", Content_Encoding=encoding).json() == [1]

    @pytest.mark.parametrize(
        ("body", "encoding"),
        [
            (pack(pack(b"[1]")), "gzip, gzip"),
            (pack(b"[1]"), "gzip, identity"),
            (zlib.compress(b"[1]"), "deflate"),
            (b"[1]", "br"),
            (b"[1]", "zstd"),
            (b"[1]", "gzip"),
            (b"", "gzip"),
            (pack(b"[1]")[:-9], "gzip"),
            (pack(b"[1]") + b"x", "gzip"),
            (pack(b"[1]") + pack(b""), "gzip"),
        ],
    )
    def test_other_and_broken_encodings_are_refused(self, body, encoding):
        with pytest.raises(UndecodableBody):
            read_body(body, Content_Encoding=encoding)

    @given(st.binary(max_size=2000), st.integers(min_value=1, max_value=700))
    def test_a_gzip_body_is_inflated_from_any_pieces(self, raw, size):
        packed = pack(raw)
        pieces = iter([packed[place : place + size] for place in range(0, len(packed), size)])
        assert b"".join(bodies._inflated(pieces, math.inf)) == raw


class TestSizes:
    def test_a_body_may_have_exactly_its_limit(self):
        body = b"[1]".ljust(MIB)
        assert read_body(body).json() == [1]
        assert read_body(pack(body), Content_Encoding="gzip").json() == [1]

    def test_one_byte_more_is_too_large_plain_or_inflated(self):
        body = b"[1]".ljust(MIB + 1)
        for packed, encoding in ((body, ""), (pack(body), "gzip")):
            with pytest.raises(TooLarge, match="1048576 bytes"):
                read_body(packed, Content_Encoding=encoding)

    def test_a_decompression_bomb_takes_little_more_memory_than_the_limit(self):
        bomb = pack(bytes(64 * MIB))
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                read_body(bomb, Content_Encoding="gzip")
            assert tracemalloc.get_traced_memory()[1] < 4 * MIB
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("path", ["/v2/positions", "/v2/orders", "/prefix/v2/positions"])
    def test_positions_and_orders_may_have_eight_mib(self, path):
        assert limit_of(f"https://x{path}?status=all").body_bytes == 8 * MIB

    @pytest.mark.parametrize(
        "path", ["/v2/clock", "/v2/calendar", "/v2/options/contracts/A", "/v1beta1/options/quotes/latest"]
    )
    def test_any_other_body_may_have_two_mib(self, path):
        assert limit_of(f"https://x{path}?symbols=positions").body_bytes == 2 * MIB

    @pytest.mark.parametrize("is_full", [False, True])
    @pytest.mark.parametrize("url", ["https://x/v2/positions", "https://x/v2/orders", "https://x/v2/clock"])
    @pytest.mark.parametrize("value", [b"{}", b"[]", b'{"a":{}}', b"0", b'""', b'{"a":[[[[]]]]}', b'{"\\ud800":0}'])
    def test_no_json_within_the_bounds_takes_much_memory(self, url, value, is_full):
        """Rows are read and dropped one by one, as the parsers do."""
        limit = limit_of(url)
        most_values = limit.values // (1 + value.count(b"{") + value.count(b"[")) - 1
        count = limit.body_bytes // (len(value) + 1) - 1 if is_full else min(most_values, limit.rows or most_values)
        body = b"[" + (value + b",") * (count - 1) + value + b"]"
        tracemalloc.start()
        try:
            with contextlib.suppress(TooLarge):
                for _ in decoded(body, limit):
                    pass
                assert not is_full
            assert tracemalloc.get_traced_memory()[1] < 40 * MIB
        finally:
            tracemalloc.stop()


class TestRows:
    def test_a_list_is_decoded_row_by_row_on_each_access(self):
        rows = decoded(b'[{"a": 1}, 2, null]', LIST)
        assert isinstance(rows, Rows)
        assert (len(rows), list(rows), list(rows), rows[0], list(rows[1:])) == (
            3, [{"a": 1}, 2, None], [{"a": 1}, 2, None], {"a": 1}, [2, None],
        )  # fmt: skip

    def test_more_rows_than_the_bound_are_too_many(self):
        assert len(decoded(b"[" + b",".join([b"1"] * 10) + b"]", LIST)) == 10
        with pytest.raises(TooLarge, match="10 rows"):
            decoded(b"[" + b",".join([b"1"] * 11) + b"]", LIST)

    @pytest.mark.parametrize("limit", [LIST, WHOLE])
    @pytest.mark.parametrize("body", [b"[" + b"{}," * 999 + b"{}]", b"[" * 1001, b'{"a":' * 1001])
    def test_more_values_than_the_bound_are_too_many_before_any_is_made(self, body, limit):
        with pytest.raises(TooLarge, match="1000 values"):
            decoded(body, limit)

    def test_each_row_has_its_own_limit(self):
        row = json.dumps("x" * (bodies.MAX_ROW_BYTES - 2)).encode()
        assert len(decoded(b"[" + row + b"]", LIST)[0]) == bodies.MAX_ROW_BYTES - 2
        with pytest.raises(TooLarge, match="in a row"):
            decoded(b"[" + row.replace(b"x", b"xx", 1) + b"]", LIST)

    @pytest.mark.parametrize("limit", [LIST, WHOLE])
    @pytest.mark.parametrize(
        "body",
        [b"<html>", b"[1", b"[1]]", b"[1] x", b"[NaN", b"[NaN,]", b"[NaN}", b"[NaN] x", b"Na]", b'{"a"', b"\xff"],
    )
    def test_a_body_that_is_not_json_raises_not_json(self, body, limit):
        with pytest.raises((NotJson, ValueError)) as caught:
            decoded(body, limit)
        assert body != b"<html>" or caught.type is NotJson

    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (rb'{"a":"\ud800"}', {"a": "\ud800"}),
            (b'{"a":Infinity}', {"a": math.inf}),
            (b'{"a":1e999}', {"a": math.inf}),
            (b'{"a":"\xff"}', {"a": "\ufffd"}),
        ],
    )
    def test_an_unreadable_value_does_not_affect_the_others(self, raw, value):
        assert list(decoded(b"[" + raw + b', {"b":2}]', LIST)) == [value, {"b": 2}]
        assert decoded(raw, WHOLE) == value

    @given(
        st.lists(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**63)
            | st.text()
            | st.dictionaries(st.text(), st.text(), max_size=3),
            max_size=10,
        )
    )
    def test_rows_equal_those_of_the_json_module(self, rows):
        assert list(decoded(json.dumps(rows).encode(), BodyLimit(body_bytes=MIB, values=10**6, rows=10))) == rows


class TestTime:
    def test_a_body_that_is_still_arriving_at_its_deadline_times_out(self):
        with pytest.raises(requests.ReadTimeout):
            read_body(b"[1]", deadline=-math.inf)

    def test_a_body_that_is_still_inflated_at_its_deadline_times_out(self):
        with pytest.raises(requests.ReadTimeout):
            list(bodies._inflated(iter([pack(bytes(MIB))]), -math.inf))
