"""The article's second row: the same server in grpcio's compatibility mode for gevent. Patched before anything else is imported."""

from gevent import monkey

monkey.patch_all()

from grpc.experimental import gevent as grpc_gevent  # noqa: E402

grpc_gevent.init_gevent()

import signal  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402

from grpcio_service import start  # noqa: E402


def main() -> None:
    ended = Event()
    gevent.signal_handler(signal.SIGTERM, ended.set)
    server = start()
    ended.wait()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
