import tomllib
from pathlib import Path

import msgspec
import pytest

from condord.config import schema, sources

EXAMPLE = Path(__file__).parents[2] / "condord.toml.example"
FIELDS = {field.name: field for field in schema.fields()}


def test_each_default_is_allowed():
    for field in FIELDS.values():
        assert msgspec.convert(field.default, field.type) == field.default
        assert field.allowed
        assert field.variable == f"CONDORD_{field.section}_{field.key}".upper()


def test_the_conversions_of_the_stream_section_are_exact():
    stream = schema.Stream(window_ms=250, min_change=0.01)
    assert (stream.window_seconds, stream.min_change_e4) == (0.25, 100)


def test_a_configuration_is_replaced_and_never_modified():
    before = schema.Config()
    after = msgspec.structs.replace(before, log=msgspec.structs.replace(before.log, level="debug"))
    assert (before.log.level, after.log.level) == ("info", "debug")
    with pytest.raises(AttributeError):
        before.log.level = "debug"


def test_the_example_holds_every_key_at_its_default_and_no_other():
    parsed = tomllib.loads(EXAMPLE.read_text())
    shown = {f"{section}.{key}": value for section, table in parsed.items() for key, value in table.items()}
    assert list(shown) == list(FIELDS)
    assert sources.load(EXAMPLE, {}, {}).config == schema.Config()


def test_the_example_explains_each_key_and_what_is_allowed():
    section, lines = "", EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            field = FIELDS[f"{section}.{line.split(' = ')[0]}"]
            assert lines[number - 2].startswith("# ")
            assert lines[number - 1] == f"# Allowed: {field.allowed}."


def test_the_example_shows_every_key_of_the_tables():
    shown = tomllib.loads("\n".join(line.removeprefix("# ") for line in table_lines()))
    assert set(shown) == set(schema.TABLES)
    for name, kind in schema.TABLES.items():
        assert {key for table in shown[name] for key in table} == set(kind.__struct_fields__)


def table_lines():
    """The lines of the tables in the comments of the example."""
    is_table = False
    for line in EXAMPLE.read_text().splitlines():
        is_table = line.startswith("# [[") or (is_table and line.startswith("# "))
        if is_table:
            yield line


def test_the_tables_in_the_example_have_no_faults(tmp_path):
    path = tmp_path / "condord.toml"
    path.write_text("\n".join(line.removeprefix("# ") for line in table_lines()))
    assert sources.load(path, {}, {}).config.alert


def test_keys_of_a_rule_are_optional_except_its_name():
    assert [field.key for field in schema.fields_of_table("alert") if field.is_required] == ["name"]
    required = [field.key for field in schema.fields_of_table("notify") if field.is_required]
    assert required == ["name", "type", "url_file"]


def test_the_values_of_a_table_are_those_that_it_names():
    match = schema.MatchTable(underlying=("SPY",))
    table = schema.AlertTable(name="a", when="tested", match=match, notify=())
    assert schema.values_of(table) == {"name": "a", "when": "tested", "match": {"underlying": ("SPY",)}, "notify": ()}
