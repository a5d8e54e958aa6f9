import pytest

from tests.fakes import documents
from tests.fakes.daemon import json, problem


def test_json_is_the_exact_body_and_a_newline(condord, fake):
    code, out, err = condord("trades", "--json", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.encode() == fake.answers["/api/trades"][2] + b"\n"


def test_csv_has_one_line_for_each_trade_and_ends_lines_with_lf(condord, fake):
    code, out, err = condord("trades", "--csv", "--url", fake.url)
    assert (code, err) == (0, [])
    assert [line.split(",")[0] for line in out.split("\n")] == ["id", "SPY-261120-560-570-630-640", ""]


def test_trades_that_were_never_read_give_no_file_and_no_result(condord, fake):
    answer = documents.trades(trades=0, realizedPl=0, winners=0, winRate=None, averageWin=None, completeFrom=None)
    fake.answers["/api/trades"] = json(answer | {"trades": []})
    code, out, err = condord("trades", "--csv", "--url", fake.url)
    assert (code, out, len(err)) == (69, "", 2)
    sentence = "the account's past has not been read yet, so closed condors may be missing"
    assert err[0] == f"condord: {sentence}"
    code, out, err = condord("trades", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.splitlines() == [sentence.replace("the", "The", 1), "", "— trades · P/L — · not read yet"]
    assert condord("trades", "--json", "--url", fake.url).code == 0


def test_without_an_output_format_a_table_is_printed(condord, fake):
    code, out, err = condord("trades", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.splitlines()[1].startswith("SPY-261120-560-570-630-640  short condor  Oct 21")
    assert out.splitlines()[-1].startswith("1 trade · P/L +390.00")
    assert "\x1b" not in out


def test_a_terminal_has_colour_and_its_own_width(condord, fake, terminal):
    out = condord("trades", "--url", fake.url).out
    assert "\x1b[32m+390.00" in out
    assert "too narrow for" in out


def test_the_range_is_sent(condord, fake):
    fake.answers["/api/trades?from=2026-11-19&to=2026-11-20T16%3A30%3A00%2B01%3A00"] = json(documents.trades())
    arguments = ("trades", "--from", "2026-11-19", "--to", "2026-11-20T16:30:00+01:00")
    assert condord(*arguments, "--url", fake.url).code == 0


def test_without_a_daemon_the_command_exits_with_69_and_two_lines(condord, tmp_path):
    code, out, err = condord("trades", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)


def test_a_refused_token_exits_with_77(condord, fake):
    fake.answers["/api/trades"] = problem(401, "no token")
    assert condord("trades", "--url", fake.url).code == 77


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--csv", "--json"], "'--csv'"),
        (["--from", "2026-02-30"], "'--from'"),
        (["--from", "2026-11-21", "--to", "2026-11-20"], "'--from'"),
        (["ID"], "ID"),
    ],
)
def test_an_invalid_argument_exits_with_2_before_the_daemon_is_asked(condord, fake, arguments, text):
    code, out, err = condord("trades", *arguments, "--url", fake.url)
    assert (code, out, len(err)) == (2, "", 2)
    assert text in err[0]
    assert fake.requests == []
