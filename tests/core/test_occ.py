import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.occ import OptionSymbol, parse, symbols_text
from condord.errors import SymbolError
from tests.core.strategies import option_symbols

VALID = [
    ("AAPL250620C00100000", "AAPL", "2025-06-20", "call", 100_000, "AAPL  250620C00100000", False),
    ("AAPL  221118C00157500", "AAPL", "2022-11-18", "call", 157_500, "AAPL  221118C00157500", False),
    ("BABA2251017C00145000", "BABA2", "2025-10-17", "call", 145_000, "BABA2 251017C00145000", True),
    ("AAPL  260918C00260000", "AAPL", "2026-09-18", "call", 260_000, "AAPL  260918C00260000", False),
    ("AAPL7 131101C00470000", "AAPL7", "2013-11-01", "call", 470_000, "AAPL7 131101C00470000", True),
    ("SPXW  230111C02400000", "SPXW", "2023-01-11", "call", 2_400_000, "SPXW  230111C02400000", False),
    ("MSFT240614C00150000", "MSFT", "2024-06-14", "call", 150_000, "MSFT  240614C00150000", False),
    ("V     231211P00220000", "V", "2023-12-11", "put", 220_000, "V     231211P00220000", False),
    ("ORCL  231030C00065000", "ORCL", "2023-10-30", "call", 65_000, "ORCL  231030C00065000", False),
    ("MSFT  060318C00047500", "MSFT", "2006-03-18", "call", 47_500, "MSFT  060318C00047500", False),
    ("V230420C00220000", "V", "2023-04-20", "call", 220_000, "V     230420C00220000", False),
    ("TSLA241231P00725000", "TSLA", "2024-12-31", "put", 725_000, "TSLA  241231P00725000", False),
    ("GME   250919P00027000", "GME", "2025-09-19", "put", 27_000, "GME   250919P00027000", False),
    ("AAPL260320C00230000", "AAPL", "2026-03-20", "call", 230_000, "AAPL  260320C00230000", False),
    ("SPCE260529C00004500", "SPCE", "2026-05-29", "call", 4_500, "SPCE  260529C00004500", False),
    ("MSFT250117C00400000", "MSFT", "2025-01-17", "call", 400_000, "MSFT  250117C00400000", False),
    ("SPX   261218C06500000", "SPX", "2026-12-18", "call", 6_500_000, "SPX   261218C06500000", False),
    ("AAPL1250117C00150000", "AAPL1", "2025-01-17", "call", 150_000, "AAPL1 250117C00150000", True),
    ("ZZZZZZ991231P99999999", "ZZZZZZ", "2099-12-31", "put", 99_999_999, "ZZZZZZ991231P99999999", False),
    ("UVXY1 240419C00045000", "UVXY1", "2024-04-19", "call", 45_000, "UVXY1 240419C00045000", True),
    ("XOM2241220P00280000", "XOM2", "2024-12-20", "put", 280_000, "XOM2  241220P00280000", True),
    ("4SPX261218C06500000", "4SPX", "2026-12-18", "call", 6_500_000, "4SPX  261218C06500000", True),
    ("F000101P00000001", "F", "2000-01-01", "put", 1, "F     000101P00000001", False),
    ("F260104P00002010", "F", "2026-01-04", "put", 2_010, "F     260104P00002010", False),  # a Sunday, and 2.01
    ("F240229C00010000", "F", "2024-02-29", "call", 10_000, "F     240229C00010000", False),
]

INVALID = [
    (None, "type"),
    (b"AAPL250620C00100000", "type"),
    (250620, "type"),
    (["AAPL250620C00100000"], "type"),
    ("", "length"),
    ("BRK.B", "length"),
    ("ES20H20  200320P03290000", "length"),
    ("250117C00150000", "length"),
    ("AAPL  250117 C00150000", "length"),
    (".SPY240324P480.5", "format"),
    ("BTC-30APR21-50000-C", "format"),
    ("AAPL 250117C00150000", "format"),
    ("AAPL250117X00150000", "format"),
    ("AAPL250117c00150000", "format"),
    ("AAPL250117C000150000", "format"),
    ("AAPL250117C00150000 ", "format"),
    ("AAPL250117C00150000\n", "format"),
    ("AAPL250117C\u0660\u0660\u0661\u0665\u0660\u0660\u0660\u0660", "format"),
    ("AAPL\u0662\u0665\u0660\u0661\u0661\u0667C00150000", "format"),
    ("AAPL25 117C00150000", "format"),
    ("AAPL250117C+0150000", "format"),
    ("      250117C00150000", "padding"),
    ("  AAPL250117C00150000", "padding"),
    ("AA  PL250117C00150000", "padding"),
    (" AAPL 250117C00150000", "padding"),
    ("aapl250117C00150000", "root"),
    ("BRK.B250117C00150000", "root"),
    ("ÄÖÜ250117C00150000", "root"),
    ("AAPL\t250117C00150000", "root"),
    ("12250117C00150000", "root"),
    ("123456250117C00150000", "root"),
    ("1     250117C00150000", "root"),
    ("A\u0664250117C00150000", "root"),
    ("AAPL250132C00150000", "date"),
    ("AAPL250229C00150000", "date"),
    ("AAPL251301C00150000", "date"),
    ("AAPL250017C00150000", "date"),
    ("AAPL250100C00150000", "date"),
    ("AAPL250117C00000000", "strike"),
]


def padded(option):
    """The symbol as the OSI defines it, with the root padded to 6: always 21 characters."""
    return f"{option.root:<6}{option.compact[len(option.root) :]}"


@pytest.mark.parametrize(("symbol", "root", "day", "right", "strike_mills", "osi", "adjusted"), VALID)
def test_a_symbol_is_parsed_to_its_contract(symbol, root, day, right, strike_mills, osi, adjusted):
    option = parse(symbol)
    assert option == OptionSymbol(
        root=root, expiration=dt.date.fromisoformat(day), right=right, strike_mills=strike_mills
    )
    assert (padded(option), option.compact) == (osi, symbol.replace(" ", ""))
    assert option.root_is_adjusted == adjusted


@pytest.mark.parametrize(("symbol", "reason"), INVALID)
def test_an_invalid_symbol_is_refused_with_its_reason(symbol, reason):
    with pytest.raises(SymbolError) as refused:
        parse(symbol)
    assert (refused.value.reason, refused.value.value) == (reason, symbol)


@given(option_symbols())
def test_a_contract_is_parsed_back_from_its_compact_symbol(option):
    assert 16 <= len(option.compact) <= 21
    assert parse(option.compact) == option


@given(option_symbols())
def test_a_contract_is_parsed_back_from_its_padded_symbol(option):
    assert len(padded(option)) == 21
    assert parse(padded(option)) == option


@pytest.mark.slow
@given(st.data())
def test_a_damaged_symbol_is_refused_or_formats_back_to_itself(data):
    option = data.draw(option_symbols())
    text = data.draw(st.sampled_from([option.compact, padded(option)]))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    _formats_back_or_is_refused(text[:at] + data.draw(st.text(max_size=2)) + text[at + cut :])


@pytest.mark.slow
@given(
    st.text(max_size=24)
    | st.text("AZ09 PC\n\u0663", min_size=14, max_size=23)
    | st.from_regex(r"[A-Z0-9 ]{0,7}[0-9]{6}[CP][0-9]{8}\n?")
)
def test_any_text_is_a_contract_or_a_symbol_error(text):
    _formats_back_or_is_refused(text)


def _formats_back_or_is_refused(text):
    try:
        option = parse(text)
    except SymbolError:
        return
    assert text in (option.compact, padded(option))


@given(
    st.none()
    | st.binary()
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.integers())
)
def test_any_object_that_is_not_a_string_is_refused_for_its_type(value):
    with pytest.raises(SymbolError) as refused:
        parse(value)
    assert refused.value.reason == "type"


@pytest.mark.parametrize(
    ("symbols", "text"),
    [([], ""), (["A"], "A"), (list("ABCDE"), "A, B, C, D, E"), (list("ABCDEFG"), "A, B, C, D, E and 2 more")],
)
def test_only_the_first_of_many_symbols_are_listed(symbols, text):
    assert symbols_text(symbols) == text
