"""The Greeter, called by gRPC's own Python client: the C-core, blocking and asyncio.

    greeter.py ADDR              every case; a line each, `ok   NAME` or `FAIL NAME: why`
    greeter.py ADDR drain PID    one case: a call is under way when the server PID is told to end

The exit code is 0 when every case passed. The generated modules are on PYTHONPATH: see `run`.
"""

import asyncio
import os
import signal
import sys
import time

import grpc
from helloworld_pb2 import HelloReply, HelloRequest
from helloworld_pb2_grpc import GreeterStub

# Seconds: what takes milliseconds on an idle machine may take this long.
PATIENCE = 20

OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # Each channel has a connection of its own.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
]

NAMES = ["wörld", "世界", "Ωμέγα", "👩‍👩‍👧‍👦", "e\u0301", "a\x00b", "", " "]

blocking_cases = []
asyncio_cases = []


def blocking(case):
    blocking_cases.append(case)
    return case


def with_asyncio(case):
    asyncio_cases.append(case)
    return case


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r:.200} is not {wanted!r:.200}")


def status_of(call):
    """The code and the text with which a call ends; that it ends well is a failure."""
    try:
        reply = call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"it ended well: {reply!r:.200}")


def hello(stub, name="Joe", sleep_millisecond=0, timeout=PATIENCE, **more):
    request = HelloRequest(name=name, sleep_millisecond=sleep_millisecond)
    return stub.SayHello(request, timeout=timeout, **more).message


def is_healthy(stub):
    equal(hello(stub, "still there"), "Hello, still there!")


# The blocking client.


@blocking
def unary(channel, stub):
    equal(hello(stub), "Hello, Joe!")


@blocking
def a_thousand_in_turn(channel, stub):
    for n in range(1000):
        equal(hello(stub, str(n)), f"Hello, {n}!")


@blocking
def a_hundred_at_once_of_10_ms(channel, stub):
    start = time.monotonic()
    calls = [stub.SayHello.future(HelloRequest(name=str(n), sleep_millisecond=10), timeout=PATIENCE) for n in range(100)]
    for n, call in enumerate(calls):
        equal(call.result().message, f"Hello, {n}!")
    took = time.monotonic() - start
    # In turn they would take a second.
    assert 0.010 <= took < 1.0, f"took {took:.3f} s"


@blocking
def names_in_utf_8(channel, stub):
    for name in NAMES:
        equal(hello(stub, name), f"Hello, {name}!")


@blocking
def metadata_of_both_kinds(channel, stub):
    metadata = [("x-text", "a, b"), ("x-text", "c"), ("x-bytes-bin", bytes(range(256)))]
    equal(hello(stub, metadata=metadata), "Hello, Joe!")


@blocking
def a_bad_sleep_is_invalid_argument(channel, stub):
    for sleep in [-1, -(2**31), 60_001, 2**31 - 1]:
        code, text = status_of(lambda: hello(stub, sleep_millisecond=sleep))
        equal(code, grpc.StatusCode.INVALID_ARGUMENT)
        assert str(sleep) in text, text
    is_healthy(stub)


@blocking
def an_unknown_method_is_unimplemented(channel, stub):
    for method in ["/helloworld.Greeter/SayGoodbye", "/helloworld.Nobody/SayHello"]:
        call = channel.unary_unary(method, HelloRequest.SerializeToString, HelloReply.FromString)
        code, _ = status_of(lambda: call(HelloRequest(name="Joe"), timeout=PATIENCE))
        equal(code, grpc.StatusCode.UNIMPLEMENTED)
    is_healthy(stub)


@blocking
def a_deadline_is_deadline_exceeded(channel, stub):
    start = time.monotonic()
    code, _ = status_of(lambda: hello(stub, sleep_millisecond=60_000, timeout=0.1))
    took = time.monotonic() - start
    equal(code, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert 0.1 <= took < 5.0, f"took {took:.3f} s"
    is_healthy(stub)


@blocking
def fifty_deadlines_at_once(channel, stub):
    calls = [stub.SayHello.future(HelloRequest(sleep_millisecond=60_000), timeout=0.05) for _ in range(50)]
    for call in calls:
        equal(call.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    is_healthy(stub)


@blocking
def a_cancelled_call(channel, stub):
    call = stub.SayHello.future(HelloRequest(name="Joe", sleep_millisecond=60_000), timeout=PATIENCE)
    # Answered later on the same connection: by then the call is in its handler.
    is_healthy(stub)
    assert call.cancel(), "it can be cancelled"
    equal(call.code(), grpc.StatusCode.CANCELLED)
    is_healthy(stub)


@blocking
def a_name_of_1_mib(channel, stub):
    name = "x" * (1024 * 1024)
    equal(hello(stub, name), f"Hello, {name}!")


@blocking
def ten_names_of_1_mib_at_once(channel, stub):
    names = [chr(ord("a") + n) * (1024 * 1024) for n in range(10)]
    calls = [stub.SayHello.future(HelloRequest(name=name), timeout=PATIENCE) for name in names]
    for name, call in zip(names, calls):
        equal(call.result().message, f"Hello, {name}!")


@blocking
def a_name_of_5_mib_is_refused(channel, stub):
    code, _ = status_of(lambda: hello(stub, "x" * (5 * 1024 * 1024)))
    equal(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
    is_healthy(stub)


@blocking
def twenty_connections(channel, stub):
    channels = [grpc.insecure_channel(address, OPTIONS) for _ in range(20)]
    for n, one in enumerate(channels):
        equal(hello(GreeterStub(one), str(n)), f"Hello, {n}!")
    for one in channels:
        one.close()


# The asyncio client.


async def hello_aio(stub, name="Joe", sleep_millisecond=0, timeout=PATIENCE):
    request = HelloRequest(name=name, sleep_millisecond=sleep_millisecond)
    return (await stub.SayHello(request, timeout=timeout)).message


async def aio_is_healthy(stub):
    equal(await hello_aio(stub, "still there"), "Hello, still there!")


@with_asyncio
async def aio_unary(stub):
    equal(await hello_aio(stub), "Hello, Joe!")


@with_asyncio
async def aio_a_hundred_at_once_of_10_ms(stub):
    start = time.monotonic()
    replies = await asyncio.gather(*(hello_aio(stub, str(n), 10) for n in range(100)))
    took = time.monotonic() - start
    equal(replies, [f"Hello, {n}!" for n in range(100)])
    assert 0.010 <= took < 1.0, f"took {took:.3f} s"


@with_asyncio
async def aio_names_in_utf_8(stub):
    equal(await asyncio.gather(*(hello_aio(stub, name) for name in NAMES)), [f"Hello, {name}!" for name in NAMES])


@with_asyncio
async def aio_a_bad_sleep_is_invalid_argument(stub):
    try:
        await hello_aio(stub, sleep_millisecond=-1)
    except grpc.aio.AioRpcError as error:
        equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    else:
        raise AssertionError("it ended well")


@with_asyncio
async def aio_a_deadline_is_deadline_exceeded(stub):
    try:
        await hello_aio(stub, sleep_millisecond=60_000, timeout=0.1)
    except grpc.aio.AioRpcError as error:
        equal(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    else:
        raise AssertionError("it ended well")
    await aio_is_healthy(stub)


@with_asyncio
async def aio_a_cancelled_call(stub):
    call = stub.SayHello(HelloRequest(name="Joe", sleep_millisecond=60_000), timeout=PATIENCE)
    await aio_is_healthy(stub)
    assert call.cancel(), "it can be cancelled"
    equal(await call.code(), grpc.StatusCode.CANCELLED)
    await aio_is_healthy(stub)


@with_asyncio
async def aio_a_name_of_1_mib(stub):
    name = "x" * (1024 * 1024)
    equal(await hello_aio(stub, name), f"Hello, {name}!")


# Running them.


def passed(name, case):
    try:
        case()
    except Exception as error:  # pylint: disable=broad-except
        why = error.details() if isinstance(error, grpc.RpcError) else error
        print(f"FAIL {name}: {type(error).__name__}: {why}", flush=True)
        return False
    print(f"ok   {name}", flush=True)
    return True


def run_blocking(case):
    with grpc.insecure_channel(address, OPTIONS) as channel:
        case(channel, GreeterStub(channel))


def run_asyncio(case):
    async def main():
        async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
            await asyncio.wait_for(case(GreeterStub(channel)), 2 * PATIENCE)

    asyncio.run(main())


def drain(pid):
    """The call ends well, the connection learns of the end (GOAWAY), and no later call reaches the server."""
    with grpc.insecure_channel(address, OPTIONS) as channel:
        stub = GreeterStub(channel)
        call = stub.SayHello.future(HelloRequest(name="Joe", sleep_millisecond=500), timeout=PATIENCE)
        is_healthy(stub)
        os.kill(pid, signal.SIGTERM)
        equal(call.result().message, "Hello, Joe!")
        code, _ = status_of(lambda: hello(stub, timeout=5))
        equal(code, grpc.StatusCode.UNAVAILABLE)


if __name__ == "__main__":
    address = sys.argv[1]
    if sys.argv[2:3] == ["drain"]:
        results = [passed("a_call_under_way_ends_well_when_the_server_drains", lambda: drain(int(sys.argv[3])))]
    else:
        results = [passed(case.__name__, lambda case=case: run_blocking(case)) for case in blocking_cases]
        results += [passed(case.__name__, lambda case=case: run_asyncio(case)) for case in asyncio_cases]
    sys.exit(0 if all(results) else 1)
