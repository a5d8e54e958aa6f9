import pytest
import typer

from condord.cli import serving
from condord.config import schema


def test_the_options_are_configuration_keys():
    flags = serving.flags("h", 1, None, "info", "json")
    assert flags.keys() <= {field.name for field in schema.fields()}
    assert [*flags.values()] == ["h", 1, None, "info", "json"]
    assert serving.flags(None, None, "/u", None, None)["server.uds"] == "/u"


@pytest.mark.parametrize(("host", "port", "named"), [(None, 0, "--port"), ("h", None, "--host")])
def test_a_socket_cannot_be_combined_with_a_host_or_a_port(host, port, named):
    with pytest.raises(typer.BadParameter, match=f"cannot be combined with {named}"):
        serving.flags(host, port, "/u", None, None)
    assert serving.flags(host, port, "", None, None)["server.uds"] == ""


def test_metrics_stay_in_memory():
    environ = {"PROMETHEUS_MULTIPROC_DIR": "/x", "prometheus_multiproc_dir": "/x", "HOME": "/"}
    serving.keep_metrics_in_memory(environ)
    assert environ == {"HOME": "/"}
