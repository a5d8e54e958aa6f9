import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.config import schema, tables
from condord.config.schema import AlertTable
from condord.config.tables import Element
from condord.core.rules.built_in import BUILT_IN

HOOK = {"name": "hook", "type": "webhook", "url_file": "/none"}
MINE = {"name": "mine", "when": "tested"}


def read(**values):
    """The result of reading these tables; each key is on a line of its own."""
    elements = {
        name: [
            Element(
                each, {key: f"f:{line}" for line, key in enumerate(["", *(each if isinstance(each, dict) else ())])}
            )
            for each in listed
        ]
        for name, listed in values.items()
    }
    return tables.read(elements)


def faults(**values):
    return [fault for found in read(**values).values() for fault in found.faults]


def test_tables_without_faults_are_read_even_if_others_are_faulty():
    found = read(alert=[MINE, {"name": "other"}, {"name": "blind", "severity": "info"}])["alert"]
    assert found.tables == (AlertTable(**MINE), AlertTable(name="blind", severity="info"))
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (5, "f:0: alert[0] = 5: must be a table, [[alert]]"),
        (MINE | {"name": "a b"}, "f:1: alert[0].name = 'a b': must be 1 to 40 letters, digits and dashes"),
        (MINE | {"name": "-a"}, "f:1: alert[0].name = '-a': must be 1 to 40 letters"),
        (MINE | {"name": "a" * 41}, "not starting with a dash"),
        ({"when": "tested"}, "f:0: alert[0].name is missing: it must be 1 to 40 letters"),
        ({"name": "mine"}, "f:0: alert[0].when is missing, and mine is not a built-in rule (rule mine)"),
        ({"name": "mine", "when": 5}, "f:2: alert[0].when = 5: must be a condition, or a list of up to 8"),
        ({"name": "mine", "when": ["tested", 5]}, "f:2: alert[0].when = ['tested', 5]: must be a condition"),
        ({"name": "mine", "when": ["x"]}, "f:2: alert[0].when[0] = 'x': unknown word"),
        (
            {"name": "mine", "when": "lossMultipleOfCredit => 2"},
            "f:2: alert[0].when = 'lossMultipleOfCredit => 2': unknown operator; the nearest is >= (rule mine)",
        ),
        (MINE | {"clear": "PKABCDEFGHIJKLMNOPQ7"}, "f:3: alert[0].clear = '***': unknown word"),
        (MINE | {"for_seconds": -1}, "f:3: alert[0].for_seconds = -1: must be a number from 0 to 86400"),
        (MINE | {"repeat_minutes": 0.5}, "f:3: alert[0].repeat_minutes = 0.5: must be 0 or at least 1"),
        (MINE | {"basis": "mid"}, 'f:3: alert[0].basis = \'mid\': must be "mark" or "natural"'),
        (MINE | {"severity": "high"}, 'must be "info" or "warning" or "critical"'),
        (MINE | {"enabled": 1}, "must be true or false"),
        (
            MINE | {"for_second": 1},
            "f:3: alert[0].for_second = 1: unknown key; the nearest known key is alert.for_seco",
        ),
        (MINE | {"match": 5}, "f:3: alert[0].match = 5: must be a table of underlying, direction, kind, condor"),
        (MINE | {"match": {"underlying": "SPY"}}, "match.underlying = 'SPY': must be a list of symbols of underlyings"),
        (
            MINE | {"match": {"condor": ["spy 1"]}},
            "match.condor = ['spy 1']: must be a list of ids of condors, SPY-261218-",
        ),
        (
            MINE | {"match": {"kid": "x"}},
            "f:3: alert[0].match.kid = 'x': unknown key; the nearest known key is match.k",
        ),
        (MINE | {"when": "feedDown", "match": {"kind": "ironCondor"}}, "f:3: alert[0].match.kind = 'ironCondor': when"),
        (MINE | {"notify": "hook"}, "f:3: alert[0].notify = 'hook': must be a list of names of channels"),
        (MINE | {"notify": ["hook"]}, "f:3: alert[0].notify[0] = 'hook': unknown channel; the file has no [[notify]]"),
    ],
)
def test_a_faulty_rule_has_the_place_the_value_and_what_is_allowed(table, fault):
    (found,) = faults(alert=[table])
    assert fault in found


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"url_file": ""}, "f:3: notify[0].url_file = '': must be a path, or the name of a systemd credential"),
        ({"url_file": "ntfy://hush"}, "f:3: notify[0].url_file = (not shown): is a URL: write it to a file"),
        ({"secret_file": "whsec_hush"}, "f:4: notify[0].secret_file = (not shown): is a secret: write it to a file"),
        (
            {"type": "apprise", "secret_file": "/hush"},
            "f:4: notify[0].secret_file = (not shown): only webhooks are sign",
        ),
        ({"type": "mail"}, 'f:2: notify[0].type = \'mail\': must be "apprise" or "webhook"'),
        ({"quiet": "22-8"}, "f:4: notify[0].quiet = '22-8': must be two times and a time zone"),
        ({"topic": "hush"}, "f:4: notify[0].topic = (not shown): unknown key; "),
        ({"name": "ntfy://hush"}, "f:1: notify[0].name = (not shown): must be 1 to 40 letters"),
        ({"min_severity": "high"}, 'must be "info" or "warning" or "critical"'),
        (
            {"url": "ntfy://hush"},
            "f:4: notify[0].url = (not shown): unknown key; the nearest known key is notify.url_file",
        ),
    ],
)
def test_a_faulty_channel_has_the_place_the_value_and_what_is_allowed(changed, fault):
    (found,) = faults(notify=[HOOK | changed])
    assert fault in found


def test_names_are_unique_whatever_their_capitals():
    assert faults(alert=[MINE, MINE | {"name": "other"}, MINE | {"name": "MINE"}], notify=[HOOK, HOOK]) == [
        "f:1: alert[2].name = 'MINE': is already the name of alert[0]",
        "f:1: notify[1].name = 'hook': is already the name of notify[0]",
    ]


def test_every_key_of_a_rule_can_be_set():
    match = {
        "underlying": ["SPY", "BRK.B"],
        "direction": "short",
        "kind": "ironCondor",
        "condor": ["SPX-261218-1-2.5-3-4-2"],
    }
    numbers = {"for_seconds": 60, "repeat_minutes": 1, "basis": "natural", "severity": "info", "enabled": False}
    rule = {"name": "Half-50", "when": ["mark > 1"], "clear": "mark < 1", "notify": ["hook"], "match": match} | numbers
    (read_rule,) = read(alert=[rule], notify=[HOOK])["alert"].tables
    assert (read_rule.match.condor, read_rule.clear, read_rule.for_seconds) == (
        ("SPX-261218-1-2.5-3-4-2",),
        "mark < 1",
        60,
    )


TEXTS = st.text(max_size=30) | st.sampled_from(["tested", "mark > 1", "stop-loss", "hook", "webhook", "22:00-1:00 UTC"])
VALUES = st.recursive(
    TEXTS | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "condor", "x"]), inner),
    max_leaves=5,
)
TABLES = {
    name: st.dictionaries(st.sampled_from(list(kind.__struct_fields__)) | TEXTS, VALUES, max_size=6)
    for name, kind in schema.TABLES.items()
}


@given(st.fixed_dictionaries({name: st.lists(table | VALUES, max_size=3) for name, table in TABLES.items()}))
def test_any_value_is_read_or_has_a_fault_on_one_line(values):
    for name, found in read(**values).items():
        assert len(found.tables) == len(values[name]) or found.faults
        assert all("\n" not in fault for fault in found.faults)


def test_a_rule_may_have_the_name_of_a_channel():
    assert faults(alert=[MINE | {"name": "hook", "notify": ["hook"]}], notify=[HOOK]) == []


def test_a_rule_may_name_a_channel_that_has_a_fault():
    found = faults(alert=[MINE | {"notify": ["hook", "zzz", 5]}], notify=[HOOK | {"type": 5}])
    assert [fault.split(": ")[1] for fault in found] == [
        "alert[0].notify = ['hook', 'zzz', 5]",
        "alert[0].notify[1] = 'zzz'",
        "notify[0].type = 5",
    ]
    assert found[1].endswith("unknown channel; known: hook")


def test_an_invalid_name_of_a_channel_is_never_suggested():
    found = faults(alert=[MINE | {"notify": ["hoo"]}], notify=[HOOK | {"name": "hook\nhush"}])
    assert found[0].endswith("alert[0].notify[0] = 'hoo': unknown channel; the file has no [[notify]]")
    assert faults(notify=[HOOK | {"a\nb": 1}])[0].startswith("f:4: 'notify[0].a\\nb' = (not shown): unknown key")


def test_too_many_tables_are_one_fault():
    many = [HOOK | {"name": f"hook{number}"} for number in range(22)]
    assert faults(notify=many) == ["f:0: notify[20] is one too many: at most 20 tables [[notify]] are allowed"]
    assert len(read(notify=many)["notify"].tables) == 20


def test_the_place_of_each_key_is_known_by_its_path():
    assert tables.locations({"notify": [Element(HOOK, {"": "f:1", "type": "f:3"})]}) == {"notify[0].type": "f:3"}


@pytest.mark.parametrize("name", [{}, {"name": "a b"}, {"name": 5}])
def test_a_rule_without_a_valid_name_has_its_other_faults_too(name):
    table = {**name, "when": ["tested", "delat > 1"], "clear": "x", "for_seconds": -1, "match": {"kind": "x"}}
    found = faults(alert=[table])
    keys = ["name", "when[1]", "clear", "for_seconds", "match.kind"]
    assert {each.split("alert[0].")[1].split(" ")[0] for each in found} == set(keys)
    assert len(found) == len(keys)
    assert not any("(rule" in each for each in found)
    (only,) = faults(alert=[{**name, "clear": "percentOfMaxProfit < 45"}])
    assert ".name" in only


def test_a_channel_without_a_type_or_a_file_has_its_other_faults_too():
    found = faults(notify=[{"name": "hook", "quiet": "22-8", "secret_file": "whsec_hush"}])
    assert [each.split("notify[0].")[1].split(" ")[0] for each in found] == ["type", "url_file", "secret_file", "quiet"]
    assert faults(dividend=[{"symbol": "SPY"}])[0].startswith("f:0: dividend[0].date is missing")


def warnings(**values):
    return [each for found in read(**values).values() for each in found.warnings]


def test_a_rule_or_channel_that_can_never_do_anything_is_a_warning_with_its_place():
    long = {"name": "profit-targets", "when": "tested", "match": {"direction": "long"}}
    off = [{"name": each.name, "enabled": False} for each in BUILT_IN if each.severity == "critical"]
    found = warnings(alert=[long, *off], notify=[HOOK | {"min_severity": "critical"}, HOOK | {"name": "all"}])
    assert [each.partition(": it ")[0].partition(": no ")[0] for each in found] == [
        "f:3: alert[0].match.direction = 'long'",
        "f:1: alert[0].name = 'profit-targets'",
        "f:4: notify[0].min_severity = 'critical'",
    ]


def test_while_there_are_faults_there_are_no_warnings():
    assert warnings(alert=[{"name": "profit-targets", "when": "tested"}], notify=[HOOK | {"type": "x"}]) == []
    assert warnings(dividend=[{"symbol": "SPY", "date": "2026-12-18", "amount": 1}]) == []


def test_a_configuration_without_rules_imports_no_parser_of_rules():
    """Every command reads the configuration, and importing the parser takes 5 to 12 ms."""
    names = ["table", "built_in", "parsing", "catalogue", "evaluating", "lint"]
    code = (
        f"import condord.config.sources, sys; print([n for n in {names} if f'condord.core.rules.{{n}}' in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_quiet_hours_in_a_zone_without_daylight_saving_time_are_a_warning():
    winter, place = HOOK | {"quiet": "22:00-08:00 EST"}, HOOK | {"name": "b", "quiet": "22:00-08:00 America/New_York"}
    (found,) = warnings(notify=[winter, place])
    assert ": notify[0].quiet = '22:00-08:00 EST': EST has no daylight saving time" in found
