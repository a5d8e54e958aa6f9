from condord.cli import serving
from condord.config import schema


def test_the_options_are_configuration_keys():
    flags = serving.flags("h", 1, "/u", "info", "json")
    assert flags.keys() <= {field.name for field in schema.fields()}
    assert [*flags.values()] == ["h", 1, "/u", "info", "json"]


def test_metrics_stay_in_memory():
    environ = {"PROMETHEUS_MULTIPROC_DIR": "/x", "prometheus_multiproc_dir": "/x", "HOME": "/"}
    serving.keep_metrics_in_memory(environ)
    assert environ == {"HOME": "/"}
