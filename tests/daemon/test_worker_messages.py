import msgspec

from condord.config import schema
from condord.daemon.counts import Counts
from condord.daemon.worker_messages import WorkerReport, WorkerSettings, line
from condord.http.merged_metrics import Family, SampleValue


def test_a_message_is_one_line_and_is_decoded_to_itself():
    settings = WorkerSettings(
        server=schema.Server(workers=2, allowed_hosts=("a.example",)),
        log=schema.Log(),
        token="t\n",
        source="/run/x",
        address="http://127.0.0.1:1",
        takes_any_host=False,
        tickets="/run/t",
        cluster=schema.Cluster(role="relay", source="http://a"),
    )
    family = Family("a", "b", "counter", (SampleValue("a_total", {"route": "/x\n"}, 1.5),))
    report = WorkerReport(counts=Counts(frames=3, resyncs={"a": 1}), families={"a": family})
    for message in (settings, report):
        sent = line(message)
        assert sent.count(b"\n") == 1
        assert sent.endswith(b"\n")
        assert msgspec.json.decode(sent, type=type(message)) == message
