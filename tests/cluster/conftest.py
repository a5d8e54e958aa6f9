from tests.cluster.nats_server import nats_server

__all__ = ["nats_server"]
