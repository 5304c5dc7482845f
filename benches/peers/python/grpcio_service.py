"""The service for grpcio's synchronous server. Under gevent the very same code runs, with `time.sleep` replaced by gevent's."""

import time
from concurrent import futures

import grpc
import helloworld_pb2
import helloworld_pb2_grpc

from common import HOST, listening

# The article's.
N_WORKERS = 100


class Greeter(helloworld_pb2_grpc.GreeterServicer):
    def SayHello(self, request, context):
        # It stands for I/O.
        time.sleep(request.sleep_millisecond / 1000)
        return helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")


def start() -> grpc.Server:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=N_WORKERS))
    helloworld_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    listening(port)
    return server
