import asyncio
import contextlib
import datetime as dt

import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.cluster.maker_channel import CopyIsKept, StateCopy
from condord.daemon.alert_service import FILE_NAME, AlertService
from condord.daemon.copied_state import KEPT_SECONDS, CopiedState
from condord.errors import ConfigError
from condord.live.alerts import Alerts
from condord.notify.alert_copy import encoded
from condord.notify.delivery import Delivery
from condord.notify.file import StoredAlerts
from condord.notify.store import AlertStore
from condord.upstream import state_files
from tests.fakes.alert_parts import FakeWatch
from tests.notify.builders import NOW_AT, record
from tests.notify.test_delivery import FakeSenders
from tests.virtualtime import run, until

NAMES = f"{'a' * 20}-names.json"


def test_once_there_is_a_front_the_newest_state_of_each_kind_is_sent_and_then_each_change():
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
        await copied.confirm(CopyIsKept(kind="names", number=5))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await copied.confirm(CopyIsKept(kind="alerts", number=1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.result() is True

    run(main())


def test_alerts_wait_for_a_limited_time():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert not await CopiedState().copy_alerts(b"a")
        assert loop.time() - began == pytest.approx(KEPT_SECONDS)

    run(main())


def now_at() -> dt.datetime:
    return NOW_AT


def recalled(content, directory):
    """Return the alerts that a successor begins with."""
    copied = CopiedState([StateCopy(kind="alerts", name="", content=content)])

    async def main():
        path = directory / FILE_NAME
        with contextlib.closing(AlertStore(path, machine_at=now_at, handed_over=copied.alerts)) as store:
            return await store.switch_to("key")

    return asyncio.run(main())


def test_once_an_acknowledgement_is_answered_a_successor_knows_it(tmp_path):
    """The leader may be killed right after the answer: by then the bus has the acknowledgement."""
    (tmp_path / "next").mkdir()
    sent, on_bus = [], []

    async def write_all(copied):
        while sent:
            keep = sent.pop(0)
            on_bus.append(keep.copy.content)
            await copied.confirm(CopyIsKept(kind=keep.copy.kind, number=keep.number))

    async def main():
        copied, alerts = CopiedState(), Alerts()
        copied.connect(sent.append)
        store = AlertStore(tmp_path / FILE_NAME, machine_at=now_at, copy=copied.copy_alerts)
        delivery = Delivery(store, FakeSenders(), now_at=now_at, session_end=lambda _: NOW_AT)
        service = AlertService(alerts=alerts, watch=FakeWatch(), store=store, delivery=delivery, now_at=now_at)
        running = asyncio.create_task(service.run())
        service.note_account("key")
        await until(lambda: sent)
        await write_all(copied)
        await until(lambda: alerts.recalls)
        alerts.recall([record()])

        acknowledgement = asyncio.create_task(service.acknowledge(record().id))
        await until(lambda: sent)
        assert not acknowledgement.done()
        await write_all(copied)
        assert await acknowledgement
        running.cancel()
        service.close()

    run(main())
    assert recalled(on_bus[0], tmp_path / "next") == ()
    assert [each.acknowledged_at for each in recalled(on_bus[-1], tmp_path / "next")] == [NOW_AT]


def test_the_daemon_begins_with_the_earlier_state(caplog):
    copied = CopiedState(
        [
            StateCopy(kind="names", name=NAMES, content=b"names"),
            StateCopy(kind="alerts", name="", content=encoded("hash", StoredAlerts(records=(record(),)))),
        ]
    )
    assert copied.files == {NAMES: b"names"}
    assert copied.alerts.stored.records == (record(),)
    assert CopiedState([StateCopy(kind="alerts", name="", content=b"no JSON")]).alerts is None
    assert [each.fields["kind"] for each in caplog.records] == ["alerts"]


def test_only_the_account_of_an_earlier_state_is_taken():
    names = f"{state_files.hash_of('one')}-names.json"
    alerts = encoded(state_files.hash_of("one"), StoredAlerts())
    for copy in (
        StateCopy(kind="names", name=names, content=b""),
        StateCopy(kind="alerts", name="", content=alerts),
    ):
        copied = CopiedState([copy])
        copied.require_account("one")
        with pytest.raises(ConfigError, match="for another account") as refused:
            copied.require_account("two")
        assert "cluster.account" in refused.value.hint


def test_without_an_earlier_state_the_first_account_stays():
    copied = CopiedState()
    copied.require_account("one")
    with pytest.raises(ConfigError):
        copied.require_account("two")
    copied.require_account("one")
