import json

import pytest

from condord import simulator


@pytest.fixture
def asked(monkeypatch):
    """What the simulator was started with; it is ready at once and then ends."""
    calls = []

    def run(*, on_ready, **options):
        calls.append(options)
        on_ready("http://127.0.0.1:4000")

    monkeypatch.setattr(simulator, "run", run)
    return calls


def test_it_is_started_as_asked(condord, asked):
    assert condord("simulate", "--port", "0", "--scenario", "busy", "--seed", "7").code == 0
    assert asked == [{"host": "127.0.0.1", "port": 0, "scenario": "busy", "seed": 7}]


def test_json_has_the_addresses(condord, asked):
    code, out, err = condord("simulate", "--json")
    assert (code, err) == (0, [])
    assert json.loads(out) == {
        "tradingUrl": "http://127.0.0.1:4000",
        "dataUrl": "http://127.0.0.1:4000",
        "optionStreamUrl": "ws://127.0.0.1:4000/v1beta1/indicative",
        "tradingStreamUrl": "ws://127.0.0.1:4000/stream",
    }


def test_people_get_what_a_daemon_needs_to_use_it(condord, asked):
    first, *exports = condord("simulate").out.splitlines()
    assert "http://127.0.0.1:4000" in first
    assert "export CONDORD_ALPACA_OPTION_STREAM_URL=ws://127.0.0.1:4000/v1beta1/indicative" in exports
    assert len(exports) == 4


def test_ctrl_c_is_its_way_to_end(condord, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulator, "run", interrupted)
    assert condord("simulate") == (0, "", [])


def test_an_unknown_scenario_is_misuse_and_names_the_known(condord):
    code, out, err = condord("simulate", "--port", "0", "--scenario", "defalt")
    assert (code, out, len(err)) == (2, "", 2)
    assert "the nearest is default" in err[0]
    assert "busy" in err[0]


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_that_is_none_is_misuse(condord, port):
    assert condord("simulate", "--port", port).code == 2
