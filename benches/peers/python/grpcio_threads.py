"""The article's first row: grpcio's C core, and a pool of 100 threads for the handlers."""

import signal
import threading

from grpcio_service import start


def main() -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = start()
    ended.wait()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main()
