import asyncio
import datetime as dt

import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.cluster.maker_channel import Kept, StateCopy
from condord.daemon.copied_state import KEPT_SECONDS, CopiedState, restore
from condord.notify.alert_copy import encoded
from condord.notify.file import AlertFile, Stored
from tests.notify.made import NOW_AT, record
from tests.virtualtime import run

NAMES = f"{'a' * 20}-names.json"


def test_the_newest_of_each_kind_is_sent_once_there_is_a_front_and_then_each():
    copied, sent = CopiedState(), []
    copied.copy_file(NAMES, b"1")
    copied.copy_file(NAMES, b"2")
    copied.connect(sent.append)
    copied.copy_file(NAMES, b"3")
    copied.copy_file(f"{'a' * 20}-life.json", b"4")
    assert [(keep.number, keep.copy.kind, keep.copy.content) for keep in sent] == [
        (2, "names", b"2"),
        (3, "names", b"3"),
        (4, "life", b"4"),
    ]


def test_alerts_wait_until_a_successor_would_have_them():
    async def main():
        copied, sent = CopiedState(), []
        copied.connect(sent.append)
        waiting = asyncio.create_task(copied.copy_alerts(b"a"))
        await asyncio.sleep(0.1)
        await copied.confirm(Kept(kind="names", number=5))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await copied.confirm(Kept(kind="alerts", number=1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done()

    run(main())


def test_alerts_wait_only_so_long():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await CopiedState().copy_alerts(b"a")
        assert loop.time() - began == pytest.approx(KEPT_SECONDS)

    run(main())


def now_at() -> dt.datetime:
    return NOW_AT


def test_an_earlier_state_is_written_where_the_daemon_reads_it(tmp_path, caplog):
    copies = [
        StateCopy(kind="names", name=NAMES, content=b"names"),
        StateCopy(kind="life", name="../life.json", content=b"no"),
        StateCopy(kind="alerts", name="", content=b"no JSON"),
        StateCopy(kind="alerts", name="", content=encoded("hash", Stored(records=(record(),)))),
    ]
    restore(copies, tmp_path, machine_at=now_at)
    assert (tmp_path / NAMES).read_bytes() == b"names"
    assert [each.fields["kind"] for each in caplog.records] == ["life", "alerts"]
    file = AlertFile(tmp_path / "alerts.sqlite3", machine_at=now_at)
    assert file.read("hash").records == (record(),)
    file.close()
