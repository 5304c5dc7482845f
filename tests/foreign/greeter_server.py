"""The Greeter, served by gRPC's own Python server, for `loopswap load`.

It prints `listening on ADDR`, and ends in order after SIGTERM. A name that begins with `fail: ` is answered with FAILED_PRECONDITION and the rest of it.
The generated modules are on PYTHONPATH: see `run`.
"""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from helloworld_pb2 import HelloReply
from helloworld_pb2_grpc import GreeterServicer, add_GreeterServicer_to_server

# As the article has it.
WORKERS = 100

# Seconds in which calls that are under way may end.
GRACE = 5


class Greeter(GreeterServicer):
    def SayHello(self, request, context):
        if request.name.startswith("fail: "):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.name.removeprefix("fail: "))
        if request.sleep_millisecond > 0:
            time.sleep(request.sleep_millisecond / 1000)
        return HelloReply(message=f"Hello, {request.name}!")


def main():
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server = grpc.server(ThreadPoolExecutor(max_workers=WORKERS), options=[("grpc.so_reuseport", 0)])
    add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    stopped.wait()
    server.stop(GRACE).wait()


if __name__ == "__main__":
    main()
