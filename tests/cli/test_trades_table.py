import datetime as dt

import msgspec
import pytest

from condord.cli.screen import Screen
from condord.cli.trades_table import trades_lines
from condord.live.wire_history import TradesJson
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 21, 1, 0, tzinfo=dt.UTC)
ROLLED = documents.trade(
    id="NVDA-270115-197.5-202.5-237.5-247.5", underlying="NVDA", how="rolled", shares=None, rolledTo="NVDA-270115-195-200-205-210",
    realizedPl=-1234.5, debit=None, fees=None, openedAt=None, daysHeld=None, closedAt="2026-11-20T02:00:00Z",
)  # fmt: skip


def lines(*trades, width=None, colour=False, **totals):
    answer = msgspec.convert(documents.trades(*trades, **totals), TradesJson)
    return trades_lines(answer, NOW, Screen(width=width, colour=colour))


def test_a_trade_is_one_row_with_its_days_at_the_exchange():
    assert lines(documents.trade(), ROLLED) == [
        "CONDOR                               KIND          OPENED  CLOSED  HOW       DAYS  QTY  CREDIT  DEBIT        P/L  %MAX    WORST     BEST  FEES",
        "SPY-261120-560-570-630-640           short condor  Oct 21  Nov 20  assigned    30    2    2.35   0.40    +390.00    83  -120.50  +400.00  0.16  -200 SPY at 629.60",
        "NVDA-270115-197.5-202.5-237.5-247.5  short condor  —       Nov 19  rolled       —    2    2.35      —  -1,234.50    83  -120.50  +400.00     —  to NVDA-270115-195-200-205-210",
        "",
        "2 trades · P/L +390.00 · 1 won, 0 lost (100.0 %) · average win +390.00 · complete since Oct 16, 2025",
    ]


def test_a_table_with_one_line_per_trade_leaves_out_the_least_important_columns():
    assert lines(documents.trade(shares=None), width=100)[::2] == [
        "CONDOR                      CLOSED  HOW       DAYS  QTY  CREDIT  DEBIT      P/L  %MAX    WORST",
        "too narrow for KIND, OPENED, BEST, FEES",
        "1 trade · P/L +390.00 · 1 won, 0 lost (100.0 %) · average win +390.00 · complete since Oct 16, 2025",
    ]


def test_at_80_columns_two_lines_leave_no_number_out():
    assert lines(documents.trade(shares=None), ROLLED, width=80) == [
        "  DAYS  QTY  CREDIT  DEBIT        P/L  %MAX    WORST     BEST  FEES",
        "SPY-261120-560-570-630-640  assigned Nov 20",
        "    30    2    2.35   0.40    +390.00    83  -120.50  +400.00  0.16",
        "NVDA-270115-197.5-202.5-237.5-247.5  rolled Nov 19",
        "     —    2    2.35      —  -1,234.50    83  -120.50  +400.00     —",
        "    to NVDA-270115-195-200-205-210",
        "too narrow for KIND, OPENED",
        "",
        "2 trades · P/L +390.00 · 1 won, 0 lost (100.0 %) · average win +390.00",
        "complete since Oct 16, 2025",
    ]


@pytest.mark.parametrize("width", range(60, 140, 4))
def test_a_wider_terminal_leaves_out_no_number_that_a_narrower_one_has(width):
    shown = lines(documents.trade(shares=None), ROLLED, width=width)
    columns = {"DAYS", "QTY", "CREDIT", "DEBIT", "P/L", "%MAX", "WORST"} - ({"WORST"} if width < 62 else set())
    assert columns <= set(shown[0].split())


def test_prices_have_as_many_decimals_as_they_need():
    [_, shown, *_] = lines(documents.trade(credit=0.6733, debit=0.5, shares=None))
    assert "  0.6733   0.50  " in shown


def test_on_a_narrow_terminal_the_name_is_above_the_numbers():
    assert lines(documents.trade(shares=None), width=60)[:4] == [
        "  DAYS  QTY  CREDIT  DEBIT      P/L  %MAX    WORST     BEST",
        "SPY-261120-560-570-630-640  assigned Nov 20",
        "    30    2    2.35   0.40  +390.00    83  -120.50  +400.00",
        "too narrow for KIND, OPENED, FEES",
    ]
    narrow = lines(documents.trade(shares=None), width=40)
    assert narrow[1] == "SPY-261120-560-570-630-640"
    assert " ".join(narrow[3:]).startswith("too narrow for KIND, OPENED, CLOSED, HOW, ")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal(width):
    shown = lines(documents.trade(), ROLLED, width=width, losers=1, averageLoss=-1234.5, unknown=1)
    assert max(map(len, shown)) <= width


@pytest.mark.parametrize(
    ("how", "word"),
    [("closed", "closed"), ("partlyClosed", "in part"), ("expired", "expired"), ("assigned", "assigned")],
)
def test_the_end_of_a_trade_is_a_word(how, word):
    assert f"  {word}  " in lines(documents.trade(how=how))[1]


def test_shares_at_an_unknown_price_are_named():
    shares = {"symbol": "SPY", "quantity": 1200, "price": None}
    assert lines(documents.trade(shares=shares, realizedPl=None))[1].endswith("  +1,200 SPY at an unknown price")


def test_results_are_coloured():
    assert "\x1b[31m-5.00\x1b[0m" in lines(documents.trade(realizedPl=-5), colour=True)[1]


def test_the_totals_count_unknown_results():
    shown = lines(
        unknown=1, losers=2, winRate=33.3, averageWin=None, averageLoss=-20, realizedPl=-40, completeFrom=None
    )
    assert shown[-1] == "1 trade (1 unknown) · P/L -40.00 · 1 won, 2 lost (33.3 %) · average loss -20.00 · not read yet"


def test_without_trades_there_are_only_totals():
    answer = documents.trades(realizedPl=0, winners=0, winRate=None, averageWin=None)
    answer["trades"], answer["totals"]["trades"] = [], 0
    assert trades_lines(msgspec.convert(answer, TradesJson), NOW, Screen()) == [
        "No condor was closed in this range.",
        "",
        "0 trades · P/L 0.00 · 0 won, 0 lost · complete since Oct 16, 2025",
    ]
