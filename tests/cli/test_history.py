import pytest

from tests.fakes import documents
from tests.fakes.daemon import json, problem

ID = documents.CONDOR_ID


def test_json_is_the_exact_body_and_a_newline(condord, fake):
    code, out, err = condord("history", "--json", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.encode() == fake.answers["/api/history"][2] + b"\n"


def test_csv_has_the_lists_as_columns_and_ends_lines_with_lf(condord, fake):
    code, out, err = condord("history", "--csv", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out == (
        "seconds,cents,naturalCents,price,low,high,quantity\n1795188660,14900,13200,,-2500,15000,\n1795188720,,,,,,\n"
    )


def test_without_an_output_format_a_summary_is_printed(condord, fake):
    code, out, err = condord("history", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.splitlines() == [
        "open condors",
        "▄",
        "first  +149.00  Nov 20 10:31 ET",
        "low     -25.00  Nov 20 10:31 ET",
        "high   +150.00  Nov 20 10:31 ET",
        "last   +149.00  Nov 20 10:31 ET",
        "2 points of 1 min · P/L unknown in 1",
    ]


def test_a_terminal_has_colour(condord, fake, terminal):
    assert "\x1b[32m+149.00\x1b[0m" in condord("history", "--url", fake.url).out


def test_the_arguments_are_sent(condord, fake):
    fake.answers[f"/api/history?from=2026-11-19&to=2026-11-20&condor={ID}&points=5"] = json(documents.recorded(id=ID))
    arguments = ("history", ID, "--from", "2026-11-19", "--to", "2026-11-20", "--points", "5")
    assert condord(*arguments, "--url", fake.url).out.splitlines()[0] == ID


def test_an_unknown_condor_exits_with_1(condord, fake):
    fake.answers["/api/history?condor=X"] = problem(404, "nothing is recorded of a condor with this id")
    code, out, err = condord("history", "X", "--url", fake.url)
    assert (code, out) == (1, "")
    assert err[0] == "condord: nothing is recorded of a condor X"


def test_a_daemon_that_records_nothing_exits_with_1(condord, fake):
    fake.answers["/api/history"] = problem(404, "nothing is recorded, because history.enabled is false")
    code, out, err = condord("history", "--url", fake.url)
    assert (code, out) == (1, "")
    assert err == [
        "condord: nothing is recorded, because history.enabled is false",
        "hint: Set history.enabled = true in the configuration of the daemon.",
    ]


def test_a_database_that_cannot_be_read_exits_with_69(condord, fake):
    fake.answers["/api/history"] = problem(503, "the database is locked")
    code, out, err = condord("history", "--url", fake.url)
    assert (code, out, len(err)) == (69, "", 2)
    assert "the database is locked" in err[0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--csv", "--json"], "'--csv'"),
        (["--from", "soon"], "'--from': 'soon' is not a date"),
        (["--to", "2026-11-20T15:30"], "'--to'"),
        (["--from", "2026-11-21", "--to", "2026-11-20"], "'--from'"),
        (["--points", "0"], "'--points'"),
        (["--points", "5001"], "'--points'"),
        (["--points", "many"], "'--points'"),
        ([""], "'ID'"),
    ],
)
def test_an_invalid_argument_exits_with_2_before_the_daemon_is_asked(condord, fake, arguments, text):
    code, out, err = condord("history", *arguments, "--url", fake.url)
    assert (code, out, len(err)) == (2, "", 2)
    assert text in err[0]
    assert fake.requests == []
