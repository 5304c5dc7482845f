"""The article's third and fourth rows: grpclib, whose HTTP/2 is pure Python, with betterproto's messages. The loop is the first argument."""

import asyncio
import sys

import helloworld
from grpclib.server import Server

from common import HOST, listening, run, sigterm


class Greeter(helloworld.GreeterBase):
    async def say_hello(self, hello_request: helloworld.HelloRequest) -> helloworld.HelloReply:
        await asyncio.sleep(hello_request.sleep_millisecond / 1000)
        return helloworld.HelloReply(message=f"Hello, {hello_request.name}!")


def bound_port(server: Server) -> int:
    # grpclib binds what it is told and does not tell what it got; the asyncio server under it does.
    return server._server.sockets[0].getsockname()[1]


async def main() -> None:
    server = Server([Greeter()])
    await server.start(HOST, 0)
    listening(bound_port(server))
    await sigterm()
    server.close()
    await server.wait_closed()


if __name__ == "__main__":
    run(main, sys.argv[1])
