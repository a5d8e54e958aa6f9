"""The adapters to another condord, which a relay follows, and to NATS, on which ingesters elect a leader."""
