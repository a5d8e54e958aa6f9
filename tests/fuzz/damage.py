"""Strategies that damage one element of a frame, or one row of a response."""

from hypothesis import strategies as st

from tests.fuzz import samples
from tests.fuzz.samples import PACK, json_list, json_map, json_pairs, packed_map, packed_pairs

TAGS = ["q", "t", "success", "error", "subscription", "zz", ""]
NESTED = st.integers(1, 60)

PACKED = st.one_of(
    st.sampled_from(
        [
            b"\xc0",
            b"\xc2",
            b"\x90",
            b"\x80",
            b"\xa2\xff\xfe",  # text that is not UTF-8
            b"\xa3\xed\xa0\x80",  # a lone surrogate
            b"\xc4\x02\xff\xfe",
            PACK(2**64 - 1),
            PACK(-(2**63)),
            PACK(float("nan")),
            PACK(float("inf")),
            PACK(-1e308),
            b"\x81\xc0\xc0",  # a null key
            b"\x81\x01\x02",
            b"\xdd\x00\x00\x00\x01\xc0",
        ]
    ),
    st.sampled_from(TAGS).map(PACK),
    st.integers(-(2**63), 2**64 - 1).map(PACK),
    st.floats().map(PACK),
    st.text(max_size=5).map(PACK),
    NESTED.map(lambda depth: b"\x91" * depth + b"\xc0"),
    NESTED.map(lambda depth: b"\x81\xa1z" * depth + b"\xc0"),
    st.builds(
        lambda code, body: b"\xc7" + bytes([len(body), code]) + body, st.integers(0, 255), st.binary(max_size=20)
    ),
    st.builds(lambda body: b"\xc7" + bytes([len(body), 255]) + body, st.binary(max_size=20)),  # a timestamp, or nearly
    st.builds(lambda body: b"\xd7\xff" + body, st.binary(min_size=8, max_size=8)),
    st.builds(lambda body: b"\xc7\x0c\xff" + body, st.binary(min_size=12, max_size=12)),
    st.lists(st.sampled_from(["A", "B", None, 5]), max_size=4).map(PACK),
)

NUMBERS = ["NaN", "-Infinity", "1e400", "-0", "1" * 400, "0.5", "-3", "1e-400", "1e999999999999999999", "999999999999"]
WORDS = ["", "NaN", "sNaN", "1_0", "٣", " 1 ", "1e13", "1e-1000000", "9" * 300, "long", "short", "us_equity", "25:00"]
INSTANTS = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59.9-23:59",
    "2026-11-20T10:00:00",
    "2026-02-30T10:00:00Z",
    "0001-01-01",
    "9999-12-31",
]

ODD_JSON = [
    *(b"null", b"true", b"false", b"[]", b"{}", b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xff\xfe"', b'"\\u0000"'),
    *(number.encode() for number in NUMBERS),
    *(f'"{word}"'.encode() for word in [*WORDS, *NUMBERS, *INSTANTS]),
    b'[null,5,{},{"symbol":5}]',
    b'"' + b"x" * 10_000 + b'"',
]
JSON = st.one_of(
    st.sampled_from(ODD_JSON),
    st.integers().map(lambda number: b"%d" % number),
    st.floats().map(samples.encoded),
    NESTED.map(lambda depth: b"[" * depth + b"]" * depth),
    NESTED.map(lambda depth: b'{"symbol":' * depth + b"1" + b"}" * depth),
    st.text(max_size=5).map(samples.encoded),
)


def _damaged(pairs, values, new_key):
    """Pairs with one fault: one removed, its value replaced, duplicated, its key renamed, or an unknown one added."""
    indexes = st.integers(0, len(pairs) - 1)

    def without(index):
        return [*pairs[:index], *pairs[index + 1 :]]

    def replaced(index, value):
        return [*pairs[:index], (pairs[index][0], value), *pairs[index + 1 :]]

    def renamed(index):
        return [*pairs[:index], (new_key, pairs[index][1]), *pairs[index + 1 :]]

    return st.one_of(
        st.builds(without, indexes),
        st.builds(replaced, indexes, values),
        st.builds(lambda index, value: [*pairs, (pairs[index][0], value)], indexes, values),
        st.builds(lambda index, value: [(pairs[index][0], value), *pairs], indexes, values),
        st.builds(renamed, indexes),
        st.builds(lambda value: [(new_key, value), *pairs], values),
    )


def damaged_element(message):
    """The bytes of one message of the option stream with one fault, or of any other value."""
    return _damaged(packed_pairs(message), PACKED, PACK("zz")).map(packed_map) | PACKED


def damaged_row(row):
    """The JSON of one row with one fault, or of any other value."""
    return _damaged(json_pairs(row), JSON, b'"zz"').map(json_map) | JSON


def spliced(whole):
    """`whole` with any part replaced by any bytes."""
    indexes = st.integers(0, len(whole))
    return st.builds(
        lambda start, stop, inserted: whole[:start] + inserted + whole[stop:], indexes, indexes, st.binary(max_size=30)
    )


def every_damaged_row(row):
    """Each value of `row` replaced by each odd value."""
    pairs = json_pairs(row)
    for index, (key, _) in enumerate(pairs):
        for value in ODD_JSON:
            yield json_map([*pairs[:index], (key, value), *pairs[index + 1 :]])


def _with(row, name, value):
    """`row` with one field set to the JSON `value`."""
    return json_map([(key, value if key == b'"%b"' % name else old) for key, old in json_pairs(row)])


def _some(*good):
    """The JSON of a list of some of these rows, each valid or damaged."""
    row = st.sampled_from(good).flatmap(damaged_row) | st.sampled_from(good).map(samples.encoded)
    return st.lists(row, max_size=4).map(json_list)


def _some_orders(order):
    part = _some(*order["legs"]).map(lambda legs: _with(order, b"legs", legs))
    return st.lists(part | damaged_row(order), max_size=3).map(json_list)


def _some_by_symbol(row):
    """The JSON of a map from symbols to this row, valid or damaged."""
    symbols = st.sampled_from([*(f'"{symbol}"'.encode() for symbol in samples.CONDOR), *ODD_JSON[5:9]])
    return st.lists(st.tuples(symbols, damaged_row(row) | st.just(samples.encoded(row))), max_size=4).map(json_map)


def _in(name, rows):
    """The JSON of a map with `rows` under `name`."""
    return rows.map(lambda json: b'{"%b":%b}' % (name, json))


def _some_quotes():
    symbols = st.sampled_from([*(f'"{symbol}"'.encode() for symbol in samples.CONDOR), *ODD_JSON[5:9]])
    quotes = st.lists(st.tuples(symbols, damaged_row(samples.REST_QUOTE)), max_size=4).map(json_map)
    return quotes.map(lambda rows: b'{"quotes":%b}' % rows)


def _some_contract():
    some = _some(*samples.CONTRACT["deliverables"])
    return damaged_row(samples.CONTRACT) | some.map(lambda rows: _with(samples.CONTRACT, b"deliverables", rows))


HELD = [samples.position(symbol, sign) for symbol in samples.CONDOR for sign in (-2, 2)]
BODIES = {
    "holdings": _some(*HELD, samples.STOCK),
    "clock": damaged_row(samples.CLOCK),
    "calendar": _some(*samples.DAYS),
    "ticks": _some_quotes(),
    "contract": _some_contract(),
    "orders": _some_orders(samples.ORDER),
    "activities": _some(samples.BOUGHT, samples.ASSIGNED),
    "past": _some(samples.SOLD, samples.FEE, samples.DELIVERED),
    "closes": _in(b"bars", _in(b"SPY", _some(samples.DAY_BAR))),
    "splits": _some(samples.SPLIT).map(lambda rows: b'{"corporate_actions":{"reverse_splits":%b}}' % rows),
    "account": damaged_row({"id": "d66d53bc-6347-5c64-89bc-bf340553b3fa", "status": "ACTIVE"}),
    "stocks": _some_by_symbol(samples.STOCK_SNAPSHOT),
    "indexes": _in(b"values", _some_by_symbol(samples.INDEX_VALUE)),
    "snapshots": _in(b"snapshots", _some_by_symbol(samples.OPTION_SNAPSHOT)),
    "dividends": _in(b"corporate_actions", _in(b"cash_dividends", _some(samples.DIVIDEND))),
    "balances": damaged_row(samples.BALANCES),
    "transfers": _some(samples.DEPOSIT),
    "workingOrders": _some_orders(samples.WORKING),
    "fills": _some(samples.SOLD, samples.BOUGHT),
}
"""A partly damaged response for each of `tests.fuzz.decoders.REST`."""

DAMAGED = st.sampled_from(samples.ELEMENTS).flatmap(damaged_element)
FRAMES = st.lists(DAMAGED | st.sampled_from(samples.ELEMENTS).map(PACK), max_size=6).map(samples.frame)
EVENTS = st.sampled_from(samples.EVENTS).flatmap(damaged_row)
