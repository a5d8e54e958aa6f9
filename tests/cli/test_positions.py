import pytest

from tests.fakes import documents
from tests.fakes.daemon import json, problem

ID = documents.CONDOR_ID


def test_json_is_the_exact_body_and_a_newline(condord, fake):
    code, out, err = condord("positions", "--json", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.encode() == fake.answers["/api/positions"][2] + b"\n"


def test_a_field_of_a_newer_daemon_is_printed(condord, fake):
    fake.answers["/api/positions"] = json({"later": 1})
    assert condord("positions", "--json", "--url", fake.url).out == '{"later":1}\n'


def test_without_json_a_table_is_printed(condord, fake):
    code, out, err = condord("positions", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.splitlines()[1].split()[0] == ID
    assert "\x1b" not in out


def test_a_terminal_has_colour_and_its_own_width(condord, fake, terminal):
    lines = condord("positions", "--url", fake.url).out.splitlines()
    assert any("\x1b[32m+230.00" in line for line in lines)
    assert lines[1].startswith(f"\x1b[1m{ID}\x1b[0m  ")
    assert "too narrow for EXPIRES, KIND" in lines[2]


def test_positions_that_were_never_read_exit_with_0(condord, fake):
    fake.answers["/api/positions"] = json(documents.unread())
    code, out, err = condord("positions", "--url", fake.url)
    assert (code, out.splitlines()[0], err) == (0, "The positions have not been read yet", [])


@pytest.mark.parametrize(
    "question", [["--csv"], [ID], [ID, "--csv"], [ID, "--watch"], ["--show", "SPY"], ["--show", "spy", "--watch"]]
)
def test_while_positions_were_never_read_an_answer_that_would_look_empty_exits_with_69(condord, fake, question):
    fake.answers["/api/positions"] = json(documents.unread(error={"code": "unreachable", "text": "no route"}))
    code, out, err = condord("positions", *question, "--url", fake.url)
    assert (code, out) == (69, "")
    assert err[0] == "condord: the positions have not been read yet: no route"
    assert "`condord status`" in err[1]


def test_a_misspelt_filter_exits_with_2_even_while_positions_were_never_read(condord, fake):
    fake.answers["/api/positions"] = json(documents.unread())
    assert condord("positions", "--show", "loosing", "--url", fake.url).code == 2


@pytest.mark.parametrize("symbol", ["SPY", "spy"])
def test_a_symbol_in_place_of_an_id_exits_with_1_and_hints_at_the_filter(condord, fake, symbol):
    code, _, err = condord("positions", symbol, "--url", fake.url)
    assert (code, err[0]) == (1, f"condord: no condor {symbol} is held")
    assert err[1] == "hint: `condord positions --show SPY` shows the condors on it."


def test_an_empty_id_is_shown_as_such(condord, fake):
    assert condord("positions", "", "--url", fake.url).err[0] == "condord: no condor '' is held"


def test_a_condor_is_shown_by_its_id(condord, fake):
    fake.answers[f"/api/positions/{ID}"] = json(documents.one_condor())
    assert "SPY261218P00560000  long" in condord("positions", ID, "--url", fake.url).out
    assert (
        condord("positions", ID, "--json", "--url", fake.url).out.encode()
        == documents.body(documents.one_condor()) + b"\n"
    )


def test_a_broken_condor_is_shown_by_its_id_and_has_no_json_of_its_own(condord, fake):
    fake.answers["/api/positions"] = json(documents.document(broken=[documents.broken("SPY-1", A=1, B=0)]))
    code, out, err = condord("positions", "SPY-1", "--url", fake.url)
    assert (code, err) == (0, [])
    assert out.startswith("SPY-1  broken short condor\nbroken      no put 500, 1 of 2 put 500, since ")
    for form in ("--json", "--csv"):
        code, out, err = condord("positions", "SPY-1", form, "--url", fake.url)
        assert (code, out) == (1, "")
        assert err[0] == "condord: SPY-1 has lost legs, so it is not among the condors"


def test_a_partly_broken_condor_is_shown_with_both_parts(condord, fake):
    fake.answers["/api/positions"] = json(documents.document(broken=[documents.broken(ID, A=1, B=0)]))
    lines = condord("positions", ID, "--url", fake.url).out.splitlines()
    assert [line for line in lines if line.startswith(ID)] == [f"{ID}  short condor", f"{ID}  broken short condor"]


def test_an_unknown_condor_exits_with_1_and_hints_at_similar_ids(condord, fake):
    code, out, err = condord("positions", "SPY-261218-560-570-630", "--url", fake.url)
    assert (code, out) == (1, "")
    assert err == ["condord: no condor SPY-261218-560-570-630 is held", f"hint: Similar ids: {ID}."]


def test_without_a_daemon_the_command_exits_with_69_and_two_lines(condord, tmp_path):
    code, out, err = condord("positions", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)
    assert "condord start" in err[1]


def test_a_refused_token_exits_with_77(condord, fake):
    fake.answers["/api/positions"] = problem(401, "no token")
    code, out, err = condord("positions", "--json", "--url", fake.url)
    assert (code, out, len(err)) == (77, "", 2)


def test_another_program_at_the_address_exits_with_69(condord, fake):
    fake.answers["/api/positions"] = json({"hello": "world"})
    code, out, err = condord("positions", "--url", fake.url)
    assert (code, out, len(err)) == (69, "", 2)


def test_the_daemon_of_the_configuration_is_asked(condord, fake, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", fake.url.rpartition(":")[2])
    assert condord("positions").code == 0
    monkeypatch.setenv("CONDORD_SERVER_PORT", "1")
    monkeypatch.setenv("CONDORD_URL", fake.url)
    assert condord("positions").code == 0


def test_csv_has_condors_and_contracts_in_no_condor_and_ends_lines_with_lf(condord, fake):
    fake.answers["/api/positions"] = json(documents.document(unmatched=[documents.unmatched()]))
    code, out, err = condord("positions", "--csv", "--url", fake.url)
    assert (code, err) == (0, [])
    assert [line.split(",")[0] for line in out.split("\n")] == ["id", ID, "SPY261218P00500000", ""]
    assert "\r" not in out


def test_csv_of_one_condor_has_one_line(condord, fake):
    fake.answers[f"/api/positions/{ID}"] = json(documents.one_condor())
    out = condord("positions", ID, "--csv", "--url", fake.url).out
    assert [line.split(",")[0] for line in out.splitlines()] == ["id", ID]


@pytest.mark.parametrize("other", ["--json", "--watch"])
def test_csv_is_neither_combined_with_json_nor_watched(condord, fake, other):
    code, out, err = condord("positions", "--csv", other, "--url", fake.url)
    assert (code, out) == (2, "")
    assert err[0] == f"condord: Invalid value for '--csv': it cannot be combined with {other}"
    assert fake.requests == []


def held(*names):
    days = {name: 30 - at for at, name in enumerate(names)}
    return json(documents.document(condors=[documents.condor(name, daysToExpiration=days[name]) for name in names]))


def shown(outcome):
    return [line.split()[0] for line in outcome.out.splitlines()[1 : outcome.out.splitlines().index("")]]


def test_condors_are_sorted_by_urgency_unless_another_order_is_requested(condord, fake):
    fake.answers["/api/positions"] = held("C", "A", "B")
    assert shown(condord("positions", "--url", fake.url)) == ["B", "A", "C"]
    assert shown(condord("positions", "--sort", "symbol", "--url", fake.url)) == ["A", "B", "C"]
    assert shown(condord("positions", "--sort", "-symbol", "--url", fake.url)) == ["C", "B", "A"]


def test_only_the_chosen_rows_are_shown(condord, fake):
    fake.answers["/api/positions"] = json(
        documents.document(condors=[documents.condor("A"), documents.condor("B", underlying="QQQ", root="QQQ")])
    )
    assert shown(condord("positions", "--show", "qqq", "--url", fake.url)) == ["B"]
    assert condord("positions", "--show", "losing", "--url", fake.url).out.startswith("No condor is losing.\n")


def test_an_unknown_word_exits_with_2_and_a_symbol_that_is_not_held_with_1(condord, fake):
    code, out, err = condord("positions", "--sort", "urgent", "--url", fake.url)
    assert (code, out) == (2, "")
    assert err[0] == "condord: Invalid value for '--sort': 'urgent' is unknown; the nearest is urgency"
    code, out, err = condord("positions", "--show", "loosing", "--url", fake.url)
    assert (code, out) == (2, "")
    assert err[0] == "condord: Invalid value for '--show': 'loosing' is unknown; the nearest is losing"
    code, out, err = condord("positions", "--show", "TSLA", "--url", fake.url)
    assert (code, out, err) == (1, "", ["condord: no condor on TSLA is held", "hint: Held: SPY."])


@pytest.mark.parametrize("other", ["--json", "--csv", ID])
@pytest.mark.parametrize("choice", [("--sort", "pl"), ("--show", "losing")])
def test_the_json_of_the_daemon_is_not_sorted_or_filtered(condord, fake, other, choice):
    code, out, err = condord("positions", other, *choice, "--url", fake.url)
    assert (code, out) == (2, "")
    named = "ID" if other == ID else other
    assert err[0] == f"condord: Invalid value for '{choice[0]}': it cannot be combined with {named}"
    assert fake.requests == []
