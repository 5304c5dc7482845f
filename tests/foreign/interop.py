"""gRPC's interoperability tests, by gRPC's own Python client: calls of all four kinds.

    interop.py ADDR DESCRIPTORS ENGINE    every case; a line each, `ok   NAME` or `FAIL NAME: why`

ENGINE is the server's, `native` or `hyper`: what hyper cannot do is not asked of it. The first cases are those of gRPC's doc/interop-test-descriptions.md, under its names; more about limits and cancellation follow.
DESCRIPTORS is what protoc makes of proto/grpc/testing: the messages are made from it at run time, because generated modules
would be named `grpc.testing`, and `grpc` is the client itself. The exit code is 0 when every case passed.
"""

import queue
import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Seconds: what takes milliseconds on an idle machine may take this long.
PATIENCE = 20

# Calls of a soak test, one behind the other, and of those that run at once. The descriptions leave the numbers to who runs them.
N_SOAK = 20
N_CONCURRENT = 50

OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # Each channel has a connection of its own.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
]

ECHO_INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
ECHO_TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")

REQUEST_BYTES = [27182, 8, 1828, 45904]
RESPONSE_BYTES = [31415, 9, 2653, 58979]

Code = grpc.StatusCode

cases = []
native_cases = []


def case(run):
    cases.append(run)
    return run


def native_case(run):
    """hyper cannot: it refuses header lists by HTTP's 431, and answers any number of PINGs."""
    native_cases.append(run)
    return run


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r:.200} is not {wanted!r:.200}")


class Stub:
    """The methods of a service, by the kinds that its descriptor says."""

    def __init__(self, channel, service):
        for method in service.methods:
            kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
            call = getattr(channel, kind)(
                f"/{service.full_name}/{method.name}",
                message_factory.GetMessageClass(method.input_type).SerializeToString,
                message_factory.GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)


def failure_of(run):
    """The error with which a call ends; that it ends well is a failure."""
    try:
        result = run()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"it ended well: {result!r:.200}")


def fails(code, run):
    error = failure_of(run)
    equal((error.code(), error.details()), (code, error.details()))
    return error


def payload(n_bytes):
    return Payload(body=bytes(n_bytes))


def wanting(*sizes, interval_us=0, **more):
    parameters = [ResponseParameters(size=size, interval_us=interval_us) for size in sizes]
    return StreamingOutputCallRequest(response_parameters=parameters, **more)


def sizes_of(responses):
    return [len(response.payload.body) for response in responses]


def large_call(stub):
    request = SimpleRequest(response_size=314159, payload=payload(271828))
    equal(stub.UnaryCall(request, timeout=PATIENCE).payload.body, bytes(314159))


def is_healthy(stub):
    equal(stub.EmptyCall(Empty(), timeout=PATIENCE), Empty())


class Requests:
    """A stream of requests that is fed while the call goes on."""

    def __init__(self):
        self.queue = queue.Queue()

    def send(self, request):
        self.queue.put(request)

    def end(self):
        self.queue.put(None)

    def __iter__(self):
        return iter(self.queue.get, None)


# The cases of interop-test-descriptions.md.


@case
def empty_unary(stub):
    equal(stub.EmptyCall(Empty(), timeout=PATIENCE), Empty())


@case
def large_unary(stub):
    large_call(stub)


@case
def client_streaming(stub):
    requests = (StreamingInputCallRequest(payload=payload(n)) for n in REQUEST_BYTES)
    equal(stub.StreamingInputCall(requests, timeout=PATIENCE).aggregated_payload_size, 74922)


@case
def server_streaming(stub):
    equal(sizes_of(stub.StreamingOutputCall(wanting(*RESPONSE_BYTES), timeout=PATIENCE)), RESPONSE_BYTES)


@case
def ping_pong(stub):
    requests = Requests()
    call = stub.FullDuplexCall(iter(requests), timeout=PATIENCE)
    for n_sent, n_wanted in zip(REQUEST_BYTES, RESPONSE_BYTES):
        requests.send(wanting(n_wanted, payload=payload(n_sent)))
        # Not before the answer has come does the next request go out.
        equal(len(next(call).payload.body), n_wanted)
    requests.end()
    equal(list(call), [])
    equal(call.code(), Code.OK)


@case
def empty_stream(stub):
    call = stub.FullDuplexCall(iter([]), timeout=PATIENCE)
    equal(list(call), [])
    equal(call.code(), Code.OK)


@case
def timeout_on_sleeping_server(stub):
    requests = Requests()
    # The server is answering when the time is over.
    requests.send(wanting(31415, interval_us=60_000_000, payload=payload(27182)))
    start = time.monotonic()
    fails(Code.DEADLINE_EXCEEDED, lambda: list(stub.FullDuplexCall(iter(requests), timeout=0.2)))
    took = time.monotonic() - start
    requests.end()
    assert 0.2 <= took < 5.0, f"took {took:.3f} s"
    is_healthy(stub)


@case
def cancel_after_begin(stub):
    requests = Requests()
    call = stub.StreamingInputCall.future(iter(requests), timeout=PATIENCE)
    assert call.cancel(), "it can be cancelled"
    equal(call.code(), Code.CANCELLED)
    requests.end()
    is_healthy(stub)


@case
def cancel_after_first_response(stub):
    requests = Requests()
    call = stub.FullDuplexCall(iter(requests), timeout=PATIENCE)
    requests.send(wanting(31415, payload=payload(27182)))
    equal(len(next(call).payload.body), 31415)
    call.cancel()
    fails(Code.CANCELLED, lambda: next(call))
    requests.end()
    is_healthy(stub)


@case
def custom_metadata(stub):
    metadata = [ECHO_INITIAL, ECHO_TRAILING]
    request = SimpleRequest(response_size=314159, payload=payload(271828))
    _, unary = stub.UnaryCall.with_call(request, metadata=metadata, timeout=PATIENCE)
    duplex = stub.FullDuplexCall(iter([wanting(314159, payload=payload(271828))]), metadata=metadata, timeout=PATIENCE)
    equal(sizes_of(duplex), [314159])
    for call in [unary, duplex]:
        equal(dict(call.initial_metadata()).get(ECHO_INITIAL[0]), ECHO_INITIAL[1])
        equal(dict(call.trailing_metadata()).get(ECHO_TRAILING[0]), ECHO_TRAILING[1])


@case
def status_code_and_message(stub):
    wanted = EchoStatus(code=2, message="test status message")
    unary = failure_of(lambda: stub.UnaryCall(SimpleRequest(response_status=wanted), timeout=PATIENCE))
    duplex = failure_of(lambda: list(stub.FullDuplexCall(iter([wanting(response_status=wanted)]), timeout=PATIENCE)))
    for error in [unary, duplex]:
        equal((error.code(), error.details()), (Code.UNKNOWN, "test status message"))


@case
def special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    wanted = EchoStatus(code=2, message=message)
    error = failure_of(lambda: stub.UnaryCall(SimpleRequest(response_status=wanted), timeout=PATIENCE))
    equal((error.code(), error.details()), (Code.UNKNOWN, message))


@case
def unimplemented_method(stub):
    fails(Code.UNIMPLEMENTED, lambda: stub.UnimplementedCall(Empty(), timeout=PATIENCE))
    is_healthy(stub)


@case
def unimplemented_service(stub):
    fails(Code.UNIMPLEMENTED, lambda: stub.of_nobody.UnimplementedCall(Empty(), timeout=PATIENCE))
    is_healthy(stub)


@case
def rpc_soak(stub):
    for _ in range(N_SOAK):
        large_call(stub)


@case
def channel_soak(stub):
    for _ in range(N_SOAK):
        with grpc.insecure_channel(stub.address, OPTIONS) as channel:
            large_call(Stub(channel, service_of("TestService")))


@case
def concurrent_large_unary(stub):
    request = SimpleRequest(response_size=314159, payload=payload(271828))
    calls = [stub.UnaryCall.future(request, timeout=PATIENCE) for _ in range(N_CONCURRENT)]
    for call in calls:
        equal(call.result().payload.body, bytes(314159))


# More.


@case
def half_duplex(stub):
    call = stub.HalfDuplexCall(iter([wanting(n) for n in RESPONSE_BYTES]), timeout=PATIENCE)
    equal(sizes_of(call), RESPONSE_BYTES)


@case
def a_stream_of_a_thousand_each_way(stub):
    call = stub.FullDuplexCall((wanting(n, payload=payload(n)) for n in range(1000)), timeout=PATIENCE)
    equal(sizes_of(call), list(range(1000)))


@case
def streams_of_32_mib_each_way(stub):
    n = 1024 * 1024
    requests = (StreamingInputCallRequest(payload=payload(n)) for _ in range(32))
    equal(stub.StreamingInputCall(requests, timeout=PATIENCE).aggregated_payload_size, 32 * n)
    equal(sizes_of(stub.StreamingOutputCall(wanting(*[n] * 32), timeout=PATIENCE)), [n] * 32)


@case
def a_slow_reader_gets_all(stub):
    n = 256 * 1024
    call = stub.StreamingOutputCall(wanting(*[n] * 16), timeout=PATIENCE)
    for _ in range(16):
        time.sleep(0.01)
        equal(len(next(call).payload.body), n)
    equal(list(call), [])


@case
def a_hundred_streams_at_once(stub):
    calls = [stub.StreamingOutputCall(wanting(*RESPONSE_BYTES, interval_us=5000), timeout=PATIENCE) for _ in range(100)]
    for call in calls:
        equal(sizes_of(call), RESPONSE_BYTES)


@case
def a_status_behind_messages(stub):
    requests = [wanting(9), wanting(response_status=EchoStatus(code=9, message="enough"))]
    call = stub.FullDuplexCall(iter(requests), timeout=PATIENCE)
    equal(len(next(call).payload.body), 9)
    equal(fails(Code.FAILED_PRECONDITION, lambda: next(call)).details(), "enough")


@case
def a_server_that_ends_first(stub):
    requests = Requests()
    call = stub.FullDuplexCall(iter(requests), timeout=PATIENCE)
    # The client's half stays open.
    requests.send(wanting(response_status=EchoStatus(code=10, message="no more")))
    fails(Code.ABORTED, lambda: next(call))
    requests.end()
    is_healthy(stub)


@case
def client_compressed_unary(stub):
    def asked(compressed):
        return SimpleRequest(expect_compressed=BoolValue(value=compressed), response_size=314159, payload=payload(271828))

    # The probe: does the server look?
    fails(Code.INVALID_ARGUMENT, lambda: stub.UnaryCall(asked(True), timeout=PATIENCE))
    for compression, compressed in [(grpc.Compression.Gzip, True), (grpc.Compression.Deflate, True), (grpc.Compression.NoCompression, False)]:
        equal(stub.UnaryCall(asked(compressed), compression=compression, timeout=PATIENCE).payload.body, bytes(314159))
    fails(Code.INVALID_ARGUMENT, lambda: stub.UnaryCall(asked(False), compression=grpc.Compression.Gzip, timeout=PATIENCE))


@case
def client_compressed_streaming(stub):
    def asked(n, compressed):
        return StreamingInputCallRequest(payload=payload(n), expect_compressed=BoolValue(value=compressed))

    # This client compresses a call throughout or not at all.
    fails(Code.INVALID_ARGUMENT, lambda: stub.StreamingInputCall(iter([asked(27182, True)]), timeout=PATIENCE))
    for compression in [grpc.Compression.Gzip, grpc.Compression.Deflate]:
        call = stub.StreamingInputCall(iter([asked(27182, True), asked(45904, True)]), compression=compression, timeout=PATIENCE)
        equal(call.aggregated_payload_size, 73086)


@case
def server_compressed_unary(stub):
    # This client always accepts gzip and deflate, and does not tell how a message came: tests/it/interop.rs looks at the wire.
    for compressed in [True, False]:
        asked = SimpleRequest(response_compressed=BoolValue(value=compressed), response_size=314159, payload=payload(271828))
        equal(stub.UnaryCall(asked, timeout=PATIENCE).payload.body, bytes(314159))


@case
def server_compressed_streaming(stub):
    asked = StreamingOutputCallRequest(
        response_parameters=[
            ResponseParameters(size=31415, compressed=BoolValue(value=True)),
            ResponseParameters(size=92653, compressed=BoolValue(value=False)),
        ]
    )
    equal(sizes_of(stub.StreamingOutputCall(asked, timeout=PATIENCE)), [31415, 92653])


@case
def compressed_requests_are_inflated(stub):
    for compression in [grpc.Compression.Gzip, grpc.Compression.Deflate]:
        asked = SimpleRequest(response_size=7, payload=payload(10_000))
        assert len(stub.UnaryCall(asked, compression=compression, timeout=PATIENCE).payload.body) == 7
        assert len(list(stub.FullDuplexCall(iter([wanting(1)]), compression=compression, timeout=PATIENCE))) == 1
    is_healthy(stub)


@native_case
def metadata_of_20_kb_is_refused(stub):
    fails(Code.RESOURCE_EXHAUSTED, lambda: stub.EmptyCall(Empty(), metadata=[("x-long", "x" * 20_000)], timeout=PATIENCE))
    is_healthy(stub)


@case
def a_message_of_5_mib_is_refused(stub):
    n = 5 * 1024 * 1024
    fails(Code.RESOURCE_EXHAUSTED, lambda: stub.UnaryCall(SimpleRequest(payload=payload(n)), timeout=PATIENCE))
    requests = [StreamingInputCallRequest(payload=payload(9)), StreamingInputCallRequest(payload=payload(n))]
    fails(Code.RESOURCE_EXHAUSTED, lambda: stub.StreamingInputCall(iter(requests), timeout=PATIENCE))
    is_healthy(stub)


@case
def cancelled_streams_leave_the_connection_usable(stub):
    for _ in range(50):
        call = stub.StreamingOutputCall(wanting(*[64 * 1024] * 100), timeout=PATIENCE)
        next(call)
        call.cancel()
    is_healthy(stub)


@native_case
def too_many_pings(stub):
    """A client that PINGs all the time is sent away, and is served when it comes back."""
    pings = [("grpc.keepalive_time_ms", 50), ("grpc.keepalive_timeout_ms", 10_000), ("grpc.http2.max_pings_without_data", 0)]
    with grpc.insecure_channel(stub.address, OPTIONS + pings) as channel:
        restless = Stub(channel, service_of("TestService"))
        error = fails(Code.UNAVAILABLE, lambda: list(restless.StreamingOutputCall(wanting(9, interval_us=15_000_000), timeout=PATIENCE)))
        assert "too_many_pings" in error.details(), error.details()
        is_healthy(restless)


# Running them.


def service_of(name):
    return pool.FindServiceByName(f"grpc.testing.{name}")


def run(one, address):
    with grpc.insecure_channel(address, OPTIONS) as channel:
        stub = Stub(channel, service_of("TestService"))
        stub.address = address
        stub.of_nobody = Stub(channel, service_of("UnimplementedService"))
        one(stub)


def passed(name, one):
    try:
        one()
    except Exception as error:  # pylint: disable=broad-except
        why = f"{error.code()}: {error.details()}" if isinstance(error, grpc.RpcError) else error
        print(f"FAIL {name}: {type(error).__name__}: {why}", flush=True)
        return False
    print(f"ok   {name}", flush=True)
    return True


def load_descriptors(path):
    """The messages, as classes of this module."""
    with open(path, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
    for file in files:
        pool.Add(file)
        for message in file.message_type:
            full_name = f"{file.package}.{message.name}"
            globals()[message.name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))


if __name__ == "__main__":
    pool = descriptor_pool.DescriptorPool()
    load_descriptors(sys.argv[2])
    chosen = cases + native_cases if sys.argv[3] == "native" else cases
    results = [passed(one.__name__, lambda one=one: run(one, sys.argv[1])) for one in chosen]
    sys.exit(0 if all(results) else 1)
