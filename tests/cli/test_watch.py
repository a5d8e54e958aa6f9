import json
import re
import threading

import pytest

from condord.cli import watch
from condord.cli.daemon_address import find_daemon
from condord.cli.screen import Screen
from condord.cli.view import DEFAULT, Arrangement
from condord.cli.watch import PIPE_INTERVAL_MS, StreamFollower
from tests.e2e.running import until
from tests.fakes import documents
from tests.fakes.daemon import HOLD
from tests.fakes.daemon import json as json_answer
from tests.fakes.terminal import condord as condord_on_terminal

ID = documents.CONDOR_ID
SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")
DELTA = documents.frame("delta", documents.delta(valuations=[documents.valuation(unrealizedPl=250)]), "k-2")
BEAT = documents.heartbeat(9)
GONE = documents.frame("snapshot", documents.document(condors=[]), "k-3")


@pytest.fixture
def held_condor(fake):
    """The daemon's answer for the condor `ID`."""
    answer = documents.one_condor()
    fake.answers[f"/api/positions/{ID}"] = json_answer(answer)
    return answer


def test_json_is_one_document_per_change(condord, fake):
    fake.streams = [[SNAPSHOT, BEAT, DELTA, BEAT]]
    code, out, _ = condord("positions", "--watch", "--json", "--url", fake.url)
    first, second = map(json.loads, out.splitlines())
    assert code == 77
    assert first == documents.document()
    assert second["version"] == "k-2"
    assert second["condors"][0]["valuation"]["unrealizedPl"] == 250


def test_a_pipe_gets_one_table_after_another_at_the_requested_interval(condord, fake):
    fake.streams = [[SNAPSHOT, DELTA]]
    out = condord("positions", "--watch", "--url", fake.url).out
    rows = [line for line in out.splitlines() if line.startswith("SPY-")]
    assert [row.split()[16] for row in rows] == ["+230.00", "+250.00", "+250.00"]
    assert [row.endswith("  old") for row in rows] == [False, False, True]
    assert out.count("\n\nCONDOR") == 2
    assert [line.split(" · ")[0] for line in out.splitlines() if "newest message" in line][:2] == ["live", "live"]
    assert re.search(r"\nnot connected since \d\d:\d\d:\d\d ET: the daemon ended the stream; prices are old\n", out)
    assert fake.requests[0][0] == f"/api/stream?interval={PIPE_INTERVAL_MS}"


def test_ages_count_by_the_clock_of_the_exchange_and_not_of_this_machine(condord, fake, held_condor):
    fake.answers["/api/positions"] = json_answer(documents.document())
    assert "newest message just now" in condord("positions", "--url", fake.url).out
    assert "quoted      just now" in condord("positions", ID, "--url", fake.url).out
    fake.streams = [[SNAPSHOT, BEAT]]
    follower = StreamFollower(find_daemon(fake.url, {}), None, lambda: None)
    follower.start()
    until(lambda: follower.document is not None, "the snapshot")
    found = "\n".join(follower.table(Screen(), Arrangement(DEFAULT)).foot)
    assert re.search(r"newest message (just now|[\d.]+ s ago)", found)


def test_a_pipe_gets_the_chosen_condors_in_the_chosen_order(condord, fake):
    snapshot = b"retry: 1\n\n" + documents.frame("snapshot", many("A", "B", "C"), "k-1")
    fake.streams = [[snapshot]]
    out = condord("positions", "--watch", "--show", "losing", "--sort", "pl", "--url", fake.url).out
    assert re.findall(r"^([ABC]) ", out.partition("\n\n")[0], re.MULTILINE) == ["C", "B"]


def test_an_unknown_filter_ends_the_watch_before_it_connects(condord, fake):
    assert condord("positions", "--watch", "--show", "loosing", "--url", fake.url).code == 2
    assert condord("positions", "--watch", "--show", "TSLA", "--url", fake.url).code == 1
    assert not any(path.startswith("/api/stream") for path, _ in fake.requests)


def test_a_new_notice_is_shown_below_the_table(condord, fake):
    delta = documents.frame("delta", documents.delta(status=documents.status(notices=[documents.notice()])), "k-2")
    fake.streams = [[SNAPSHOT, delta]]
    out = condord("positions", "--watch", "--url", fake.url).out
    assert out.count("\nnotStreamed: Alpaca does not stream these contracts\n") == 1


def test_a_lost_connection_is_reported_on_stderr_and_resumed(condord, fake):
    fake.streams = [[SNAPSHOT], [DELTA]]
    code, out, err = condord("positions", "--watch", "--json", "--url", fake.url)
    assert code == 77
    assert len(out.splitlines()) == 2
    assert [line.split(";")[0] for line in err[:2]] == ["condord: the daemon ended the stream"] * 2
    assert fake.requests[1][1]["Last-Event-ID"] == "k-1"


def test_one_condor_is_watched_until_it_is_no_longer_held(condord, fake, held_condor):
    fake.streams = [[SNAPSHOT, GONE]]
    code, out, err = condord("positions", ID, "--watch", "--json", "--url", fake.url)
    assert (code, json.loads(out)) == (1, held_condor)
    assert err[0] == f"condord: {ID} is no longer held"
    assert fake.requests[1][0] == f"/api/stream?condor={ID}"


@pytest.mark.usefixtures("held_condor")
def test_a_condor_that_breaks_is_watched_further(condord, fake):
    lost = documents.document(condors=[], broken=[documents.broken(ID, A=1, B=0)])
    fake.streams = [[SNAPSHOT, documents.frame("snapshot", lost, "k-2"), GONE]]
    code, out, err = condord("positions", ID, "--watch", "--url", fake.url)
    whole, broken = out.split("\n\n\n")[0], out[out.index("broken short condor") :]
    assert whole.startswith(f"{ID}  short condor\n")
    assert broken.startswith("broken short condor\nbroken      no put 500, 1 of 2 put 500, since ")
    assert (code, err[0]) == (1, f"condord: {ID} is no longer held")
    fake.streams = [[SNAPSHOT, documents.frame("snapshot", lost, "k-2")]]
    code, out, err = condord("positions", ID, "--watch", "--json", "--url", fake.url)
    assert (code, len(out.splitlines())) == (1, 1)
    assert err[0] == f"condord: {ID} has lost legs, so it is not among the condors"


def test_a_broken_condor_is_watched(condord, fake):
    lost = documents.document(condors=[], broken=[documents.broken("SPY-1", A=1, B=0)])
    fake.answers["/api/positions"] = json_answer(lost)
    fake.streams = [[b"retry: 1\n\n" + documents.frame("snapshot", lost, "k-1"), GONE]]
    code, out, err = condord("positions", "SPY-1", "--watch", "--url", fake.url)
    assert (code, err[0]) == (1, "condord: SPY-1 is no longer held")
    assert out.startswith("SPY-1  broken short condor\n")
    assert condord("positions", "SPY-1", "--watch", "--json", "--url", fake.url).code == 1


def test_an_unknown_condor_is_an_error_at_once(condord, fake):
    assert condord("positions", "nothing", "--watch", "--url", fake.url).code == 1
    assert not any("stream" in path for path, _ in fake.requests)


def test_without_a_daemon_the_watch_exits_with_69(condord, tmp_path):
    code, out, err = condord("positions", "--watch", "--url", f"unix://{tmp_path}/none")
    assert (code, out, len(err)) == (69, "", 2)


@pytest.mark.slow
def test_on_a_terminal_the_table_is_repainted_and_old_during_an_outage(condord, fake, terminal):
    fake.streams = [[SNAPSHOT, DELTA]]
    out = condord("positions", "--watch", "--url", fake.url).out
    assert "+250.00" in out
    assert "\x1b[?1049h" in out
    assert "not connected since" in out.partition("+250.00")[2]
    assert "live" not in out.rpartition("not connected since")[2]


def test_an_outage_lasts_from_its_first_failure_to_the_next_event_and_has_the_newest_reason():
    outage = watch.Outage()
    assert not outage.end()
    assert outage.begin("one")
    first = outage.sentence
    assert not outage.begin("t\x1bwo")
    assert outage.sentence == first.replace("one", "t wo")
    assert outage.end()
    assert outage.sentence == ""


def test_the_table_is_live_again_with_the_first_event_after_an_outage(condord, fake):
    fake.streams = [[SNAPSHOT], [documents.frame("bye", {"reason": "stopping"})], [BEAT]]
    out = condord("positions", "--watch", "--url", fake.url).out
    heads = [line.split(" · ")[0] for line in out.splitlines() if line.startswith(("live", "not connected"))]
    assert [head[:4] for head in heads] == ["live", "not ", "live", "not "]


@pytest.mark.slow
def test_a_single_watched_condor_is_marked_old_during_an_outage(condord, fake, held_condor):
    fake.streams = [[SNAPSHOT]]
    out = condord("positions", ID, "--watch", "--url", fake.url).out.splitlines()
    assert "old" in out
    assert any(line.startswith("not connected since") for line in out)


def painted(fake, *options, **how):
    return condord_on_terminal("positions", "--watch", *options, "--url", fake.url, **how)


@pytest.mark.slow
def test_no_number_is_cut_in_half_on_a_narrow_terminal(fake):
    fake.streams = [[SNAPSHOT, HOLD]]
    with painted(fake, width=40, height=30, NO_COLOR="1") as program:
        program.until_shown("too narrow for EXPIRES, KIND, QTY,")
        program.until_shown("market open")
        assert any("  +230.00  +18.50" in row for row in program.picture.rows)
        assert not any("…" in row for row in program.picture.rows)
        assert not re.search(r"\x1b\[[0-9;]*m", program.output)


def many(*names, **changes):
    """A snapshot with these condors, whose losses grow from one to the next."""
    held = [
        documents.condor(name, root=name, valuation=documents.valuation(name, unrealizedPl=-10 * at, **changes))
        for at, name in enumerate(names)
    ]
    return documents.document(condors=held, totals=documents.totals(condors=len(held)))


NAMES = [f"C{number:02d}" for number in range(57)]


@pytest.mark.slow
def test_a_table_that_is_too_high_can_be_scrolled_searched_and_resized(fake):
    fake.streams = [[b"retry: 1\n\n" + documents.frame("snapshot", many(*NAMES), "k-1"), HOLD]]
    with painted(fake, width=120, height=24) as program:
        program.until_shown("38 condors, 3 lines below")
        assert program.picture.rows[1].startswith("C00 ")
        program.type("\x1b[B\x1b[6~")
        program.until_shown("19 condors above, 19 condors, 3 lines below")
        assert program.picture.rows[0].startswith("CONDOR ")
        assert program.picture.rows[1].startswith("C19 ")
        program.type("\x1b[F")
        program.until_shown("42 condors above")
        program.type("\x1b[H")
        program.until_shown("38 condors, 3 lines below")
        program.type("/c44\r")
        program.until_shown("1 of 1 found")
        assert any(row.startswith("C44 ") for row in program.picture.rows)
        first = program.picture.rows[1].split()[0]
        program.resize(100, 12)
        program.until_shown(f"{first} ")
        program.until_shown("newest message")
        assert program.picture.rows[1].startswith(f"{first} ")
        assert len(program.picture.rows) == 12
        program.type("q")
        assert program.wait() == 0
        assert program.picture.is_sane


@pytest.mark.slow
def test_rows_stay_in_place_while_they_are_read_and_are_sorted_at_the_top_again(fake):
    worse = documents.valuation("C30", unrealizedPl=-9999)
    values = documents.frame("delta", documents.delta(valuations=[worse]), "k-2")
    is_read = threading.Event()

    def script():
        yield b"retry: 1\n\n" + documents.frame("snapshot", many(*NAMES), "k-1")
        is_read.wait(60)
        yield values
        yield HOLD

    fake.streams = [script()]
    with painted(fake, "--sort", "pl", width=120, height=24) as program:
        program.until_shown("38 condors, 3 lines below")
        assert program.picture.rows[1].startswith("C56 ")
        program.type("\x1b[6~")
        program.until_shown("18 condors above")
        before = [row.split()[0] for row in program.picture.rows[1:20]]
        is_read.set()
        program.until_shown("-9,999.00")
        assert [row.split()[0] for row in program.picture.rows[1:20]] == before
        program.type("g")
        program.until(lambda program: program.picture.rows[1].startswith("C30 "), "the new order")


@pytest.mark.slow
def test_an_outage_is_shown_with_its_time_until_the_daemon_is_back(fake):
    back = documents.frame("snapshot", documents.document(condors=[], version="k-9"), "k-9")
    fake.streams = [[b"retry: 1500\n\n" + SNAPSHOT.partition(b"\n\n")[2]], [back, HOLD]]
    with painted(fake) as program:
        program.until_shown("prices are old")
        cut = next(row for row in program.picture.rows if "prices are old" in row)
        assert re.fullmatch(r"not connected since \d\d:\d\d:\d\d ET: the daemon ended the stream; prices are old", cut)
        assert not any(row.startswith("live") for row in program.picture.rows)
        program.until_shown("No condors.")
        assert any(row.startswith("live") for row in program.picture.rows)
        assert not any("prices are old" in row for row in program.picture.rows)
        assert program.output.count("\x1b[2J") == 1  # only what changed was painted


@pytest.mark.slow
def test_a_condor_that_is_no_longer_held_is_reported_after_the_terminal_was_given_back(fake, held_condor):
    fake.streams = [[SNAPSHOT], [GONE, HOLD]]
    with condord_on_terminal("positions", ID, "--watch", "--url", fake.url) as program:
        assert program.wait() == 1
        assert program.picture.is_sane
        assert any(f"condord: {ID} is no longer held" in row for row in program.picture.rows)


@pytest.mark.slow
def test_a_dumb_terminal_gets_one_table_after_another(fake):
    fake.streams = [[SNAPSHOT, HOLD]]
    with painted(fake, TERM="dumb") as program:
        program.until_shown("newest message")
        assert "\x1b" not in program.output


@pytest.mark.slow
def test_without_a_daemon_the_terminal_is_not_taken(tmp_path):
    with condord_on_terminal("positions", "--watch", "--url", f"unix://{tmp_path}/none") as program:
        assert program.wait() == 69
        assert "\x1b[?" not in program.output


def test_ctrl_c_ends_the_watch_with_130(condord, fake, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_append", interrupted)
    assert condord("positions", "--watch", "--url", fake.url) == (130, "", [])


def test_a_bye_before_the_first_snapshot_shows_nothing(condord, fake, terminal):
    fake.streams = [[b"retry: 1\n\n" + documents.frame("bye", {"reason": "stopping"})]]
    assert condord("positions", "--watch", "--url", fake.url).code == 77
