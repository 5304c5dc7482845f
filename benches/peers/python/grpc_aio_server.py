"""The article's fifth and sixth rows: grpc.aio, the C core driven from a loop, which is the first argument."""

import asyncio
import sys

import grpc
import helloworld_pb2
import helloworld_pb2_grpc

from common import HOST, listening, run, sigterm


class Greeter(helloworld_pb2_grpc.GreeterServicer):
    async def SayHello(self, request, context):
        await asyncio.sleep(request.sleep_millisecond / 1000)
        return helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")


async def main() -> None:
    server = grpc.aio.server()
    helloworld_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    listening(port)
    await sigterm()
    await server.stop(grace=None)


if __name__ == "__main__":
    run(main, sys.argv[1])
