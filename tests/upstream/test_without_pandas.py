import subprocess
import sys
import types

import pytest

from condord.upstream.without_pandas import _deferred

PROGRAM = """
import sys, condord.daemon.service
print([name for name in ("pandas", "numpy") if name in sys.modules])

from alpaca.data.models import BarSet
from alpaca.trading.requests import GetCorporateAnnouncementsRequest
bars = BarSet({"SPY": [{"t": "2026-11-18T15:00:00Z", "o": 1, "h": 4, "l": 1, "c": 2, "v": 5, "n": 1, "vw": 2}]})
frame = bars.df
import pandas
print(type(frame) is pandas.DataFrame, frame["high"].tolist())
try:
    GetCorporateAnnouncementsRequest(ca_types=["dividend"], since="2026-01-01", until="2026-11-18")
except ValueError as error:
    print("90 days" in str(error))
"""


@pytest.mark.slow
def test_the_daemon_imports_pandas_only_if_a_data_frame_is_asked_for():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["[]", "True [4.0]", "True"], done.stderr


def test_a_module_that_is_imported_already_is_not_deferred(monkeypatch):
    imported = types.ModuleType("of_a_test")
    monkeypatch.setitem(sys.modules, "of_a_test", imported)
    with _deferred(of_a_test=("Name",)):
        import of_a_test
    assert sys.modules["of_a_test"] is of_a_test is imported
    assert not hasattr(imported, "Name")


def test_a_failed_import_leaves_nothing_deferred():
    with pytest.raises(ModuleNotFoundError), _deferred(of_a_test=()):
        import no_such_module_of_a_test  # noqa: F401
    assert "of_a_test" not in sys.modules
